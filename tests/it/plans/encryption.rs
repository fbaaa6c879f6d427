//! Tests of plans for the encryption of stored values: the passes over the control planes, what an interrupted run leaves behind, and what is refused.

use std::collections::BTreeSet;

use clusterctl::facts::{Facts, FileFact, FileKind};
use clusterctl::inventory::Inventory;
use clusterctl::plan::{Goal, Plan};
use clusterctl::step::Step;
use serde_json::json;

use super::world::{self, CANARY, steps_of, titles};

const FOLDER: &str = "/etc/kubernetes/encryption-at-rest";
const MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";

fn with(inv: Inventory, provider: &str, resources: &[&str]) -> Inventory {
    let mut inv = inv;
    inv.control_plane.encryption =
        Some(serde_json::from_value(json!({ "provider": provider, "resources": resources })).expect("it is valid"));
    inv
}

fn inventory(provider: &str) -> Inventory {
    with(world::inventory("v1.36.2"), provider, &["secrets"])
}

/// The facts with the counts of an etcd member: this many Secrets for each beginning.
fn counted(mut facts: Facts, counts: &[(&str, u64)]) -> Facts {
    let counts = counts.iter().map(|(begins, n)| (begins.to_string(), *n)).collect();
    facts.host_mut("m1").stored =
        Some([("secrets".to_string(), counts), ("configmaps".to_string(), [("plain".to_string(), 9)].into())].into());
    facts
}

/// A finished cluster that encrypts with secretbox from the beginning.
fn encrypted() -> Facts {
    let facts = world::finished(&inventory("secretbox"));
    let prefix = prefix(&facts);
    counted(facts, &[(&prefix, 12)])
}

/// The beginning of the values that the first control plane writes.
fn prefix(facts: &Facts) -> String {
    let file = files(facts, "m1").pop().expect("it has a file");
    let text = facts.host("m1").text(&file).expect("it is text").to_string();
    let name = text.lines().find_map(|l| l.trim().strip_prefix("- name: ")).expect("it has a key");
    format!("k8s:enc:secretbox:v1:{name}:")
}

/// A finished cluster in clear.
fn plain() -> Facts {
    counted(world::finished(&world::inventory("v1.36.2")), &[("plain", 12)])
}

fn files(facts: &Facts, host: &str) -> Vec<String> {
    facts.host(host).files.keys().filter(|path| path.starts_with(&format!("{FOLDER}/"))).cloned().collect()
}

/// Clusters for the laws: fresh, finished, switched on, switched off, with another provider and with more resources, and growing.
pub fn worlds() -> Vec<(String, Inventory, Facts)> {
    let inv = inventory("secretbox");
    let small = world::hosts("v1.36.2", &[("m1", 11, "control-plane"), ("w1", 21, "worker"), ("lb1", 31, "load-balancer")]);
    let growing = world::growing(&with(small, "secretbox", &["secrets"]), &inv);
    let begins = prefix(&growing);
    vec![
        ("fresh with encryption".into(), inv.clone(), world::bare(&inv)),
        ("finished with encryption".into(), inv.clone(), encrypted()),
        ("encryption is switched on".into(), inv.clone(), plain()),
        ("encryption is switched on v1.20.2".into(), with(world::inventory("v1.20.2"), "aescbc", &["secrets"]), {
            counted(world::finished(&world::inventory("v1.20.2")), &[("plain", 12)])
        }),
        ("encryption is led back".into(), inventory("identity"), encrypted()),
        ("another provider".into(), inventory("aescbc"), encrypted()),
        ("more resources".into(), with(world::inventory("v1.36.2"), "secretbox", &["secrets", "configmaps"]), encrypted()),
        ("growing with encryption".into(), inv, counted(growing, &[(&begins, 12)])),
    ]
}

/// The configurations of all API servers, with the letter `I` for identity and the number of each key, as in `1I`.
fn lists(facts: &Facts) -> Vec<String> {
    let of = |host: &str| {
        let manifest = facts.host(host).text(MANIFEST).unwrap_or_default();
        let path = manifest.lines().find_map(|l| l.trim().strip_prefix("- --encryption-provider-config="));
        let Some(path) = path else { return "I".to_string() };
        let text = facts.host(host).text(path).unwrap_or_else(|| panic!("{host} has no {path}"));
        text.lines()
            .filter_map(|l| match l.trim() {
                "- identity: {}" => Some("I".to_string()),
                l => l.strip_prefix("- name: key").and_then(|name| Some(name.split_once('-')?.0.to_string())),
            })
            .collect()
    };
    ["m1", "m2", "m3"].map(of).into()
}

/// The configurations of all API servers after each step of the plan that changes them, and `R` for a rewrite.
fn way(plan: &Plan, facts: &Facts) -> Vec<String> {
    let (mut now, mut out) = (facts.clone(), vec![lists(facts).join(" ")]);
    for (_, host, planned) in plan.steps() {
        planned.step.predict(host, &mut now);
        out.push(lists(&now).join(" "));
        if matches!(planned.step, Step::Rewrite(_)) {
            out.push("R".into());
        }
    }
    out.dedup();
    out
}

