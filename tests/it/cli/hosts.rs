//! Tests of commands with a real OpenSSH server on this machine as one host, and with a host that does not answer.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Place, ended, lines};
use crate::needs::needs;
use crate::ssh::sshd::{Sshd, user};

/// A folder with an inventory of two hosts: `m1` is the server `sshd`, and `w1` does not answer.
pub fn place(sshd: &Sshd) -> Place {
    let place = Place::new();
    let file = |name: &str| sshd.path(name).display().to_string();
    place.write(
        "inventory.yaml",
        &format!(
            "cluster: {{name: t, version: v1.36.2}}\nssh: {{agent: false, identityFiles: [{}], knownHosts: [{}], connectTimeout: 5s}}\nhosts:\n\
             - {{name: m1, address: 127.0.0.1, privateAddress: 192.0.2.11, roles: [control-plane], ssh: {{user: {}, port: {}}}}}\n\
             - {{name: w1, address: 127.0.0.2, privateAddress: 192.0.2.12, roles: [worker], ssh: {{port: 1}}}}\n",
            file("user"),
            file("known_hosts"),
            user(),
            sshd.port
        ),
    );
    place
}

#[test]
fn exec_shows_output_by_host_and_says_who_is_away() {
    needs!(Sshd);
    let sshd = Sshd::start().known();
    let place = place(&sshd);
    let one = place.run(&["exec", "--limit", "m1", "--", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((one.code, one.err.as_str()), (0, "err\n"));
    assert!(one.out.starts_with("m1 (") && one.out.ends_with("s)\nout\n"), "{}", one.out);

    let failing = place.run(&["exec", "--limit", "m1", "--", "sh", "-c", "exit 3"]);
    assert_eq!(failing.code, 1);
    assert!(failing.out.starts_with("m1 (exit status 3, "), "{}", failing.out);

    let both = place.run(&["exec", "--", "true"]);
    assert_eq!(both.code, 5);
    assert!(both.out.starts_with("m1 ("), "{}", both.out);
    assert!(both.err.starts_with("error: w1: ") && both.err.contains("127.0.0.2") && both.err.contains("hint: "), "{}", both.err);
}

#[test]
fn exec_passes_arguments_as_they_are() {
    needs!(Sshd);
    let sshd = Sshd::start().known();
    let odd = ["$(touch hacked)", "a  b", "'\"", "-x", "*", "line\nbreak", ""];
    let ended = place(&sshd).run(&[&["exec", "--limit", "m1", "-o", "json", "--", "printf", "<%s>"][..], &odd[..]].concat());
    assert_eq!(ended.code, 0);
    let results = &lines(&ended.out)[0]["results"];
    assert_eq!(results[0]["stdout"].as_str().unwrap(), odd.map(|o| format!("<{o}>")).concat());
    for field in ["host", "status", "stderr", "seconds"] {
        assert!(results[0].get(field).is_some(), "no {field}");
    }
}

#[test]
fn the_log_has_what_was_done_and_no_arguments() {
    needs!(Sshd);
    let sshd = Sshd::start().known();
    let place = place(&sshd);
    place.write("log", "earlier\n");
    let ended = place.run(&["exec", "-vv", "--log-file", "log", "--limit", "m1", "--", "echo", "canary-7c1f"]);
    assert_eq!(ended.code, 0);
    let log = std::fs::read_to_string(place.path().join("log")).unwrap();
    assert!(log.starts_with("earlier\n") && log.contains("ran echo") && log.contains("host=\"m1\""), "{log}");
    assert!(ended.err.contains("ran echo"), "{}", ended.err);
    assert!(!log.contains("canary-7c1f") && !ended.err.contains("canary-7c1f"));
    let mode = std::fs::metadata(place.path().join("log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn ctrl_c_outside_of_a_run_ends_at_once() {
    needs!(Sshd);
    let sshd = Sshd::start().known();
    let place = place(&sshd);
    let mut command = place.command();
    command.args(["exec", "-vv", "--limit", "m1", "--", "sleep", "60"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    while !sshd.log().contains("Accepted publickey") && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(40));
}

#[test]
fn status_without_a_cluster() {
    needs!(Root, Sshd);
    let sshd = Sshd::start().known();
    let place = place(&sshd);
    let text = place.run(&["status"]);
    assert_eq!(text.code, 1, "{}", text.err);
    assert!(text.out.starts_with("cluster t v1.36.2, endpoint 192.0.2.11:6443: "), "{}", text.out);
    assert!(text.out.contains("problem: w1: "), "{}", text.out);
    assert!(text.out.contains("problem: there is no cluster t on the hosts that were reached"), "{}", text.out);
    let json = lines(&place.run(&["status", "-o", "json"]).out).pop().unwrap();
    assert_eq!((json["healthy"].as_bool(), json["founded"].as_bool()), (Some(false), Some(false)));
}

/// If the inventory has a Kubernetes version that is newer than this clusterctl supports, `status`, `exec` and `kubeconfig` run with a warning, and
/// commands such as `apply` are refused.
#[test]
fn a_version_that_is_too_new_can_be_looked_at() {
    let sshd = Sshd::start().known();
    let place = place(&sshd);
    let inventory = std::fs::read_to_string(place.path().join("inventory.yaml")).unwrap().replace("v1.36.2", "v1.99.0");
    place.write("inventory.yaml", &inventory);
    let warning = "warning: Kubernetes `v1.99.0` is newer than this clusterctl";
    for (args, says) in [
        (&["status"][..], "cluster t v1.99.0"),
        (&["exec", "--limit", "m1", "--", "echo", "ran"], "ran"),
        (&["exec", "--dry-run", "--limit", "m1", "--", "echo"], "would run"),
    ] {
        let ended = place.run(args);
        assert!(ended.out.contains(says) && ended.err.contains(warning), "{args:?}: {} {}", ended.out, ended.err);
    }
    let kubeconfig = place.run(&["kubeconfig"]);
    assert!(kubeconfig.err.contains(warning) && kubeconfig.err.contains("read admin.conf"), "{}", kubeconfig.err);
    for args in [&["apply"][..], &["plan"], &["validate"], &["reset", "--yes"]] {
        let ended = place.run(args);
        assert_eq!(ended.code, 3, "{args:?}: {} {}", ended.out, ended.err);
        assert!(ended.err.contains("is newer than this clusterctl") && !ended.err.contains("warning"), "{args:?}: {}", ended.err);
    }
    place.write("inventory.yaml", &inventory.replace("v1.99.0", "v1.27.0"));
    assert_eq!(place.run(&["status"]).code, 3);
}

#[test]
fn kubeconfig_without_a_cluster() {
    needs!(Sshd);
    let sshd = Sshd::start().known();
    let place = place(&sshd);
    let ended = place.run(&["kubeconfig", "--merge"]);
    assert_ne!(ended.code, 0);
    assert!(ended.err.contains("error: m1: read admin.conf"), "{}", ended.err);
    assert!(!place.path().join(".kube").exists());
}

#[test]
fn an_unknown_host_key_is_refused_with_the_way_to_accept_it() {
    needs!(Sshd);
    let sshd = Sshd::start();
    sshd.write("known_hosts", "");
    let place = place(&sshd);
    let refused = ended(place.command().args(["exec", "--limit", "m1", "--", "true"]).output().unwrap());
    assert_eq!(refused.code, 5);
    assert!(refused.err.contains("SHA256:") && refused.err.contains("hint: ") && refused.err.contains("ssh-keyscan"), "{}", refused.err);
    assert!(!sshd.saw_a_log_in());
}
