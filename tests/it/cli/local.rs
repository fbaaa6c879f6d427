//! Verbs that touch no host: help, inventories, completion; and what is refused before any host is touched.

use std::process::Command;

use super::{Place, lines};
use crate::needs::needs;

const VERBS: [&[&str]; 22] = [
    &[],
    &["init"],
    &["apply"],
    &["plan"],
    &["upgrade"],
    &["upgrade", "plan"],
    &["cordon"],
    &["drain"],
    &["uncordon"],
    &["maintenance"],
    &["adopt"],
    &["reset"],
    &["status"],
    &["unlock"],
    &["exec"],
    &["kubeconfig"],
    &["inventory"],
    &["inventory", "new"],
    &["inventory", "schema"],
    &["inventory", "show"],
    &["validate"],
    &["completion"],
];

#[test]
fn help() {
    for verb in VERBS {
        let ended = Place::new().run(&[verb, &["--help"]].concat());
        assert_eq!((ended.code, ended.err.as_str()), (0, ""));
        let name = if verb.is_empty() { "clusterctl".to_string() } else { verb.join("-") };
        // The options of every verb are shown once.
        let own = if verb.is_empty() { ended.out.as_str() } else { without_global_options(&ended.out) };
        let example = ended.out.split_once("\nExample:").map_or("", |(_, e)| e);
        insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("help-{name}"), format!("{}\n\nExample:{example}", own.trim_end()));
        });
    }
}

fn without_global_options(help: &str) -> &str {
    help.split_once("\nOptions of every verb:").unwrap().0
}

#[test]
fn every_verb_that_does_something_has_an_example() {
    for verb in VERBS.iter().filter(|v| !matches!(v, [] | ["inventory"])) {
        let help = Place::new().run(&[verb, &["--help"][..]].concat()).out;
        assert!(help.contains("Example:\n  clusterctl "), "{verb:?} has no example");
    }
}

#[test]
fn wrong_command_lines_are_usage_errors() {
    let place = Place::new();
    place.run(&["inventory", "new", "--profile", "education", "--output-file", "inventory.yaml"]);
    for (args, said) in [
        (&["frobnicate"][..], "unrecognized subcommand 'frobnicate'"),
        (&["exec"], "<COMMAND>"),
        (&["exec", "--timeout", "soon", "--", "true"], "write a duration such as 90s, 15m or 24h"),
        (&["status", "--output", "xml"], "[possible values: text, json]"),
        (&["inventory", "new", "--profile", "huge"], "[possible values: education, development, production]"),
        (&["exec", "--limit", "nod1", "--", "true"], "hint: did you mean `node1`?"),
        (&["exec", "--limit", "zz", "--", "true"], "hint: the hosts are `node1`"),
        (&["validate", "--log-file", "no/such/folder"], "cannot write the log file"),
        (&["drain"], "<HOST>..."),
        (&["drain", "node1", "--max-unavailable", "0"], "write a number of workers such as 2"),
        (&["drain", "node1", "--timeout", "soon"], "write a duration such as 90s, 15m or 24h"),
        (&["maintenance", "node1"], "there is nothing to do on the hosts: no command, and no `--reboot`"),
        (&["kubeconfig", "--merge", "--output-file", "x"], "cannot be used with"),
    ] {
        let ended = place.run(args);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{args:?}: {}", ended.err);
        assert!(ended.err.contains(said), "{args:?}: {}", ended.err);
    }
}