#[test]
fn a_new_cluster_encrypts_from_the_first_write() {
    let inv = inventory("secretbox");
    let (plan, after) = world::plan(&inv, &world::bare(&inv));
    assert_eq!(lists(&after), ["1I", "1I", "1I"]);
    assert!(!titles(&plan).contains("rewrite"), "{plan}");
    assert_eq!(files(&after, "m1"), files(&after, "m3"), "all have the same file");
    assert!(files(&after, "w1").is_empty() && files(&after, "lb1").is_empty());
    let secret = after.host("m2").files.get(&files(&after, "m2")[0]).expect("it has the file");
    assert_eq!((secret.mode, secret.uid, secret.gid), (0o600, 0, 0));
}

#[test]
fn keys_are_in_no_plan() {
    use base64::Engine;
    let key = base64::engine::general_purpose::STANDARD.encode(&CANARY.repeat(3).as_bytes()[..32]);
    for (name, inv, facts) in worlds() {
        let plan = world::plan(&inv, &facts).0;
        let shown = format!("{plan}{}{plan:?}", serde_json::to_string(&plan).expect("it is JSON"));
        assert!(!shown.contains(&key) && !shown.contains(CANARY), "{name}");
    }
}

#[test]
fn switching_on_takes_two_passes_and_a_rewrite() {
    let facts = plain();
    let (plan, after) = world::plan(&inventory("secretbox"), &facts);
    let wanted = ["I I I", "I I1 I", "I I1 I1", "I1 I1 I1", "I1 1I I1", "I1 1I 1I", "1I 1I 1I", "R", "1I 1I 1I"];
    assert_eq!(way(&plan, &facts), wanted, "the leader of etcd is last");
    assert!(world::plan(&inventory("secretbox"), &after).0.is_empty());
    insta::assert_snapshot!(titles(&plan));
}

#[test]
fn a_change_of_the_key_removes_the_old_one_after_the_rewrite() {
    let facts = encrypted();
    let (plan, after) = world::run(&Goal::RotateKey(2), &inventory("secretbox"), &facts);
    let wanted = [
        "1I 1I 1I",
        "1I 12I 1I",
        "1I 12I 12I",
        "12I 12I 12I",
        "12I 21I 12I",
        "12I 21I 21I",
        "21I 21I 21I",
        "R",
        "21I 21I 21I",
        "21I 2I 21I",
        "21I 2I 2I",
        "2I 2I 2I",
    ];
    assert_eq!(way(&plan, &facts), wanted);
    for host in ["m1", "m2", "m3"] {
        assert_eq!(files(&after, host).len(), 1, "the old key is gone from {host}");
    }
    insta::assert_snapshot!(titles(&plan));
}

#[test]
fn a_change_of_the_key_goes_on_after_any_step() {
    let (inv, facts) = (inventory("secretbox"), encrypted());
    let goal = Goal::RotateKey(2);
    let all = steps_of(&world::run(&goal, &inv, &facts).0);
    let mut now = facts.clone();
    for (done, (_, host, planned)) in world::run(&goal, &inv, &facts).0.steps().enumerate() {
        // `apply` goes on in the same way as soon as a control plane has the new key.
        let keys: BTreeSet<String> = ["m1", "m2", "m3"].iter().flat_map(|m| files(&now, m)).collect();
        for goal in [Some(&goal), (keys.len() > 1 && done % 4 == 0).then_some(&Goal::Keep)].into_iter().flatten() {
            let rest = steps_of(&world::run(goal, &inv, &now).0);
            let questions = |list: &[String]| list.iter().filter(|t| !t.contains("quorum")).cloned().collect::<Vec<_>>();
            assert_eq!(questions(&rest), questions(&all[done..]), "{goal:?} after {done} steps");
        }
        planned.step.predict(host, &mut now);
    }
}

#[test]
fn leading_back_stores_in_clear_before_keys_are_removed() {
    let facts = encrypted();
    let (plan, after) = world::plan(&inventory("identity"), &facts);
    assert_eq!(way(&plan, &facts)[3..], ["I1 I1 I1", "R", "I1 I1 I1", "I1 I I1", "I1 I I", "I I I"].map(String::from)[..]);
    assert!(!after.host("m1").files.contains_key(FOLDER));
}

#[test]
fn a_control_plane_that_joins_gets_the_keys_of_the_others() {
    let (_, inv, facts) = worlds().pop().expect("there are worlds");
    for goal in [Goal::Keep, Goal::Join(vec![])] {
        let (plan, after) = world::run(&goal, &inv, &facts);
        assert_eq!(lists(&after), ["1I", "1I", "1I"]);
        let titles = titles(&plan);
        let m2: Vec<&str> = titles.lines().filter(|l| l.starts_with("  m2: ")).collect();
        let at = |words: &str| m2.iter().position(|l| l.contains(words)).unwrap_or_else(|| panic!("no {words}: {m2:#?}"));
        assert!(at(FOLDER) < at("kube-apiserver (") && !titles.contains("rewrite"), "{titles}");
    }
}

