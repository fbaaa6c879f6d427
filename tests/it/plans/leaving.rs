//! Refusals of a reset: because of members of etcd, of hosts of another cluster, and of mounts inside folders that are removed.

use clusterctl::facts::{Facts, FileFact, FileKind};
use clusterctl::host::Secret;
use clusterctl::inventory::Inventory;
use clusterctl::plan::refusals::leaving;

use super::world;

/// The host and the name of every refusal to reset these hosts of a finished cluster. An empty `limit` means all hosts.
fn refusals(inv: &Inventory, facts: &Facts, limit: &[&str]) -> Vec<(String, &'static str)> {
    let selected: Vec<String> = match limit {
        [] => inv.hosts.iter().map(|h| h.name.clone()).collect(),
        names => names.iter().map(ToString::to_string).collect(),
    };
    leaving::of_reset(inv, facts, &selected, &selected).into_iter().map(|b| (b.host, b.name)).collect()
}

/// A finished cluster with stacked etcd.
fn finished() -> (Inventory, Facts) {
    let inv = world::inventory("v1.34.2");
    let facts = world::finished(&inv);
    (inv, facts)
}

fn on(hosts: &[&str], name: &'static str) -> Vec<(String, &'static str)> {
    hosts.iter().map(|h| (h.to_string(), name)).collect()
}

#[test]
fn a_member_of_etcd_is_not_reset_while_the_cluster_goes_on() {
    let (stacked, facts) = finished();
    assert_eq!(refusals(&stacked, &facts, &["m1"]), on(&["m1"], "etcd-member"));
    assert_eq!(refusals(&stacked, &facts, &["w1"]), []);
    assert_eq!(refusals(&stacked, &facts, &[]), []);

    let external = world::external("v1.34.2", 3);
    let facts = world::finished(&external);
    assert_eq!(refusals(&external, &facts, &["e1", "e2"]), on(&["e1", "e2"], "etcd-member"));
    assert_eq!(refusals(&external, &facts, &["e1", "e2", "e3"]), on(&["e1", "e2", "e3"], "etcd-member"), "the API servers need them");
    assert_eq!(refusals(&external, &facts, &["m1", "m2", "w1"]), on(&["m1", "m2"], "control-plane"));
}

#[test]
fn a_member_counts_by_the_list_of_etcd_and_not_by_its_role() {
    let facts = world::finished(&world::external("v1.34.2", 3));
    let mut inv = world::external("v1.34.2", 2);
    let third = world::hosts("v1.34.2", &[("m1", 11, "control-plane"), ("e3", 43, "worker"), ("lb1", 31, "load-balancer")]);
    inv.hosts.extend(third.hosts.into_iter().filter(|h| h.name == "e3"));
    assert_eq!(refusals(&inv, &facts, &["e3"]), on(&["e3"], "etcd-member"));
    // If no host can be asked for the list of members, a host with the data of a member counts as a member, so its reset is refused.
    let mut away = facts.clone();
    away.hosts.values_mut().for_each(|h| h.members = None);
    assert_eq!(refusals(&inv, &away, &["e3"]), on(&["e3"], "etcd-member"));
    // A host that is no longer in the list of members may be reset.
    let mut left = facts;
    left.hosts.values_mut().for_each(|h| h.members.iter_mut().for_each(|list| list.retain(|m| m.name != "e3")));
    assert_eq!(refusals(&inv, &left, &["e3"]), []);
}

#[test]
fn a_host_of_another_cluster_of_the_same_name_is_not_reset() {
    let (inv, mut facts) = finished();
    let mark = FileKind::File(Secret::from("cluster: ha\nca: 0123456789abcdef\n"));
    facts.host_mut("w2").files.insert("/var/lib/clusterctl/cluster".into(), FileFact { kind: mark, mode: 0o600, uid: 0, gid: 0 });
    assert_eq!(refusals(&inv, &facts, &["w2"]), on(&["w2"], "foreign-cluster"));
    assert_eq!(refusals(&inv, &facts, &[]), on(&["w2"], "foreign-cluster"));
    assert_eq!(refusals(&inv, &facts, &["w1"]), []);
}

