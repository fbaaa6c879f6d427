//! Plans in which hosts join an existing cluster.

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
