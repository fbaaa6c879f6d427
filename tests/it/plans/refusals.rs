//! Tests of reasons for which clusterctl refuses to change anything: the ports, addresses, cgroups, sysctls or kubelet of a host, hosts that do not
//! answer, and an etcd without its quorum.

use clusterctl::facts::{Facts, Listener};
use clusterctl::inventory::Inventory;
use clusterctl::plan::refusals::{self, Purpose};

use super::world;

fn refusals(inv: &Inventory, facts: &Facts) -> Vec<(String, &'static str, String)> {
    refusals::of(inv, facts, Purpose::Found).into_iter().map(|b| (b.host, b.name, b.message)).collect()
}

fn listens(facts: &mut Facts, host: &str, port: u16, process: &str) {
    facts.host_mut(host).listeners.push(Listener { port, process: process.into() });
}

#[test]
fn a_port_that_another_program_holds_is_refused_whatever_the_program_is() {
    let inv = world::inventory("v1.36.2");
    for (host, port, process) in [
        ("m1", 6443, "haproxy (pid 7)"),
        ("m1", 6443, "k3s-server (pid 7)"),
        ("m1", 2381, "node_exporter (pid 7)"),
        ("m1", 2379, "kube-apiserver (pid 7)"),
        ("w1", 10248, "python3 (pid 7)"),
        ("w1", 10249, "python3 (pid 7)"),
        ("w1", 10256, "java (pid 7)"),
        ("w1", 10250, "etcd (pid 7)"),
    ] {
        let mut facts = world::bare(&inv);
        listens(&mut facts, host, port, process);
        let found = refusals(&inv, &facts);
        assert_eq!(found.len(), 1, "{port} {process}: {found:?}");
        assert_eq!((found[0].0.as_str(), found[0].1), (host, "port"));
        assert!(found[0].2.contains(process) && found[0].2.contains(&port.to_string()), "{found:?}");
    }
}

#[test]
fn a_port_that_its_own_program_holds_is_no_hindrance() {
    let mut inv = world::inventory("v1.36.2");
    let mut facts = world::bare(&inv);
    for (port, process) in [
        (6443, "kube-apiserver"),
        (2381, "etcd"),
        (10257, "kube-controller"),
        (10250, "kubelet"),
        (10256, "kube-proxy"),
        (10259, "kube-scheduler"),
    ] {
        listens(&mut facts, "m1", port, &format!("{process} (pid 7)"));
    }
    assert_eq!(refusals(&inv, &facts), []);
    // Any program may hold a port that a component is configured not to use.
    listens(&mut facts, "w1", 10249, "java (pid 7)");
    inv.addons.kube_proxy.config.insert("metricsBindAddress".into(), "0.0.0.0:11249".into());
    assert_eq!(refusals(&inv, &facts), []);
}

#[test]
fn an_address_that_the_host_does_not_have_is_refused() {
    let inv = world::inventory("v1.36.2");
    let mut facts = world::bare(&inv);
    facts.host_mut("w2").addresses.retain(|address, _| address.is_loopback());
    let found = refusals(&inv, &facts);
    assert_eq!(found.iter().map(|(host, name, _)| (host.as_str(), *name)).collect::<Vec<_>>(), [("w2", "address")]);
    assert!(found[0].2.contains("172.30.0.22"), "{found:?}");
}

#[test]
fn cgroup_v1_is_refused_where_the_kubelet_does_not_start_with_it() {
    for (version, refused) in [("v1.34.2", 0), ("v1.36.2", 1)] {
        let mut inv = world::inventory(version);
        let mut facts = world::bare(&inv);
        facts.host_mut("w1").cgroup_fs = "tmpfs".into();
        let found = refusals(&inv, &facts);
        assert_eq!(found.iter().filter(|(host, name, _)| host == "w1" && *name == "cgroup-v1").count(), refused, "{version}: {found:?}");
        inv.kubelet.config.insert("failCgroupV1".into(), false.into());
        assert_eq!(refusals(&inv, &facts), [], "{version}");
    }
}

#[test]
fn a_file_that_takes_forwarding_back_at_the_next_boot_is_refused() {
    let inv = world::inventory("v1.36.2");
    let said = |key: &str, value: &str| {
        let mut facts = world::bare(&inv);
        facts.host_mut("w1").boot_sysctls.insert(key.into(), (value.into(), "/etc/sysctl.d/99-sysctl.conf".into()));
        refusals(&inv, &facts)
    };
    let found = said("net.ipv4.ip_forward", "0");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0.as_str(), found[0].1), ("w1", "sysctl-at-boot"));
    assert!(found[0].2.starts_with("/etc/sysctl.d/99-sysctl.conf sets net.ipv4.ip_forward = 0"), "{found:?}");
    assert_eq!(said("net.ipv4.ip_forward", "1"), []);
    assert_eq!(said("net.ipv6.conf.all.forwarding", "0"), [], "its pods have no IPv6");
}

