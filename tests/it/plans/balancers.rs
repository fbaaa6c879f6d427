//! Plans for every kind of load balancer: what the kind adds to a fresh cluster, what a switch to another kind does, and what a reset removes.

use clusterctl::facts::{Facts, FileFact, FileKind, Listener, UnitFact};
use clusterctl::inventory::Inventory;
use clusterctl::layout;
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

/// Facts in which the operator runs this program on the host: it listens on these ports, and its configuration is not one of clusterctl's.
fn with_another(mut facts: Facts, host: &str, program: &str, ports: &[u16]) -> Facts {
    let f = facts.host_mut(host);
    f.units.insert(program.into(), UnitFact { active: "active".into(), enabled: "enabled".into(), stamp: String::new() });
    f.listeners.extend(ports.iter().map(|port| Listener { port: *port, process: format!("{program} (pid 7)") }));
    let path = match program {
        "haproxy" => layout::HAPROXY_CONFIG,
        "nginx" => layout::NGINX_CONFIG,
        _ => layout::KEEPALIVED_CONFIG,
    };
    let kind = FileKind::File("# The operator's.\n".into());
    f.files.insert(path.into(), FileFact { kind, mode: 0o644, uid: 0, gid: 0 });
    facts
}

#[test]
fn a_program_of_the_operator_is_not_replaced_although_it_is_one_of_ours_by_its_name() {
    let found = |inv: &Inventory, facts: &Facts| {
        refusals::of(inv, facts, Purpose::Found).into_iter().map(|b| (b.host, b.name, b.message)).collect::<Vec<_>>()
    };
    for (name, host, program, ports, rule) in [
        ("haproxy with a VIP", "lb1", "haproxy", &[6443][..], "port"),
        ("haproxy with a VIP", "lb1", "nginx", &[6443], "port"),
        ("haproxy with a VIP", "lb1", "haproxy", &[80, 443], "balancer"),
        ("haproxy with a VIP", "lb1", "keepalived", &[], "balancer"),
        ("nginx", "lb1", "nginx", &[80], "balancer"),
        ("local", "w1", "haproxy", &[443], "balancer"),
    ] {
        let inv = kind(name);
        let refused = found(&inv, &with_another(world::bare(&inv), host, program, ports));
        assert_eq!(refused.len(), 1, "{name}, {program} {ports:?}: {refused:?}");
        assert_eq!((refused[0].0.as_str(), refused[0].1), (host, rule), "{refused:?}");
        assert!(refused[0].2.contains(program) && ports.iter().all(|p| refused[0].2.contains(&p.to_string())), "{refused:?}");
    }
    // A program that the load balancer does not need may run beside it.
    for (name, host, program, ports) in
        [("haproxy with a VIP", "lb1", "nginx", &[80][..]), ("nginx", "lb1", "keepalived", &[]), ("local", "w1", "nginx", &[80, 443])]
    {
        let inv = kind(name);
        assert_eq!(found(&inv, &with_another(world::bare(&inv), host, program, ports)), [], "{name}, {program}");
    }
}

#[test]
fn a_program_of_the_operator_beside_the_load_balancer_is_neither_stopped_nor_removed() {
    for (name, host, program) in [("haproxy with a VIP", "lb1", "nginx"), ("nginx", "lb1", "keepalived"), ("nginx", "lb1", "haproxy")] {
        let inv = kind(name);
        let facts = with_another(world::finished(&inv), host, program, &[]);
        let plan = world::plan(&inv, &facts).0;
        assert!(plan.is_empty(), "{name}, {program}: {plan}");
        let (plan, after) = world::reset(&inv, &facts);
        assert!(after.host(host).units.contains_key(program), "{name}, {program}: {plan}");
        assert!(
            after.host(host).files.values().any(|f| f.kind == FileKind::File("# The operator's.\n".into())),
            "{name}, {program}: {plan}"
        );
    }
    // The haproxy of a cluster that was adopted, and one whose configuration was replaced by hand, are the cluster's own.
    let inv = kind("haproxy with a VIP");
    let mut facts = with_another(world::finished(&inv), "lb1", "haproxy", &[6443]);
    assert_eq!(refusals::of(&inv, &facts, Purpose::Keep), []);
    assert!(world::plan(&inv, &facts).0.to_string().contains("/etc/haproxy/haproxy.cfg"));
    facts = world::reset(&inv, &facts).1;
    assert!(!facts.host("lb1").files.contains_key(layout::HAPROXY_CONFIG));
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
