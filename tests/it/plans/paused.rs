//! Plans between the stages of an upgrade: while kubelets are older than the control plane, and while the control plane itself has two versions.

use clusterctl::facts::Facts;
use clusterctl::inventory::Inventory;
use clusterctl::plan::Goal;
use clusterctl::plan::goal::{Pause, Upgrade};
use clusterctl::plan::upgrade::Running;

use super::world;

const OLD: &str = "v1.35.2";
const NEW: &str = "v1.36.2";

/// A cluster after `upgrade --pause-after control-plane`.
fn paused() -> (Inventory, Facts) {
    let inv = world::inventory(NEW);
    let goal = Goal::Upgrade(Box::new(Upgrade { pause_after: Some(Pause::ControlPlane), ..world::upgrade(&inv) }));
    let facts = world::run(&goal, &inv, &world::finished(&world::inventory(OLD))).1;
    (inv, facts)
}

fn kubelet(inv: &Inventory, facts: &Facts, node: &str) -> String {
    Running::of(inv, facts).kubelets[node].to_string()
}

#[test]
fn kubelets_that_wait_for_their_upgrade_stay_as_they_are() {
    let (inv, facts) = paused();
    assert_eq!(kubelet(&inv, &facts, "w1"), OLD);
    let run = world::whole(&Goal::Keep, &inv, &facts);
    assert_eq!(run.refusals, []);
    assert_eq!(run.warnings.iter().map(|b| b.name).collect::<Vec<_>>(), ["version"], "{:?}", run.warnings);
    assert!(run.plan.steps().all(|(.., s)| !s.title.contains("kubelet")), "{}", run.plan);
    assert_eq!(kubelet(&inv, &run.after, "w1"), OLD);
}

#[test]
fn a_host_is_removed_replaced_and_joins_while_kubelets_wait_for_their_upgrade() {
    let (_, mut facts) = paused();
    let masters = [("m1", 11, "control-plane"), ("m2", 12, "control-plane"), ("m3", 13, "control-plane"), ("m4", 14, "control-plane")];
    let others = [("w1", 21, "worker"), ("w2", 22, "worker"), ("lb1", 31, "load-balancer")];
    let inv = world::hosts(NEW, &[&masters[..], &others].concat());
    facts.hosts.extend(world::bare(&inv).hosts.into_iter().filter(|(name, _)| name == "m4"));
    let (_, joined) = world::run(&Goal::Join(vec!["m4".into()]), &inv, &facts);
    assert_eq!(kubelet(&inv, &joined, "m4"), NEW);
    facts.hosts.remove("m2");
    world::run(&Goal::Remove(world::leaving(&["m2"], true)), &inv, &facts);
    world::run(&Goal::Replace(world::leaving(&["m2"], true), "m4".into()), &inv, &facts);
}

#[test]
fn an_api_server_is_restored_while_kubelets_wait_for_their_upgrade() {
    let (inv, mut facts) = paused();
    facts.cluster = None;
    for m in ["m1", "m2", "m3"] {
        facts.host_mut(m).api_version = None;
        facts.host_mut(m).files.remove("/etc/kubernetes/manifests/kube-apiserver.yaml");
    }
    let run = world::repair(&Goal::Keep, &inv, &facts).expect("there is something to restore");
    assert_eq!(run.refusals, []);
    assert!(world::steps_of(&run.plan).iter().any(|s| s.starts_with("m1: run static pod kube-apiserver")), "{}", run.plan);
    assert!(run.plan.steps().all(|(.., s)| !s.title.contains("kubelet")), "{}", run.plan);
}

#[test]
fn a_dead_worker_that_an_upgrade_left_behind_blocks_nothing() {
    let inv = world::inventory(NEW);
    let mut facts = world::finished(&inv);
    facts.hosts.remove("w2");
    facts.node_mut("w2").expect("it is known")["status"]["nodeInfo"]["kubeletVersion"] = "v1.30.1".into();
    assert_eq!(world::whole(&Goal::Keep, &inv, &facts).refusals, []);
    assert_eq!(world::whole(&Goal::Remove(world::leaving(&["w2"], true)), &inv, &facts).refusals, []);
}

#[test]
fn a_dead_control_plane_is_removed_in_the_middle_of_the_upgrade_of_the_control_planes() {
    let inv = world::inventory(OLD);
    let mut facts = world::finished(&inv);
    facts.host_mut("m1").api_version = Some(NEW.into());
    let live = world::whole(&Goal::Remove(world::leaving(&["m2"], false)), &inv, &facts).refusals;
    assert_eq!(live.iter().map(|b| b.name).collect::<Vec<_>>(), ["version"], "a live host waits for the end of the upgrade");
    facts.hosts.remove("m2");
    let refused = world::whole(&Goal::Keep, &inv, &facts).refusals;
    assert_eq!(refused.iter().map(|b| b.name).collect::<Vec<_>>(), ["version"]);
    assert!(refused[0].fix.contains("clusterctl remove m2 --dead"), "{refused:?}");
    let goal = Goal::Remove(world::leaving(&["m2"], true));
    let (plan, after) = world::run(&goal, &inv, &facts);
    let phases: Vec<&str> = plan.phases.iter().map(|p| p.name).collect();
    assert_eq!(phases, ["check etcd", "leave etcd", "forget nodes"], "{plan}");
    assert!(world::run(&goal, &inv, &after).0.is_empty());
}
