//! Repairs of control planes while no API server answers, or while one API server does not answer in the middle of an upgrade.

use clusterctl::facts::Facts;
use clusterctl::inventory::Inventory;
use clusterctl::plan::{Goal, Plan, Width, repair};

use super::world;

const MANIFESTS: &str = "/etc/kubernetes/manifests";
const MASTERS: [&str; 3] = ["m1", "m2", "m3"];

/// A finished cluster in which no API server answers.
fn silent() -> (Inventory, Facts) {
    let inv = world::inventory("v1.36.2");
    let mut facts = world::finished(&inv);
    facts.cluster = None;
    for m in MASTERS {
        facts.host_mut(m).api_version = None;
        facts.host_mut(m).pods.remove("kube-apiserver");
    }
    (inv, facts)
}

fn delete(facts: &mut Facts, host: &str, component: &str) {
    facts.host_mut(host).files.remove(&format!("{MANIFESTS}/{component}.yaml"));
}

/// The plan by which `apply` restores control planes before it does anything else; `None` if no change on the hosts would help.
fn repaired(inv: &Inventory, facts: &Facts) -> Option<Plan> {
    let run = world::repair(&Goal::Keep, inv, facts)?;
    assert_eq!(run.refusals, []);
    Some(run.plan)
}

fn titles(plan: &Plan) -> Vec<String> {
    let changes = plan.steps().filter(|(.., s)| !matches!(s.step.kind(), "wait" | "check-flags" | "rollback-copy"));
    changes.map(|(_, host, s)| format!("{host}: {}", s.title)).collect()
}

#[test]
fn deleted_manifests_of_all_api_servers_come_back_side_by_side_and_nothing_else_is_touched() {
    let (inv, mut facts) = silent();
    MASTERS.iter().for_each(|m| delete(&mut facts, m, "kube-apiserver"));
    let plan = repaired(&inv, &facts).expect("there is something to restore");
    let image = "registry.k8s.io/kube-apiserver:v1.36.2";
    let mut told = titles(&plan);
    told.sort();
    assert_eq!(told, MASTERS.map(|m| format!("{m}: run static pod kube-apiserver ({image})")));
    let phase = plan.phases.iter().find(|p| p.name == "control plane").expect("it restores the control plane");
    assert_eq!(phase.width, Width::All, "none of them serves, so none has to wait for another");
}

#[test]
fn a_member_of_etcd_that_has_to_be_started_makes_the_hosts_take_turns() {
    let (inv, mut facts) = silent();
    MASTERS.iter().for_each(|m| delete(&mut facts, m, "kube-apiserver"));
    delete(&mut facts, "m2", "etcd");
    facts.host_mut("m2").pods.remove("etcd");
    let plan = repaired(&inv, &facts).expect("there is something to restore");
    assert!(titles(&plan).iter().any(|t| t.starts_with("m2: run static pods etcd")), "{:?}", titles(&plan));
    assert!(plan.phases.iter().all(|p| p.name != "control plane" || p.width == Width::One));
}

#[test]
fn where_nothing_on_the_hosts_differs_there_is_nothing_to_mend() {
    let (inv, facts) = silent();
    assert!(repaired(&inv, &facts).is_none(), "a lost quorum of etcd is not mended by restarts of API servers");
}

#[test]
fn an_upgrade_is_refused_while_no_api_server_tells_its_version() {
    let (inv, facts) = silent();
    let refused = world::whole(&Goal::Upgrade(Box::new(world::upgrade(&inv))), &inv, &facts).refusals;
    assert_eq!(refused.iter().map(|b| b.name).collect::<Vec<_>>(), ["api-away"]);
}

#[test]
fn a_stopped_kubelet_is_started() {
    let (inv, mut facts) = silent();
    facts.host_mut("m1").units.entry("kubelet".into()).or_default().active = "inactive".into();
    assert!(repaired(&inv, &facts).is_some());
}

#[test]
fn a_member_of_etcd_that_is_in_place_keeps_its_image() {
    let (mut inv, mut facts) = silent();
    inv.etcd.image_tag = Some("3.6.99-0".into());
    delete(&mut facts, "m1", "kube-apiserver");
    let plan = repaired(&inv, &facts).expect("there is something to restore");
    assert!(plan.steps().all(|(_, _, s)| s.step.static_pods().iter().all(|p| p.component != "etcd")), "{:?}", titles(&plan));
}

#[test]
fn hosts_tell_the_versions_that_no_api_tells() {
    let (mut inv, mut facts) = silent();
    let hosts: Vec<_> = inv.control_planes().cloned().collect();
    let hosts: Vec<_> = hosts.iter().collect();
    assert_eq!(repair::other_version(&inv, &facts), None);
    for component in ["kube-scheduler", "kube-controller-manager"] {
        let path = format!("{MANIFESTS}/{component}.yaml");
        let newer = facts.host("m2").text(&path).expect("it is there").replace("v1.36.2", "v1.37.0");
        let file = facts.host_mut("m2").files.get_mut(&path).expect("it is there");
        file.kind = clusterctl::facts::FileKind::File(newer.as_str().into());
    }
    delete(&mut facts, "m2", "kube-apiserver");
    let groups: Vec<_> =
        repair::by_version(&hosts, &facts, &inv.cluster.version).into_iter().map(|(v, h)| (v.to_string(), h.join(" "))).collect();
    assert_eq!(groups, [("v1.36.2".into(), "m1 m3".into()), ("v1.37.0".into(), "m2".to_string())]);
    let refused = repair::other_version(&inv, &facts).expect("apply does not take a control plane to another version");
    assert_eq!((refused.name, refused.message.contains("m2 v1.37.0")), ("version", true), "{refused:?}");
    // An inventory that names another version than every host is refused as well.
    inv.cluster.version = "v1.37.0".parse().expect("it is a version");
    assert!(repair::other_version(&inv, &facts).is_some());
}

#[test]
fn an_api_server_that_answers_or_is_watched_is_not_away() {
    let (inv, mut facts) = silent();
    facts.host_mut("m1").api_version = Some("v1.36.2".into());
    facts.host_mut("m2").unsettled.insert("kube-apiserver".into());
    assert_eq!(repair::away(&inv, &facts).iter().map(|h| h.name.as_str()).collect::<Vec<_>>(), ["m3"]);
}