#[test]
fn a_kubelet_that_would_not_start_with_the_state_of_another_policy_is_refused() {
    let mut inv = world::inventory("v1.36.2");
    let mut facts = world::finished(&inv);
    facts.host_mut("w1").kubelet_policies.insert("cpu".into(), "none".into());
    facts.host_mut("w2").kubelet_policies.insert("memory".into(), "None".into());
    assert_eq!(refusals(&inv, &facts), [], "the policies are those of the inventory");
    inv.kubelet.config.insert("cpuManagerPolicy".into(), "static".into());
    let found = refusals(&inv, &facts);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0.as_str(), found[0].1), ("w1", refusals::KUBELET_STATE));
    assert!(found[0].2.contains("cpuManagerPolicy changes from none to static"), "{found:?}");
    facts.host_mut("w1").kubelet_policies.insert("cpu".into(), "static".into());
    assert_eq!(refusals(&inv, &facts), []);
    inv.kubelet.extra_args.insert("cpu-manager-policy".into(), "none".into());
    assert_eq!(refusals(&inv, &facts).len(), 1, "a flag goes before the configuration");
}

#[test]
fn that_there_is_no_cluster_is_said_only_where_every_host_that_would_know_of_it_answers() {
    let inv = world::inventory("v1.36.2");
    let named = |facts: &Facts, purpose| -> Vec<String> {
        refusals::of(&inv, facts, purpose).into_iter().map(|b| format!("{} {}", b.host, b.name)).collect()
    };
    let bare = world::bare(&inv);
    assert_eq!(named(&bare, Purpose::Keep), [" no-cluster"]);
    let mut without = bare.clone();
    without.hosts.remove("w1");
    assert_eq!(named(&without, Purpose::Keep), [" no-cluster"], "a worker knows nothing more");
    for purpose in [Purpose::Keep, Purpose::Upgrade, Purpose::Repair, Purpose::Found] {
        let mut without = bare.clone();
        without.hosts.remove("m1");
        assert_eq!(named(&without, purpose), ["m1 unreachable-master"], "{purpose:?}");
    }
    let mut finished = world::finished(&inv);
    finished.hosts.remove("m1");
    assert!(!named(&finished, Purpose::Keep).iter().any(|n| n.contains("no-cluster") || n.contains("unreachable")));
}

#[test]
fn nothing_is_begun_in_a_cluster_whose_etcd_cannot_have_its_quorum() {
    let inv = world::inventory("v1.36.2");
    let mut facts = world::finished(&inv);
    facts.cluster = None;
    facts.hosts.values_mut().for_each(|f| f.api_version = None);
    facts.hosts.values_mut().filter_map(|f| f.members.as_mut()).flatten().for_each(|m| m.leader = false);
    let names = |facts: &Facts, purpose| -> Vec<&str> { refusals::of(&inv, facts, purpose).into_iter().map(|b| b.name).collect() };
    for purpose in [Purpose::Keep, Purpose::Upgrade, Purpose::Repair] {
        assert!(!names(&facts, purpose).contains(&"etcd-quorum"), "{purpose:?}: all of them answer");
        let mut one = facts.clone();
        one.hosts.remove("m2");
        assert!(!names(&one, purpose).contains(&"etcd-quorum"), "{purpose:?}: two of three answer");
        one.hosts.remove("m3");
        assert!(names(&one, purpose).contains(&"etcd-quorum"), "{purpose:?}: one of three answers");
        let mut ended = one.clone();
        ended.host_mut("m1").pods.remove("etcd");
        assert!(!names(&ended, purpose).contains(&"etcd-quorum"), "{purpose:?}: its own member is down, and a repair starts it");
        one.host_mut("m1").members.iter_mut().flatten().for_each(|m| m.leader = m.name == "m2");
        assert!(!names(&one, purpose).contains(&"etcd-quorum"), "{purpose:?}: it sees a leader, so the others run");
    }
}

#[test]
fn the_flag_of_the_kubelet_wins_over_its_configuration_for_swap() {
    let mut inv = world::inventory("v1.36.2");
    let mut facts = world::bare(&inv);
    facts.host_mut("w1").swap = true;
    assert_eq!(refusals(&inv, &facts).len(), 1);
    inv.kubelet.extra_args.insert("fail-swap-on".into(), "false".into());
    assert_eq!(refusals(&inv, &facts), []);
    inv.kubelet.extra_args.insert("fail-swap-on".into(), "true".into());
    inv.kubelet.config.insert("failSwapOn".into(), false.into());
    assert_eq!(refusals(&inv, &facts).len(), 1);
}

#[test]
fn apply_changes_etcd_only_on_a_way_that_etcd_allows() {
    let mut inv = world::inventory("v1.33.2");
    let facts = world::finished(&inv);
    let names = |inv: &Inventory, purpose| -> Vec<&str> { refusals::of(inv, &facts, purpose).into_iter().map(|b| b.name).collect() };
    assert_eq!(names(&inv, Purpose::Keep), [""; 0]);
    for tag in ["3.7.0-0", "3.4.13-0"] {
        inv.etcd.image_tag = Some(tag.into());
        assert_eq!(names(&inv, Purpose::Keep), ["etcd-path"], "{tag}");
        assert_eq!(names(&inv, Purpose::Repair), [""; 0], "a repair leaves a member as it is");
    }
}
