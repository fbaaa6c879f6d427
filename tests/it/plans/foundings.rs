//! Refusals of `init`: hosts of another cluster of the same name, and the hosts of an interrupted `init`, which are not refused.

use clusterctl::facts::{Facts, FileFact, FileKind};
use clusterctl::inventory::Inventory;
use clusterctl::plan::{Goal, WholeRun};

use super::world;

fn file(facts: &mut Facts, host: &str, path: &str, text: &str) {
    let kind = FileKind::File(text.into());
    facts.host_mut(host).files.insert(path.into(), FileFact { kind, mode: 0o600, uid: 0, gid: 0 });
}

fn mark(facts: &mut Facts, host: &str) {
    file(facts, host, "/var/lib/clusterctl/cluster", "cluster: ha\nca: 0123456789abcdef\n");
}

fn names(run: &WholeRun) -> Vec<(&str, &str)> {
    run.refusals.iter().map(|b| (b.host.as_str(), b.name)).collect()
}

#[test]
fn a_worker_of_a_living_cluster_of_the_same_name_is_refused() {
    let inv = world::inventory("v1.36.2");
    let mut facts = world::bare(&inv);
    mark(&mut facts, "w2");
    file(&mut facts, "w2", "/var/lib/kubelet/config.yaml", "kind: KubeletConfiguration\n");
    let alone = world::without_authorities(&Goal::Found, &inv, &facts);
    assert_eq!(names(&alone), [("w2", "foreign-cluster")], "there is no CA yet, so it is in another cluster");
    assert!(alone.refusals[0].message.contains("0123456789ab"), "{:?}", alone.refusals);
    assert_eq!(names(&world::whole(&Goal::Found, &inv, &facts)), [("w2", "foreign-cluster")], "the operator gave another CA");
}

#[test]
fn an_etcd_host_with_the_mark_of_another_ca_is_refused() {
    let inv = world::external("v1.36.2", 3);
    let mut facts = world::bare(&inv);
    mark(&mut facts, "e2");
    assert_eq!(names(&world::whole(&Goal::Found, &inv, &facts)), [("e2", "foreign-cluster")]);
    assert_eq!(names(&world::without_authorities(&Goal::Found, &inv, &facts)), [], "an interrupted init marks etcd hosts first");
}

#[test]
fn a_load_balancer_that_an_interrupted_init_has_marked_is_not_refused() {
    let inv = world::inventory("v1.36.2");
    let mut facts = world::bare(&inv);
    mark(&mut facts, "lb1");
    assert_eq!(names(&world::without_authorities(&Goal::Found, &inv, &facts)), []);
}

#[test]
fn an_init_that_made_its_own_ca_goes_on_after_any_prefix() {
    let of_its_own = super::balancers::kinds().into_iter().map(|(_, inv)| inv);
    for inv in of_its_own.chain([world::inventory("v1.36.2"), world::external("v1.36.2", 3)]) {
        goes_on(&inv);
    }
}

fn goes_on(inv: &Inventory) {
    let mut now = world::bare(inv);
    let plan = world::without_authorities(&Goal::Found, inv, &now).plan;
    let marks = |title: &str| title.contains("/var/lib/clusterctl/cluster") || title.contains("kubelet");
    for (_, host, planned) in plan.steps() {
        planned.step.predict(host, &mut now);
        if marks(&planned.title) {
            assert_eq!(names(&world::without_authorities(&Goal::Found, inv, &now)), [], "after {host}: {}", planned.title);
        }
    }
}