#[test]
fn an_inventory_that_is_not_there() {
    let ended = Place::new().run(&["validate"]);
    assert_eq!(ended.code, 3);
    insta::assert_snapshot!(ended.err, @r"
    error: cannot read the inventory `inventory.yaml`: No such file or directory (os error 2)
    hint: name the inventory with `-i FILE`, or write a new one with `clusterctl inventory new`
    ");
}

#[test]
fn faults_come_all_at_once() {
    let place = Place::new();
    place.write("inventory.yaml", BAD);
    for verb in [&["validate"][..], &["inventory", "show"], &["status"], &["init", "--yes"], &["exec", "--", "true"]] {
        let ended = place.run(verb);
        assert_eq!((ended.code, ended.out.as_str()), (3, ""), "{verb:?}");
        assert!(ended.err.ends_with("2 faults in the inventory; no host was touched\n"), "{}", ended.err);
    }
    insta::assert_snapshot!(place.run(&["validate"]).err);
}

const BAD: &str = "cluster: {name: Prod, version: v1.36.2}\nhosts:\n- {name: m1, address: 192.0.2.1, roles: [master, boss]}\n";

#[test]
fn faults_for_machines() {
    let place = Place::new();
    place.write("inventory.yaml", BAD);
    let ended = place.run(&["validate", "--output", "json"]);
    assert_eq!((ended.code, ended.err.as_str()), (3, ""));
    let events = lines(&ended.out);
    assert_eq!(events.iter().map(|e| e["event"].as_str().unwrap()).collect::<Vec<_>>(), ["fault", "fault", "ending"]);
    for field in ["file", "line", "column", "path", "message", "hint", "time"] {
        assert!(events[0].get(field).is_some(), "no {field} in {}", events[0]);
    }
}

#[test]
fn starters_are_valid_and_never_overwritten() {
    for profile in ["education", "development", "production"] {
        let place = Place::new();
        let args = ["inventory", "new", "--profile", profile, "--output-file", "inventory.yaml"];
        let ended = place.run(&args);
        assert_eq!((ended.code, ended.out.as_str()), (0, "wrote inventory.yaml\n"));
        assert!(ended.err.starts_with("next: "), "{}", ended.err);
        assert_eq!(std::fs::read_to_string(place.path().join("inventory.yaml")).unwrap(), place.run(&args[..4]).out);
        assert_eq!(place.run(&["validate"]).code, 0);
        let again = place.run(&args);
        assert_eq!(again.code, 4);
        assert!(again.err.contains("`inventory.yaml` exists already"), "{}", again.err);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
    }
}

#[test]
fn an_inventory_shown_is_the_same_inventory() {
    let place = Place::new();
    place.run(&["inventory", "new", "--output-file", "inventory.yaml"]);
    let shown = place.run(&["inventory", "show"]);
    assert_eq!(shown.code, 0);
    place.write("shown.yaml", &shown.out);
    assert_eq!(place.run(&["inventory", "show", "-i", "shown.yaml"]).out, shown.out);
    let json = place.run(&["inventory", "show", "-o", "json", "-i", "shown.yaml"]);
    assert_eq!(lines(&json.out)[0]["cluster"]["name"], "production");
}

#[test]
fn the_schema_is_json_in_both_formats() {
    let place = Place::new();
    let text: serde_json::Value = serde_json::from_str(&place.run(&["inventory", "schema"]).out).unwrap();
    assert_eq!(lines(&place.run(&["inventory", "schema", "--output", "json"]).out), std::slice::from_ref(&text));
    assert!(text["properties"]["hosts"].is_object());
}

#[test]
fn validate_says_what_was_read() {
    let place = Place::new();
    place.run(&["inventory", "new", "--profile", "development", "--output-file", "inventory.yaml"]);
    let text = place.run(&["validate"]);
    insta::assert_snapshot!(text.out, @"inventory.yaml is valid: cluster development on 3 hosts, 1 control plane, 1 etcd member");
    insta::assert_snapshot!(place.run(&["validate", "-o", "json"]).out.lines().last().unwrap(), @r#"{"file":"inventory.yaml","cluster":"development","hosts":3,"controlPlanes":1,"etcdMembers":1,"warnings":0}"#);
}

fn completion_is_readable(shell: &str, check: &[&str]) {
    let place = Place::new();
    let ended = place.run(&["completion", shell]);
    assert_eq!(ended.code, 0);
    for word in ["kubeconfig", "inventory", "limit", "production"] {
        assert!(ended.out.contains(word), "{shell} does not complete {word}");
    }
    place.write("script", &ended.out);
    let checked = Command::new(shell).args(check).arg(place.path().join("script")).output().unwrap();
    assert!(checked.status.success(), "{shell}: {}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn completion_is_readable_by_bash() {
    completion_is_readable("bash", &["-n"]);
}

#[test]
fn completion_is_readable_by_zsh() {
    needs!(Zsh);
    completion_is_readable("zsh", &["-n"]);
}

#[test]
fn completion_is_readable_by_fish() {
    needs!(Fish);
    completion_is_readable("fish", &["--no-execute"]);
}

#[test]
fn dry_runs_of_exec_touch_no_host() {
    let place = Place::new();
    place.run(&["inventory", "new", "--profile", "education", "--output-file", "inventory.yaml"]);
    let ended = place.run(&["exec", "--dry-run", "--", "reboot", "now"]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "would run `reboot now` on node1\n"));
}
