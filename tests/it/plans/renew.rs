//! Plans of `certs renew`: certificates of a healthy cluster, of one host, and of a cluster whose certificates have all expired.

use std::sync::OnceLock;
use std::time::Duration;

use clusterctl::facts::Facts;
use clusterctl::inventory::Inventory;
use clusterctl::layout;
use clusterctl::pki::{self, Renew};
use clusterctl::plan::{Goal, Width};

use super::identities::{made, rotate};
use super::world::{self, NOW, steps_of};

const DAY: u64 = 86_400;
const MASTERS: [&str; 3] = ["m1", "m2", "m3"];

/// A renewal of the certificates with these names, or of all, that were made more than an hour ago.
fn renew(names: &[&'static str]) -> Goal {
    Goal::Renew(Renew { names: names.iter().copied().collect(), before: NOW - Duration::from_secs(3600) })
}

/// A cluster that was founded this many days ago. Its workers' kubelets got their certificates at `rotated`.
fn founded(inv: &Inventory, days: u64, rotated: &str) -> Facts {
    let mut facts = world::finished_at(NOW - Duration::from_secs(days * DAY), inv);
    for h in inv.nodes().filter(|h| !h.has(clusterctl::inventory::Role::ControlPlane)) {
        rotate(&mut facts, &h.name, made(&h.name, rotated));
    }
    facts
}

/// What expired certificates do to these hosts: neither etcd nor an API server answers, and the kubelet starts again and again.
fn down(facts: &mut Facts, hosts: &[&str]) {
    for host in hosts {
        let f = facts.host_mut(host);
        (f.api_version, f.members) = (None, None);
        f.pods.clear();
        if let Some(kubelet) = f.units.get_mut("kubelet") {
            kubelet.active = "activating".into();
        }
    }
}

/// A cluster of these hosts that was founded more than a year ago and has no valid certificate any more.
fn expired(inv: &Inventory) -> Facts {
    let mut facts = founded(inv, 400, "2026-10-01");
    facts.cluster = None;
    down(&mut facts, &inv.hosts.iter().map(|h| h.name.as_str()).collect::<Vec<_>>());
    facts
}

type World = (&'static str, Inventory, Facts, Vec<&'static str>);

/// Clusters with the names of the certificates to renew.
fn worlds() -> Vec<World> {
    static MADE: OnceLock<Vec<World>> = OnceLock::new();
    MADE.get_or_init(make).clone()
}

fn make() -> Vec<World> {
    let inv = world::inventory("v1.36.2");
    let healthy = founded(&inv, 30, "2026-11-20");
    let mut one = healthy.clone();
    for (path, old) in &founded(&inv, 400, "2026-10-01").host("m2").files {
        one.host_mut("m2").files.insert(path.clone(), old.clone());
    }
    down(&mut one, &["m2"]);
    let mut worker = healthy.clone();
    rotate(&mut worker, "w1", made("w1", "2026-10-01"));
    let external = world::external("v1.36.2", 3);
    let single = world::shapes("v1.36.2").into_iter().find(|(name, _)| *name == "single node").expect("it is among them").1;
    vec![
        ("a healthy cluster", inv.clone(), healthy.clone(), vec![]),
        ("some of a healthy cluster", inv.clone(), healthy.clone(), vec!["apiserver", "etcd-peer", "scheduler.conf"]),
        ("kubelets of a healthy cluster", inv.clone(), healthy, vec![pki::KUBELET]),
        ("one host was off for a year", inv.clone(), one, vec![]),
        ("a worker's kubelet", inv.clone(), worker, vec![]),
        ("all expired", inv.clone(), expired(&inv), vec![]),
        ("all expired, etcd on its own hosts", external.clone(), expired(&external), vec![]),
        ("etcd on its own hosts", external.clone(), founded(&external, 30, "2026-11-20"), vec![]),
        ("a single node, all expired", single.clone(), expired(&single), vec![]),
    ]
}

/// The steps sorted by host. Hosts are worked on side by side or one after another; either way, a host's own steps have one order.
fn by_host(mut steps: Vec<String>) -> Vec<String> {
    steps.sort_by_key(|step| step.split_once(": ").map(|(host, _)| host.to_string()));
    steps
}

#[test]
fn a_renewal_goes_on_after_any_prefix_and_ends() {
    for (name, inv, facts, names) in worlds() {
        let again = |facts: &Facts| world::run(&renew(&names), &inv, facts);
        let (plan, after) = again(&facts);
        assert!(!plan.is_empty(), "{name}");
        assert!(again(&after).0.is_empty(), "{name}:\n{}", again(&after).0);
        let mut now = facts.clone();
        let mut done: Vec<String> = vec![];
        for (_, host, planned) in plan.steps() {
            let all = [done.clone(), steps_of(&again(&now).0)].concat();
            assert_eq!(by_host(all), by_host(steps_of(&plan)), "{name}: after {done:#?}");
            planned.step.predict(host, &mut now);
            assert!(planned.step.pending(host, &now).is_none(), "{name}: {host}: {}", planned.title);
            done.push(format!("{host}: {}", planned.title));
        }
    }
}

#[test]
fn no_renewal_shows_a_key() {
    for (name, inv, facts, names) in worlds() {
        let plan = world::run(&renew(&names), &inv, &facts).0;
        let shown = format!("{plan}\n{}\n{plan:?}", serde_json::to_string(&plan).expect("a plan is serialisable"));
        assert!(!shown.contains("PRIVATE KEY"), "{name}");
    }
}

#[test]
fn a_renewal_stops_no_member_of_etcd_and_no_api_server() {
    for (name, inv, facts, names) in worlds() {
        let plan = world::run(&renew(&names), &inv, &facts).0;
        for (_, host, planned) in plan.steps() {
            let pods: Vec<&str> = planned.step.static_pods().iter().map(|p| p.component).collect();
            let harmless = pods.iter().all(|p| matches!(*p, "kube-scheduler" | "kube-controller-manager"));
            let unit = planned.step.kind() != "unit" || planned.title.ends_with(" kubelet");
            assert!(harmless && unit, "{name}: {host}: {}", planned.title);
        }
    }
}

#[test]
fn a_cluster_whose_certificates_have_all_expired() {
    let (_, inv, facts, _) = worlds().remove(5);
    let plan = world::run(&renew(&[]), &inv, &facts).0;
    insta::assert_snapshot!("renew-expired", world::titles(&plan));
    let certificates = plan.phases.iter().find(|p| p.name == "certificates").expect("it is in the plan");
    assert_eq!(certificates.width, Width::All, "members with expired certificates do not talk to each other");
}

#[test]
fn a_healthy_cluster_is_renewed_one_control_plane_after_another() {
    let (_, inv, facts, _) = worlds().remove(0);
    let plan = world::run(&renew(&[]), &inv, &facts).0;
    insta::assert_snapshot!("renew-healthy", world::titles(&plan));
    assert!(plan.phases.iter().filter(|p| p.hosts.len() > 1).all(|p| p.width == Width::One));
    assert!(!plan.hosts().contains("w1"), "its kubelet renews its certificate by itself");
}

#[test]
fn a_host_whose_certificates_have_expired_comes_last() {
    let (_, inv, facts, _) = worlds().remove(3);
    let plan = world::run(&renew(&[]), &inv, &facts).0;
    let phase = plan.phases.iter().find(|p| p.name == "control plane").expect("it is in the plan");
    assert_eq!(phase.hosts.iter().map(|t| t.host.as_str()).collect::<Vec<_>>(), ["m1", "m3", "m2"]);
}

#[test]
fn names_restrict_a_renewal() {
    let (_, inv, facts, _) = worlds().remove(0);
    let files = |names: &[&'static str]| -> Vec<String> {
        steps_of(&world::run(&renew(names), &inv, &facts).0).into_iter().filter(|t| t.starts_with("m1: write")).collect()
    };
    let pki = |base: &str| format!("{0}/{base}.key {0}/{base}.crt", layout::PKI_DIR);
    assert_eq!(files(&["etcd-server"]), [format!("m1: write 2 files: {}", pki("etcd/server"))]);
    assert_eq!(files(&["admin.conf"]), [format!("m1: write {}", layout::ADMIN_CONF)]);
    assert_eq!(steps_of(&world::run(&renew(&["admin.conf"]), &inv, &facts).0).len(), 3, "nothing is restarted");
    let kubelets = steps_of(&world::run(&renew(&[pki::KUBELET]), &inv, &facts).0);
    assert!(kubelets.contains(&"w2: start or restart kubelet".to_string()), "{kubelets:#?}");
}

#[test]
fn what_was_made_within_the_hour_is_kept() {
    let inv = world::inventory("v1.36.2");
    assert!(world::run(&renew(&[]), &inv, &world::finished(&inv)).0.is_empty());
}

#[test]
fn a_renewal_changes_no_flag_and_no_version() {
    let (_, mut inv, facts, _) = worlds().remove(0);
    let before = steps_of(&world::run(&renew(&[]), &inv, &facts).0);
    inv.control_plane.scheduler.extra_args.insert("v".into(), "4".into());
    inv.kubelet.config.insert("maxPods".into(), 50.into());
    assert_eq!(steps_of(&world::run(&renew(&[]), &inv, &facts).0), before);
}

#[test]
fn other_runs_name_expired_certificates_and_what_renews_them() {
    let names = |run: clusterctl::plan::WholeRun| run.refusals.iter().map(|r| (r.host.clone(), r.name)).collect::<Vec<_>>();
    let (_, inv, facts, _) = worlds().remove(5);
    let repair = world::repair(&Goal::Keep, &inv, &facts).expect("it is refused");
    assert!(repair.refusals.iter().any(|r| r.name == "certificates-expired" && r.fix.contains("`clusterctl certs renew`")));
    let upgrade = Goal::Upgrade(Box::new(world::upgrade(&inv)));
    let repair = world::repair(&upgrade, &inv, &facts).expect("it is refused");
    assert!(names(repair).contains(&(String::new(), "certificates-expired")));
    let (_, inv, facts, _) = worlds().remove(3);
    assert_eq!(names(world::whole(&Goal::Keep, &inv, &facts)), [("m2".to_string(), "certificates-expired")]);
}

#[test]
fn a_renewal_is_refused_where_it_could_not_help() {
    let refused = |inv: &Inventory, facts: &Facts| -> Vec<&'static str> {
        world::whole(&renew(&[]), inv, facts).refusals.iter().map(|r| r.name).collect()
    };
    let inv = world::inventory("v1.36.2");
    assert_eq!(refused(&inv, &world::bare(&inv)), ["no-cluster"]);
    let mut two_silent = expired(&inv);
    MASTERS[1..].iter().for_each(|m| drop(two_silent.hosts.remove(*m)));
    assert_eq!(refused(&inv, &two_silent), ["etcd-quorum"]);
    let mut one_silent = expired(&inv);
    one_silent.hosts.remove("m3");
    assert_eq!(refused(&inv, &one_silent), [""; 0]);
    let some = world::whole(&renew(&["apiserver"]), &inv, &expired(&inv)).refusals;
    assert!(some[0].name == "certificates-expired" && some[0].message.contains("front-proxy-client.crt"), "{some:?}");
    assert!(!some[0].message.contains("apiserver.crt"), "{some:?}");
    let mut wrong_clock = expired(&inv);
    wrong_clock.host_mut("m1").clock_offset = 400.0 * DAY as f64;
    assert_eq!(refused(&inv, &wrong_clock), ["clock"]);
}
