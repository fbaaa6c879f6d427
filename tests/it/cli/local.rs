//! Tests of commands that connect to no host (help, inventories, completion), and of errors that are found before clusterctl connects to a host.

use std::process::Command;

use super::{Place, lines};
use crate::needs::needs;

const VERBS: [&[&str]; 44] = [
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
    &["etcd"],
    &["etcd", "status"],
    &["etcd", "keys"],
    &["etcd", "get"],
    &["etcd", "defrag"],
    &["etcd", "move-leader"],
    &["etcd", "alarm"],
    &["etcd", "alarm", "list"],
    &["etcd", "alarm", "disarm"],
    &["etcd", "compact"],
    &["etcd", "snapshot"],
    &["etcd", "snapshot", "save"],
    &["etcd", "snapshot", "verify"],
    &["etcd", "restore"],
    &["etcd", "recover"],
    &["certs"],
    &["certs", "list"],
    &["certs", "renew"],
    &["secrets"],
    &["secrets", "status"],
    &["secrets", "rotate-key"],
    &["secrets", "rewrite"],
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
        // The options that all commands have in common are only in the snapshot of `clusterctl --help`, and are cut from the other snapshots.
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
    for verb in VERBS
        .iter()
        .filter(|v| !matches!(v, [] | ["inventory"] | ["etcd"] | ["etcd", "alarm"] | ["etcd", "snapshot"] | ["certs"] | ["secrets"]))
    {
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
        (&["certs", "renew", "apisever"], "a similar value exists: 'apiserver'"),
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

/// Writes the output of `completion` for this shell to the file `script`, runs the shell text `ask`, and returns the words that the shell offers.
fn completed(place: &Place, shell: &str, ask: &str) -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_clusterctl")).parent().expect("the program is in a folder");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let ended = place.run(&["completion", shell]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    place.write("script", &ended.out);
    let mut command = Command::new(shell);
    command.current_dir(place.path()).env("PATH", path).env_remove("CLUSTERCTL_INVENTORY").args(["-c", ask]);
    let asked = command.output().expect("the shell starts");
    assert!(asked.status.success(), "{shell}: {}", String::from_utf8_lossy(&asked.stderr));
    // The help for a word may follow the word after a tab or a colon, and is cut off.
    let words = String::from_utf8_lossy(&asked.stdout).into_owned();
    words.lines().filter_map(|l| l.split(['\t', ':']).next()).map(str::to_string).collect()
}

/// Checks that the shell completes commands, options, values and the names of hosts. `ask` makes, from the words of a command line, the shell text
/// that prints the completions of the last word.
fn completes(shell: &str, ask: impl Fn(&[&str]) -> String) {
    let place = Place::new();
    place.run(&["inventory", "new", "--profile", "development", "--output-file", "inventory.yaml"]);
    place.run(&["inventory", "new", "--profile", "education", "--output-file", "one.yaml"]);
    for (line, wanted) in [
        (&["clusterctl", "kube"][..], &["kubeconfig"][..]),
        (&["clusterctl", "inv"], &["inventory"]),
        (&["clusterctl", "apply", "--lim"], &["--limit"]),
        (&["clusterctl", "inventory", "new", "--profile", "prod"], &["production"]),
        (&["clusterctl", "drain", "w"], &["worker1", "worker2"]),
        (&["clusterctl", "-i", "one.yaml", "drain", "n"], &["node1"]),
        (&["clusterctl", "-i", "absent.yaml", "drain", "w"], &[]),
        (&["clusterctl", "upgrade", "--pause-after", "c"], &["control-plane"]),
    ] {
        assert_eq!(completed(&place, shell, &ask(line)), wanted, "{shell}: {line:?}");
    }
}

#[test]
fn bash_completes_commands_and_hosts() {
    completes("bash", |line| {
        let (words, last) = (line.join(" "), line.last().expect("a line has words"));
        let at = line.len() - 1;
        format!(
            "source ./script; COMP_WORDS=({words}); COMP_CWORD={at}; _clap_complete_clusterctl clusterctl {last} x 2>/dev/null; \
             [ ${{#COMPREPLY[@]}} = 0 ] || printf '%s\\n' \"${{COMPREPLY[@]}}\""
        )
    });
}

#[test]
fn zsh_completes_commands_and_hosts() {
    needs!(Zsh);
    // zsh shows completions only on a terminal, so this runs clusterctl in the same way as the function in the script does.
    completes("zsh", |line| {
        let at = line.len() - 1;
        format!(
            "zsh -n script && grep -q '^#compdef clusterctl' script && \
             _CLAP_IFS=$'\\n' _CLAP_COMPLETE_INDEX={at} CLUSTERCTL_COMPLETE=zsh clusterctl -- {}",
            line.join(" ")
        )
    });
}

#[test]
fn fish_completes_commands_and_hosts() {
    needs!(Fish);
    completes("fish", |line| format!("source ./script; complete -C '{}'", line.join(" ")));
}

#[test]
fn dry_runs_of_exec_touch_no_host() {
    let place = Place::new();
    place.run(&["inventory", "new", "--profile", "education", "--output-file", "inventory.yaml"]);
    let ended = place.run(&["exec", "--dry-run", "--", "reboot", "now"]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "would run `reboot now` on node1\n"));
}
