//! Tests of merging into a real file.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::*;
use crate::cli::Format;

fn report() -> Report {
    let clock = || "2026-11-21T10:00:00.25Z".parse().expect("it is a time");
    Report::to(Format::Text, Box::new(std::io::sink()), Box::new(std::io::sink()), clock)
}

fn config(server: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Config", "current-context": "prod", "users": [{"name": "prod-admin", "user": {}}],
        "clusters": [{"name": "prod", "cluster": {"server": server}}],
        "contexts": [{"name": "prod", "context": {"cluster": "prod", "user": "prod-admin"}}]})
}

fn merged_into(path: &Path, config: &Value, name: &str) -> Exit {
    merge_into(&report(), path, config, name).unwrap_or_else(|stop| stop.exit)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("folder is readable");
    let mut names: Vec<String> = entries.map(|e| e.expect("entry is readable").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("file is there").permissions().mode() & 0o777
}

#[test]
fn a_merge_is_private_backed_up_and_done_once() {
    let place = tempfile::tempdir().expect("a folder can be made");
    let (folder, path) = (place.path().join(".kube"), place.path().join(".kube/config"));
    assert_eq!(merged_into(&path, &config("https://a:6443"), "prod"), Exit::Done);
    assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
    assert_eq!(names(&folder), ["config"]);

    // Merging the same kubeconfig again writes nothing.
    assert_eq!(merged_into(&path, &config("https://a:6443"), "prod"), Exit::Done);
    assert_eq!(names(&folder), ["config"]);

    let before = fs::read(&path).expect("file is readable");
    assert_eq!(merged_into(&path, &config("https://b:6443"), "prod"), Exit::Done);
    assert_eq!(names(&folder), ["config", "config.20261121T100000250Z.backup"]);
    let backup = folder.join("config.20261121T100000250Z.backup");
    assert_eq!((fs::read(&backup).expect("backup is readable"), mode(&backup)), (before, 0o600));
}

#[test]
fn a_file_that_somebody_holds_or_that_is_no_kubeconfig_stays_as_it_is() {
    let place = tempfile::tempdir().expect("a folder can be made");
    let path = place.path().join("config");
    fs::write(&path, "- a list\n").expect("file can be written");
    assert_eq!(merged_into(&path, &config("https://a:6443"), "prod"), Exit::Failed);
    fs::write(place.path().join("config.lock"), "").expect("file can be written");
    assert_eq!(merged_into(&path, &config("https://a:6443"), "prod"), Exit::Locked);
    assert_eq!(fs::read_to_string(&path).expect("file is readable"), "- a list\n");
    assert_eq!(names(place.path()), ["config", "config.lock"]);
}

#[test]
fn a_link_is_followed() {
    let place = tempfile::tempdir().expect("a folder can be made");
    let (real, link) = (place.path().join("real"), place.path().join("config"));
    fs::write(&real, "").expect("file can be written");
    std::os::unix::fs::symlink(&real, &link).expect("a link can be made");
    assert_eq!(merged_into(&link, &config("https://a:6443"), "prod"), Exit::Done);
    assert!(fs::symlink_metadata(&link).expect("link is there").is_symlink());
    assert!(fs::read_to_string(&real).expect("file is readable").contains("https://a:6443"));
}
