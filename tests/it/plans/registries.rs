//! Tests of plans for registries that need a CA and a password: what changes on hosts, and that no plan shows a password.

use base64::Engine;
use clusterctl::facts::{Facts, FileFact, FileKind};
use clusterctl::host::Secret;
use clusterctl::inventory::Inventory;
use clusterctl::plan::Plan;
use serde_json::json;

use super::world::{self, CANARY};

const FOLDER: &str = "/etc/containerd/certs.d";
const HOSTS: &str = "/etc/containerd/certs.d/r.example:5000/hosts.toml";
const CA: &str = "/etc/containerd/certs.d/r.example:5000/ca-2.crt";

/// An inventory with a registry that has a mirror with a URL alone, and itself an entry with these fields in addition to its URL.
fn inventory(fields: serde_json::Value) -> Inventory {
    let mut inv = world::inventory("v1.36.2");
    let mut own = json!({ "url": "https://r.example:5000" });
    own.as_object_mut().expect("it is an object").extend(fields.as_object().cloned().unwrap_or_default());
    let artifacts =
        json!({ "registryMirrors": { "r.example:5000": ["https://mirror.example", own], "_default": ["https://all.example"] } });
    inv.artifacts = serde_json::from_value(artifacts).expect("it is valid");
    inv
}

fn private() -> Inventory {
    inventory(json!({ "caFile": "ca.crt", "username": "puller", "passwordFile": "password", "headers": { "X-Team": "a" } }))
}

fn with_other_files() -> Inventory {
    inventory(json!({ "caFile": "new.crt", "username": "puller", "passwordFile": "new", "headers": { "X-Team": "a" } }))
}

/// The cluster of an inventory, with the folders that its files are in.
fn finished(inv: &Inventory) -> Facts {
    let mut facts = world::finished(inv);
    let folder = FileFact { kind: FileKind::Directory, mode: 0o755, uid: 0, gid: 0 };
    for host in facts.hosts.values_mut().filter(|h| h.files.keys().any(|path| path.starts_with(FOLDER))) {
        for path in [FOLDER.to_string(), format!("{FOLDER}/r.example:5000"), format!("{FOLDER}/_default")] {
            host.files.insert(path, folder.clone());
        }
    }
    facts
}

/// Clusters with registries: fresh, finished, with changed files, with less, and without them.
pub fn worlds() -> Vec<(String, Inventory, Facts)> {
    let there = finished(&private());
    vec![
        ("fresh with registries".into(), private(), world::bare(&private())),
        ("finished with registries".into(), private(), there.clone()),
        ("a password and a CA have changed".into(), with_other_files(), there.clone()),
        ("the password and the CA are gone".into(), inventory(json!({})), there.clone()),
        ("registries are gone".into(), world::inventory("v1.36.2"), there.clone()),
        ("registries are new".into(), private(), world::finished(&world::inventory("v1.36.2"))),
    ]
}

/// The text of a plan, in both forms, after it was checked that no password is in it, neither as it is nor as the header has it.
fn safe(plan: &Plan) -> String {
    let both = format!("{plan}\n{}", serde_json::to_string(plan).expect("it can be written"));
    for password in [CANARY.to_string(), format!("{CANARY} of password"), format!("{CANARY} of new")] {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("puller:{password}"));
        assert!(!both.contains(&password) && !both.contains(&pair[..20]), "{both}");
    }
    plan.to_string()
}

fn of<'f>(facts: &'f Facts, path: &str) -> Option<&'f FileFact> {
    facts.host("w1").files.get(path)
}

#[test]
fn a_file_with_a_password_is_private_and_its_ca_is_beside_it() {
    let (plan, after) = world::plan(&private(), &world::bare(&private()));
    let text = safe(&plan);
    assert!(text.contains(&format!("new {HOSTS} (600, sha256:")) && text.contains("+CA of ca.crt"), "{text}");
    let (hosts, ca) = (of(&after, HOSTS).expect("it is there"), of(&after, CA).expect("it is there"));
    assert_eq!(
        (hosts.mode, ca.mode, of(&after, "/etc/containerd/certs.d/_default/hosts.toml").map(|f| f.mode)),
        (0o600, 0o644, Some(0o644))
    );
    let content = after.host("w1").text(HOSTS).expect("it is text");
    assert!(content.contains("server = \"https://r.example:5000\"\nca = ") && content.matches("\"Authorization\" = \"Basic ").count() == 2);
    assert!(world::plan(&private(), &after).0.is_empty());
}

#[test]
fn a_new_password_and_ca_change_two_files_and_restart_nothing() {
    let plan = world::plan(&with_other_files(), &finished(&private())).0;
    let text = safe(&plan);
    assert!(text.contains(&format!("changed {HOSTS} (sha256:")) && text.contains("+CA of new.crt"), "{text}");
    let steps = world::steps_of(&plan);
    assert_eq!(steps, ["m1", "m2", "m3", "w1", "w2"].map(|h| format!("{h}: write 2 files: {CA} {HOSTS}")));
}

#[test]
fn what_leaves_the_inventory_leaves_the_hosts_and_no_plan_shows_it() {
    let there = finished(&private());
    let (plan, after) = world::plan(&inventory(json!({})), &there);
    assert!(safe(&plan).contains(&format!("changed {HOSTS} (sha256:")), "{}", safe(&plan));
    assert_eq!((of(&after, CA), of(&after, HOSTS).map(|f| f.mode)), (None, Some(0o644)));
    assert!(world::steps_of(&plan).contains(&format!("w1: remove {CA}")));

    let (plan, _) = world::plan(&world::inventory("v1.36.2"), &there);
    safe(&plan);
    assert!(world::steps_of(&plan).contains(&format!("w1: remove {FOLDER}")));
    let (plan, after) = world::reset(&private(), &there);
    safe(&plan);
    assert!(after.host("w1").files.keys().all(|path| !path.starts_with(FOLDER)), "{:?}", after.host("w1").files.keys());
}

#[test]
fn a_file_of_others_with_a_password_is_replaced_without_being_shown() {
    let inv = inventory(json!({}));
    let mut facts = finished(&inv);
    let theirs = format!("[header]\nauthorization = \"{CANARY}\"\n");
    let fact = FileFact { kind: FileKind::File(Secret::from(theirs)), mode: 0o644, uid: 0, gid: 0 };
    facts.host_mut("w1").files.insert(HOSTS.into(), fact);
    safe(&world::plan(&inv, &facts).0);
}

#[test]
fn what_a_killed_run_has_begun_is_removed() {
    let mut facts = finished(&private());
    let begun = format!("{FOLDER}/r.example:5000/.hosts.toml.clusterctl-new");
    let fact = FileFact { kind: FileKind::File(Secret::from(CANARY)), mode: 0o600, uid: 0, gid: 0 };
    facts.host_mut("w1").files.insert(begun.clone(), fact);
    let plan = world::plan(&private(), &facts).0;
    assert_eq!(world::steps_of(&plan), [format!("w1: remove {begun}")]);
}