#[test]
fn a_member_of_a_cluster_that_the_inventory_lists_in_part_is_not_reset() {
    let (_, mut facts) = finished();
    let part = world::hosts("v1.34.2", &[("m3", 13, "control-plane"), ("lb1", 31, "load-balancer")]);
    facts.hosts.retain(|name, _| part.host(name).is_some());
    assert_eq!(refusals(&part, &facts, &[]), on(&["m3"], "etcd-member"));
    // Without a leader, no cluster goes on that this member would know of.
    let mut alone = facts.clone();
    alone.host_mut("m3").members.iter_mut().flatten().for_each(|m| m.leader = false);
    assert_eq!(refusals(&part, &alone, &[]), []);
    // A member that already votes is protected even if the run in which it joined did not end well.
    facts.host_mut("m3").files.remove("/var/lib/clusterctl/established");
    assert_eq!(refusals(&part, &facts, &[]), on(&["m3"], "etcd-member"));
}

#[test]
fn what_is_mounted_inside_a_folder_that_is_removed_is_named() {
    let (inv, mut facts) = finished();
    facts.host_mut("m2").mounts = vec!["/var/lib/etcd/backup".into()];
    assert_eq!(refusals(&inv, &facts, &[]), on(&["m2"], "mount"));
    assert_eq!(refusals(&inv, &facts, &["w1"]), []);
}

#[test]
fn docker_keeps_its_containerd() {
    let (inv, mut facts) = finished();
    let touches = |facts: &Facts| {
        let plan = world::reset(&inv, facts).0;
        let of_w1 = plan.steps().filter(|(_, host, _)| *host == "w1");
        of_w1.filter(|(_, _, s)| s.title == "stop containerd" || s.title.contains("/etc/containerd/config.toml")).count()
    };
    assert_eq!(touches(&facts), 2);
    for package in ["containerd.io", "docker.io"] {
        facts.host_mut("w1").packages.insert(package.into());
        assert_eq!(touches(&facts), 0, "{package}");
        facts.host_mut("w1").packages.remove(package);
    }
    facts.host_mut("w1").other_containers.insert("default".into());
    assert_eq!(touches(&facts), 0, "another program runs containers with it");
}

#[test]
fn a_reset_removes_only_what_clusterctl_wrote_for_the_runtime() {
    let mut inv = world::inventory("v1.34.2");
    inv.artifacts.registry_mirrors.insert("ghcr.io".into(), vec!["https://mirror.example".into()]);
    let mut facts = world::finished(&inv);
    let folder = FileFact { kind: FileKind::Directory, mode: 0o755, uid: 0, gid: 0 };
    for path in ["/etc/containerd/certs.d", "/etc/containerd/certs.d/ghcr.io", "/etc/containerd/certs.d/quay.io"] {
        facts.host_mut("w1").files.insert(path.into(), folder.clone());
    }
    let removed = |facts: &Facts, of: &str| {
        let plan = world::reset(&inv, facts).0;
        let titles: Vec<String> = plan.steps().filter(|(_, host, _)| *host == "w1").map(|(_, _, s)| s.title.clone()).collect();
        let words: Vec<String> = titles.iter().flat_map(|t| t.split(' ')).filter(|w| w.starts_with(of)).map(String::from).collect();
        words
    };
    assert_eq!(removed(&facts, "/etc/containerd/certs.d"), ["/etc/containerd/certs.d"]);
    let theirs = FileFact { kind: FileKind::File(Secret::from("server = \"https://quay.io\"\n")), mode: 0o600, uid: 0, gid: 0 };
    facts.host_mut("w1").files.insert("/etc/containerd/certs.d/quay.io/hosts.toml".into(), theirs.clone());
    assert_eq!(removed(&facts, "/etc/containerd/certs.d"), ["/etc/containerd/certs.d/ghcr.io"]);
    facts.host_mut("w1").files.insert("/etc/containerd/certs.d/ghcr.io/ca.crt".into(), theirs);
    assert_eq!(removed(&facts, "/etc/containerd/certs.d"), ["/etc/containerd/certs.d/ghcr.io/hosts.toml"]);

    let link = |to: &str| FileFact { kind: FileKind::Link(to.into()), mode: 0o777, uid: 0, gid: 0 };
    facts.host_mut("w1").files.insert("/opt/cni/bin/cilium-cni".into(), link("/opt/cilium/cni"));
    facts.host_mut("w1").files.insert("/opt/cni/bin/bridge".into(), link("/opt/plugins/bridge"));
    let links = removed(&facts, "/opt/cni");
    assert!(links.contains(&"/opt/cni/bin/host-local".to_string()) && links.len() == 6, "{links:?}");
}