#[test]
fn runs_with_another_aim_change_no_keys() {
    let mut inv = inventory("aescbc");
    for (goal, version) in [(Goal::Join(vec![]), "v1.36.2"), (Goal::Remove(world::leaving(&["w2"], false)), "v1.36.2")] {
        inv.cluster.version = version.parse().expect("a version");
        assert_eq!(lists(&world::run(&goal, &inv, &encrypted()).1), ["1I", "1I", "1I"], "{goal:?}");
    }
    let newer = Inventory { cluster: world::inventory("v1.37.1").cluster, ..inv };
    assert_eq!(lists(&world::upgraded(&newer, &encrypted()).1), ["1I", "1I", "1I"]);
}

#[test]
fn a_limited_run_never_lets_an_api_server_write_what_others_cannot_read() {
    let mut facts = plain();
    for _ in 0..3 {
        let run = world::limited(&Goal::Keep, &inventory("secretbox"), &facts, &["m1"]);
        assert_eq!(run.refusals, []);
        facts = run.after;
        assert_eq!(lists(&facts), ["I1", "I", "I"]);
    }
}

/// The refusals of a run.
fn refused(goal: &Goal, inv: &Inventory, facts: &Facts) -> Vec<(String, String)> {
    world::whole(goal, inv, facts).refusals.into_iter().filter(|r| r.name == "encryption").map(|r| (r.host, r.message)).collect()
}

#[test]
fn encryption_that_left_the_inventory_is_refused() {
    let found = refused(&Goal::Keep, &world::inventory("v1.36.2"), &encrypted());
    assert!(found[0].1.contains("the API servers of m1, m2, m3 encrypt what they store"), "{found:?}");
}

#[test]
fn files_that_no_interrupted_run_explains_are_refused() {
    let (inv, mut facts) = (inventory("secretbox"), encrypted());
    let (mine, others) = (files(&facts, "m1")[0].clone(), facts.host("m2").clone());
    // m2 has a key of its own.
    let text = facts.host("m2").text(&mine).expect("it is text").replace("key1-", "key9-");
    let change = |f: &FileFact| FileFact { kind: FileKind::File(text.clone().into()), ..f.clone() };
    let changed = change(&others.files[&mine]);
    facts.host_mut("m2").files.insert(mine.clone(), changed);
    for host in ["m1", "m3"] {
        facts.host_mut(host).files.remove(&mine);
    }
    let found = refused(&Goal::Keep, &inv, &facts);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().any(|(host, message)| host == "m2" && message.contains("missing or was changed by hand")), "{found:?}");
    // With the file on one host, the others get it back.
    let mut facts = encrypted();
    facts.host_mut("m2").files.remove(&mine);
    let plan = world::plan(&inv, &facts).0;
    assert_eq!(steps_of(&plan).last(), Some(&format!("m2: write {mine}")), "{plan}");
    assert!(!titles(&plan).contains("static pod"), "{plan}");
    // One API server encrypts, and the others cannot read that.
    let mut facts = encrypted();
    let manifest = plain().host("m3").files[MANIFEST].clone();
    facts.host_mut("m3").files.insert(MANIFEST.into(), manifest);
    let found = refused(&Goal::Keep, &inv, &facts);
    assert!(found[0].1.contains("the API server of m3 cannot read the secrets that the API server of m1 writes"), "{found:?}");
}

#[test]
fn keys_change_only_while_all_control_planes_and_etcd_answer() {
    let inv = inventory("secretbox");
    let mut facts = plain();
    facts.hosts.remove("m2");
    let found = refused(&Goal::Keep, &inv, &facts);
    assert!(found[0].1.contains("these do not answer: m2"), "{found:?}");
    let mut facts = encrypted();
    facts.hosts.remove("m2");
    assert_eq!(refused(&Goal::Keep, &inv, &facts), [], "nothing changes");
    let mut facts = world::run(&Goal::RotateKey(2), &inv, &encrypted()).1;
    facts.host_mut("m1").stored = None;
    assert_eq!(refused(&Goal::Keep, &inv, &facts), [], "no old key is left");
    let found = refused(&Goal::RotateKey(0), &inventory("identity"), &encrypted());
    assert!(found[0].1.contains("there is no key to change"), "{found:?}");
}

#[test]
fn a_cluster_with_its_own_configuration_keeps_it() {
    let mut inv = world::inventory("v1.36.2");
    let file = "/etc/kubernetes/pki/own.yaml".to_string();
    inv.control_plane.api_server.extra_args.insert("encryption-provider-config".into(), file);
    let facts = world::finished(&inv);
    assert!(world::plan(&inv, &facts).0.is_empty());
    inv.control_plane = inventory("secretbox").control_plane;
    let found = refused(&Goal::Keep, &inv, &counted(facts, &[]));
    assert!(found[0].1.contains("a configuration of its own"), "{found:?}");
}

#[test]
fn a_reset_removes_the_keys() {
    let inv = inventory("secretbox");
    let after = world::reset(&inv, &encrypted()).1;
    assert!(!after.host("m1").files.keys().any(|path| path.starts_with(FOLDER)));
}
