//! Tests of the plans of `cordon`, `uncordon`, `drain` and `maintenance`: golden texts, the laws of plans, and which nodes are uncordoned.

use std::time::Duration;

use clusterctl::facts::Facts;
use clusterctl::inventory::Inventory;
use clusterctl::plan::nodes::{self, Inputs, Work};
use clusterctl::plan::{DesiredSteps, Parallelism, Plan, Width};
use clusterctl::step::drain::{DrainExtras, DrainOptions};
use serde_json::json;

use super::world;

const TIME: Duration = Duration::from_secs(300);

fn work() -> Work {
    Work {
        argv: ["apt-get", "-y", "dist-upgrade"].map(String::from).to_vec(),
        command_timeout: TIME,
        reboot: Some(TIME),
        options: DrainOptions::leaving(TIME),
        extras: DrainExtras::default(),
    }
}

fn desired(inv: &Inventory, facts: &Facts, hosts: &[&str], at_once: usize, make: &dyn Fn(&Inputs<'_>) -> DesiredSteps) -> DesiredSteps {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    make(&Inputs { inv, facts, hosts: &hosts, at_once: Parallelism::Count(at_once) })
}

fn drain(i: &Inputs<'_>) -> DesiredSteps {
    nodes::drain(i, DrainOptions::leaving(TIME), &DrainExtras { stays: true, ..DrainExtras::default() })
}

fn maintenance(i: &Inputs<'_>) -> DesiredSteps {
    nodes::maintenance(i, &work())
}

const ALL: [&str; 6] = ["m1", "m2", "m3", "w1", "w2", "lb1"];

/// Desired steps of one kind: the name, the hosts, and the function that makes the steps.
type Made = (&'static str, &'static [&'static str], &'static dyn Fn(&Inputs<'_>) -> DesiredSteps);
const DESIRED: [Made; 4] = [
    ("cordon", &["w1", "m1"], &nodes::cordon),
    ("uncordon", &["w1", "m1"], &nodes::uncordon),
    ("drain", &["w1", "w2", "m2"], &drain),
    ("maintenance", &ALL, &maintenance),
];

/// Finished clusters: unchanged, with a node that somebody else cordoned, and with a node that clusterctl cordoned.
fn worlds() -> Vec<(Inventory, Facts)> {
    let mut out = Vec::new();
    for inv in [world::inventory("v1.34.2"), world::external("v1.34.2", 3)] {
        let facts = world::finished(&inv);
        let marked = |annotations: serde_json::Value| {
            let mut facts = facts.clone();
            let node = facts.cluster.as_mut().and_then(|c| c.nodes.get_mut("w1")).expect("the node is known");
            node["spec"]["unschedulable"] = true.into();
            node["metadata"]["annotations"] = annotations;
            facts
        };
        out.extend([facts.clone(), marked(json!({})), marked(json!({"clusterctl/cordoned": "drain"}))].map(|f| (inv.clone(), f)));
    }
    out
}

#[test]
fn two_workers_are_drained() {
    let inv = world::inventory("v1.34.2");
    let facts = world::finished(&inv);
    insta::assert_snapshot!(Plan::of(&desired(&inv, &facts, &["w1", "w2"], 1, &drain), &facts).0.to_string());
}

#[test]
fn a_whole_cluster_is_maintained() {
    let inv = world::inventory("v1.34.2");
    let facts = world::finished(&inv);
    insta::assert_snapshot!(Plan::of(&desired(&inv, &facts, &ALL, 2, &maintenance), &facts).0.to_string());
}

#[test]
fn steps_hold_after_they_are_predicted_and_any_prefix_leaves_the_rest() {
    let titles = |plan: &Plan| plan.steps().map(|(_, host, s)| format!("{host} / {}", s.title)).collect::<Vec<_>>();
    for (inv, facts) in worlds() {
        for (name, hosts, make) in DESIRED {
            let planned = |facts: &Facts| Plan::of(&desired(&inv, facts, hosts, 2, make), facts).0;
            let plan = planned(&facts);
            let (all, mut now) = (titles(&plan), facts.clone());
            for (done, (_, host, p)) in plan.steps().enumerate() {
                assert_eq!(titles(&planned(&now)), all[done..], "{name}: after {done} steps");
                p.step.predict(host, &mut now);
                assert!(p.step.pending(host, &now).is_none(), "{name}: {host}: {}", p.title);
            }
            assert!(planned(&now).is_empty(), "{name}");
        }
    }
}

#[test]
fn what_others_count_on_goes_one_after_another_and_after_a_look_at_the_quorum() {
    for (inv, facts) in worlds() {
        let etcd: Vec<String> = inv.etcd_hosts().iter().map(|h| h.name.clone()).collect();
        let all: Vec<&str> = inv.hosts.iter().map(|h| h.name.as_str()).collect();
        let desired = desired(&inv, &facts, &all, 5, &maintenance);
        assert_eq!(desired.iter().map(|p| p.width).collect::<Vec<_>>(), [Width::One, Width::AtMost(5)]);
        assert!(desired[1].hosts.iter().all(|t| t.host.starts_with('w')));
        assert_eq!(desired.iter().map(|p| p.hosts.len()).sum::<usize>(), all.len());
        for t in &desired[0].hosts {
            let guarded = t.guards.iter().any(|s| s.title().contains("quorum"));
            assert_eq!(guarded, etcd.contains(&t.host), "{}", t.host);
            let another = t.guards.iter().any(|s| s.title().starts_with("check that the API server at"));
            assert_eq!(another, t.host.starts_with('m'), "{}", t.host);
            assert!(t.steps.iter().all(|s| s.on() != Some(&t.host)), "{}: asked through itself", t.host);
        }
    }
}

#[test]
fn the_last_api_server_that_answers_is_not_taken_out_of_service_by_maintenance() {
    let inv = world::inventory("v1.34.2");
    let mut facts = world::finished(&inv);
    let asked = |inv: &Inventory, facts: &Facts| {
        let plan = Plan::of(&desired(inv, facts, &["m1"], 1, &maintenance), facts).0;
        plan.steps().map(|(_, host, s)| format!("{host}: {}", s.title)).next().unwrap_or_default()
    };
    facts.host_mut("m2").api_version = None;
    assert_eq!(asked(&inv, &facts), "m1: check that the API server at 172.30.0.13:6443 answers", "one that answers is asked");
    // If no other one answered before, the run begins nothing unless one answers by now.
    facts.host_mut("m3").api_version = None;
    assert_eq!(asked(&inv, &facts), "m1: check that the API server at 172.30.0.12:6443 answers");
    let alone = world::hosts("v1.34.2", &[("m1", 11, "control-plane"), ("w1", 21, "worker"), ("lb1", 31, "load-balancer")]);
    assert!(!asked(&alone, &world::finished(&alone)).contains("API server at"), "a single one has no other");
}

#[test]
fn only_our_own_cordon_is_undone() {
    let inv = world::inventory("v1.34.2");
    let uncordons = |facts: &Facts, make: &dyn Fn(&Inputs<'_>) -> DesiredSteps| {
        let plan = Plan::of(&desired(&inv, facts, &["w1"], 1, make), facts).0;
        plan.steps().any(|(_, _, s)| s.step.kind() == "uncordon")
    };
    let cordoned: Vec<Facts> = worlds().into_iter().take(3).map(|(_, f)| f).collect();
    assert_eq!(cordoned.iter().map(|f| uncordons(f, &maintenance)).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(cordoned.iter().map(|f| uncordons(f, &nodes::uncordon)).collect::<Vec<_>>(), [false, true, true]);
    // A node that the operator drained with `drain` stays cordoned in a later `maintenance`.
    for facts in &cordoned {
        let after = Plan::of(&desired(&inv, facts, &["w1"], 1, &drain), facts).1;
        assert!(!uncordons(&after, &maintenance));
    }
}
