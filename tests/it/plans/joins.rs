//! Plans in which hosts join an existing cluster.

use clusterctl::facts::Facts;
use clusterctl::plan::Goal;

use super::world;

/// The phases in which a host gets the mark of a finished cluster, with which scripts on the host guard the member of etcd.
fn marked(plan: &clusterctl::plan::Plan, host: &str) -> Vec<&'static str> {
    let marks = plan.steps().filter(|(_, h, s)| *h == host && s.title.contains("/var/lib/clusterctl/established"));
    marks.map(|(phase, ..)| phase).collect()
}

#[test]
fn a_member_is_marked_as_one_that_counts_before_the_rest_of_the_run_can_fail() {
    let small = world::hosts("v1.36.2", &[("m1", 11, "control-plane"), ("w1", 21, "worker"), ("lb1", 31, "load-balancer")]);
    let inv = world::inventory("v1.36.2");
    let plan = world::plan(&inv, &world::growing(&small, &inv)).0;
    assert_eq!((marked(&plan, "m2"), marked(&plan, "m3")), (vec!["control plane"], vec!["control plane"]));
    let (three, four) = (world::external("v1.36.2", 3), world::external("v1.36.2", 4));
    assert_eq!(marked(&world::plan(&four, &world::growing(&three, &four)).0, "e4"), ["etcd"]);
}

#[test]
fn a_member_whose_join_was_not_finished_is_marked_by_the_next_run() {
    let inv = world::inventory("v1.36.2");
    let mut facts = world::finished(&inv);
    facts.host_mut("m3").files.remove("/var/lib/clusterctl/established");
    assert_eq!(world::steps_of(&world::plan(&inv, &facts).0), ["m3: write /var/lib/clusterctl/established"]);
}

#[test]
fn a_worker_that_joins_under_a_limit_gets_its_token_through_a_control_plane() {
    let small = world::hosts("v1.36.2", &[("m1", 11, "control-plane"), ("lb1", 31, "load-balancer")]);
    let workers = [("m1", 11, "control-plane"), ("w1", 21, "worker"), ("w2", 22, "worker"), ("lb1", 31, "load-balancer")];
    let inv = world::hosts("v1.36.2", &workers);
    let run = world::limited(&Goal::Keep, &inv, &world::growing(&small, &inv), &["w1"]);
    assert_eq!(run.refusals, []);
    let through: Vec<String> = world::steps_of(&run.plan).into_iter().filter(|s| !s.starts_with("w1: ")).collect();
    let has = |words: &str| through.iter().any(|s| s == words);
    assert!(has("m1: make a bootstrap token for w1") && has("m1: delete 1 bootstrap token"), "{through:#?}");
    assert!(through.iter().any(|s| s.starts_with("m1: ") && s.contains("node w1")), "{through:#?}");
    assert!(through.iter().all(|s| s.starts_with("m1: ") && !s.contains("w2")), "{through:#?}");
    assert!(world::limited(&Goal::Keep, &inv, &run.after, &["w1"]).plan.is_empty());
}

/// Removes a member from etcd's member list, and leaves its data on its host.
fn forget(facts: &mut Facts, member: &str) {
    facts.hosts.values_mut().for_each(|f| f.members.iter_mut().for_each(|list| list.retain(|m| m.name != member)));
}

#[test]
fn the_data_of_a_former_member_concerns_the_runs_that_need_its_host() {
    let inv = world::inventory("v1.36.2");
    let mut facts = world::finished(&inv);
    forget(&mut facts, "m3");
    let kept = world::whole(&Goal::Keep, &inv, &facts).refusals;
    assert_eq!(kept.iter().map(|b| (b.host.as_str(), b.name)).collect::<Vec<_>>(), [("m3", "etcd-data")]);
    assert!(kept[0].fix.contains("clusterctl remove m3"), "a reset would be refused: {kept:?}");
    let removal = |host: &str| world::whole(&Goal::Remove(world::leaving(&[host], false)), &inv, &facts);
    let run = removal("w1");
    assert_eq!(run.refusals, []);
    assert!(!run.plan.hosts().contains("m3"), "{}", run.plan);
    assert_eq!(removal("m3").refusals, []);
}
