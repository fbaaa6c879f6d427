//! Plans for every kind of load balancer: what the kind adds to a fresh cluster, what a switch to another kind does, and what a reset removes.

use clusterctl::facts::{Facts, Listener};
use clusterctl::inventory::Inventory;
use clusterctl::plan::refusals::Purpose;
use clusterctl::plan::{Plan, refusals};

use super::world;

/// An inventory for each kind of load balancer, with a name. haproxy on a single host is left out, because `world::inventory` has it.
pub fn kinds() -> Vec<(&'static str, Inventory)> {
    let nodes = [("m1", 11, "control-plane"), ("m2", 12, "control-plane"), ("m3", 13, "control-plane"), ("w1", 21, "worker")];
    let with = |balancers: &[(&'static str, u8, &'static str)]| [&nodes[..], balancers].concat();
    let (one, two) = (with(&[("lb1", 31, "load-balancer")]), with(&[("lb1", 31, "load-balancer"), ("lb2", 32, "load-balancer")]));
    let (v, vip) = ("v1.36.2", "endpoint: \"172.30.0.30:6443\"");
    vec![
        ("nginx", world::balanced(v, "endpoint: \"172.30.0.31:6443\"", "kind: nginx", &one)),
        ("nginx with a VIP", world::balanced(v, vip, "kind: nginx, vip: 172.30.0.30", &two)),
        ("haproxy with a VIP", world::balanced(v, vip, "kind: haproxy, vip: 172.30.0.30, virtualRouterId: 7", &two)),
        ("local", world::balanced(v, "", "kind: local", &nodes)),
        ("external", world::balanced(v, "endpoint: \"k8s.example.org:6443\"", "kind: external", &nodes)),
    ]
}

fn kind(name: &str) -> Inventory {
    kinds().into_iter().find(|(n, _)| *n == name).expect("the kind is in the list").1
}

/// The titles of the steps that concern load balancers, with their diffs if `whole` is true.
fn shown(plan: &Plan, whole: bool) -> String {
    let about = |phase: &str, host: &str, title: &str| {
        matches!(phase, "load balancer" | "endpoint")
            || host.starts_with("lb")
            || ["haproxy", "nginx", "keepalived"].iter().any(|p| title.contains(p))
    };
    let steps = plan.steps().filter(|(phase, host, s)| about(phase, host, &s.title));
    let text: String =
        steps.map(|(phase, host, s)| format!("{phase} / {host}: {}\n{}", s.title, if whole { &s.diff } else { "" })).collect();
    // Each run of the tests makes another CA, so the digest of the CA is replaced by a constant text.
    text.lines().map(|l| if l.starts_with("+ca: ") { "+ca: SHA-256\n".into() } else { format!("{l}\n") }).collect()
}

fn fresh(inv: &Inventory, whole: bool) -> String {
    let facts = world::bare(inv);
    assert_eq!(refusals::of(inv, &facts, Purpose::Found), []);
    shown(&world::plan(inv, &facts).0, whole)
}

#[test]
fn fresh_clusters() {
    insta::assert_snapshot!("balancers_nginx", fresh(&kind("nginx"), true));
    insta::assert_snapshot!("balancers_nginx_vip", fresh(&kind("nginx with a VIP"), true));
    insta::assert_snapshot!("balancers_haproxy_vip", fresh(&kind("haproxy with a VIP"), false));
    insta::assert_snapshot!("balancers_local", fresh(&kind("local"), true));
    insta::assert_snapshot!("balancers_external", fresh(&kind("external"), true));
}

#[test]
fn nothing_to_do() {
    for (name, inv) in kinds() {
        let plan = world::plan(&inv, &world::finished(&inv)).0;
        assert!(plan.is_empty(), "{name}: {plan}");
    }
}

#[test]
fn another_kind_on_the_same_hosts_takes_over_one_host_after_the_other() {
    let facts = world::finished(&kind("haproxy with a VIP"));
    insta::assert_snapshot!(
        "balancers_switch",
        world::plan(&kind("nginx with a VIP"), &facts)
            .0
            .to_string()
            .lines()
            .filter(|l| !l.starts_with("      "))
            .collect::<Vec<_>>()
            .join("\n")
    );
}

#[test]
fn a_reset_takes_them_away() {
    for name in ["nginx with a VIP", "haproxy with a VIP", "local"] {
        let inv = kind(name);
        let facts = world::finished(&inv);
        let (plan, after) = world::reset(&inv, &facts);
        let left = |h: &clusterctl::facts::HostFacts| {
            h.files.keys().filter(|p| ["nginx", "haproxy", "keepalived"].iter().any(|w| p.contains(w))).count()
                + h.units.keys().filter(|u| ["nginx", "haproxy", "keepalived"].contains(&u.as_str())).count()
        };
        assert_eq!(after.hosts.values().map(left).sum::<usize>(), 0, "{name}: {plan}");
        assert!(world::reset(&inv, &after).0.is_empty(), "{name}");
    }
}

#[test]
fn an_endpoint_that_leads_nowhere_is_a_change_that_remains() {
    let inv = kind("external");
    let mut facts = world::finished(&inv);
    facts.host_mut("w1").endpoint_ready = false;
    let plan = world::plan(&inv, &facts).0;
    assert_eq!(shown(&plan, false), "endpoint / w1: wait for the API at the endpoint k8s.example.org:6443\n");
    assert_eq!(plan.steps().count(), 1, "{plan}");
}

#[test]
fn what_is_refused() {
    let names =
        |inv: &Inventory, facts: &Facts| refusals::of(inv, facts, Purpose::Found).into_iter().map(|b| (b.host, b.name)).collect::<Vec<_>>();
    let inv = kind("nginx with a VIP");
    let mut facts = world::bare(&inv);
    facts.host_mut("lb2").addresses.clear();
    assert_eq!(names(&inv, &facts), [("lb2".to_string(), "vip-interface")]);
    for (kind, host) in [("local", "w1"), ("nginx", "lb1")] {
        let inv = self::kind(kind);
        let mut facts = world::bare(&inv);
        facts.host_mut(host).listeners.push(Listener { port: 6443, process: "apache2 (pid 7)".into() });
        assert_eq!(names(&inv, &facts), [(host.to_string(), "port")]);
    }
}
