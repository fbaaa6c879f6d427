//! Refusals and plans of `remove` and `replace`: what must answer before and while a host leaves the cluster.

use clusterctl::facts::Facts;
use clusterctl::inventory::Inventory;
use clusterctl::plan::Goal;

use super::world;

fn refused(inv: &Inventory, facts: &Facts, hosts: &[&str], dead: bool) -> Vec<&'static str> {
    world::whole(&Goal::Remove(world::leaving(hosts, dead)), inv, facts).refusals.into_iter().map(|b| b.name).collect()
}

#[test]
fn the_last_api_server_that_answers_is_not_removed() {
    let inv = world::inventory("v1.36.2");
    let mut facts = world::finished(&inv);
    for host in ["m2", "m3"] {
        facts.host_mut(host).api_version = None;
    }
    assert_eq!(refused(&inv, &facts, &["m1"], false), ["last-api-server"]);
    assert_eq!(refused(&inv, &facts, &["m2"], false), [""; 0], "m1 stays");
    assert_eq!(refused(&inv, &facts, &["w1"], false), [""; 0]);
    facts.host_mut("m3").api_version = Some("v1.36.2".into());
    assert_eq!(refused(&inv, &facts, &["m1"], false), [""; 0]);
}

#[test]
fn another_api_server_is_asked_directly_before_one_is_stopped_for_good() {
    let inv = world::inventory("v1.36.2");
    let mut facts = world::finished(&inv);
    facts.host_mut("m2").api_version = None;
    let steps = world::steps_of(&world::removal(&inv, &facts, &["m1"], false).0);
    let stop = steps.iter().position(|s| s.starts_with("m1: stop static pods")).expect("it is stopped");
    assert_eq!(steps[stop - 1], "m1: check that the API server at 172.30.0.13:6443 answers", "{steps:#?}");
}
