//! Plans for some hosts only: those of `--limit`, and those that answer. Steps of other hosts do not run, so their effects are not predicted.

use clusterctl::facts::Facts;
use clusterctl::plan::Goal;

use super::world;

/// A finished cluster on whose hosts files, packages and images are missing.
fn broken(version: &str) -> (clusterctl::inventory::Inventory, Facts) {
    let inv = world::inventory(version);
    let mut facts = world::finished(&inv);
    for f in facts.hosts.values_mut() {
        f.files.retain(|path, _| !path.ends_with(".yaml") && !path.ends_with(".cfg"));
        f.packages.clear();
        f.images.clear();
    }
    (inv, facts)
}

/// The kinds of facts, such as `files`, that differ between two observations of a host.
fn differences(before: &Facts, after: &Facts, host: &str) -> Vec<&'static str> {
    let (a, b) = (before.host(host), after.host(host));
    let kinds = [
        ("files", a.files == b.files),
        ("packages", a.packages == b.packages),
        ("images", a.images == b.images),
        ("units", a.units == b.units),
        ("pods", a.pods == b.pods),
        ("binaries", a.binaries == b.binaries),
    ];
    kinds.into_iter().filter(|(_, same)| !same).map(|(kind, _)| kind).collect()
}

#[test]
fn a_run_with_a_limit_changes_no_other_host() {
    let (inv, facts) = broken("v1.36.2");
    for limit in [&["w1"][..], &["m1"], &["m2", "lb1"], &["w1", "w2"]] {
        let run = world::limited(&Goal::Keep, &inv, &facts, limit);
        assert_eq!(run.refusals, [], "{limit:?}");
        for host in inv.hosts.iter().map(|h| h.name.as_str()) {
            let changes = run.plan.steps().any(|(_, h, _)| h == host);
            assert_eq!(changes, limit.contains(&host), "{limit:?}: the plan and {host}");
            assert_eq!(!differences(&facts, &run.after, host).is_empty(), changes, "{limit:?}: the prediction for {host}");
        }
    }
}

#[test]
fn nothing_is_predicted_for_a_host_that_does_not_answer() {
    let (inv, mut facts) = broken("v1.36.2");
    facts.hosts.remove("w2");
    let run = world::whole(&Goal::Keep, &inv, &facts);
    assert_eq!(run.refusals, []);
    assert!(!run.plan.is_empty() && run.plan.steps().all(|(_, host, _)| host != "w2"));
    assert!(!run.after.hosts.contains_key("w2"), "the host is unknown afterwards, too");
}

#[test]
fn what_a_limit_leaves_out_is_in_the_next_plan() {
    let (inv, facts) = broken("v1.36.2");
    let all = world::whole(&Goal::Keep, &inv, &facts).plan;
    let first = world::limited(&Goal::Keep, &inv, &facts, &["w1"]);
    let rest = world::whole(&Goal::Keep, &inv, &first.after).plan;
    let of = |plan: &clusterctl::plan::Plan, w1: bool| -> Vec<String> {
        plan.steps().filter(|(_, host, _)| (*host == "w1") == w1).map(|(_, host, s)| format!("{host}: {}", s.title)).collect()
    };
    assert_eq!(of(&first.plan, true), of(&all, true));
    assert_eq!(of(&rest, false), of(&all, false));
    assert_eq!(of(&rest, true), [""; 0]);
}

fn named(found: &[clusterctl::plan::refusals::Refusal]) -> Vec<(&str, &str)> {
    found.iter().map(|b| (b.host.as_str(), b.name)).collect()
}

/// A finished cluster in which the worker `w2` has a wrong clock and swap.
fn faulty() -> (clusterctl::inventory::Inventory, Facts) {
    let inv = world::inventory("v1.36.2");
    let mut facts = world::finished(&inv);
    facts.host_mut("w2").swap = true;
    facts.host_mut("w2").clock_offset = 100.0;
    (inv, facts)
}

#[test]
fn what_is_wrong_with_a_host_concerns_the_runs_that_change_it() {
    let (inv, mut facts) = faulty();
    let both = [("w2", "swap"), ("w2", "clock")];
    assert_eq!(named(&world::whole(&Goal::Keep, &inv, &facts).refusals), both);
    assert_eq!(named(&world::limited(&Goal::Keep, &inv, &facts, &["w2"]).refusals), both);
    let run = world::limited(&Goal::Keep, &inv, &facts, &["m1"]);
    assert_eq!((named(&run.refusals), named(&run.warnings)), (vec![], both.to_vec()));
    // The clock of a control plane endangers the whole cluster, and so does a host of another cluster.
    facts.host_mut("m2").clock_offset = 100.0;
    assert_eq!(named(&world::limited(&Goal::Keep, &inv, &facts, &["m1"]).refusals), [("m2", "clock")]);
}

#[test]
fn what_is_wrong_with_a_worker_does_not_keep_control_planes_from_being_restored() {
    let (inv, mut facts) = faulty();
    facts.cluster = None;
    for m in ["m1", "m2", "m3"] {
        facts.host_mut(m).api_version = None;
        facts.host_mut(m).files.remove("/etc/kubernetes/manifests/kube-apiserver.yaml");
    }
    let run = world::repair(&Goal::Keep, &inv, &facts).expect("there is something to restore");
    assert_eq!((named(&run.refusals), named(&run.warnings)), (vec![], vec![("w2", "swap"), ("w2", "clock")]));
    facts.host_mut("m3").swap = true;
    let run = world::repair(&Goal::Keep, &inv, &facts).expect("there is something to restore");
    assert_eq!(named(&run.refusals), [("m3", "swap")]);
}

#[test]
fn the_repair_before_an_upgrade_changes_no_host_that_the_limit_leaves_out() {
    let inv = world::inventory("v1.36.2");
    let mut facts = world::finished(&inv);
    for m in ["m2", "m3"] {
        facts.host_mut(m).api_version = None;
        facts.host_mut(m).files.remove("/etc/kubernetes/manifests/kube-apiserver.yaml");
    }
    let goal = Goal::Upgrade(Box::new(world::upgrade(&inv)));
    let run = world::limited_repair(&goal, &inv, &facts, &["m1", "m2"]).expect("m2 is restored");
    assert!(run.plan.steps().all(|(_, host, _)| host == "m2"), "{}", run.plan);
    assert!(world::limited_repair(&goal, &inv, &facts, &["m1"]).is_none());
}
