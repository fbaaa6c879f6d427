//! Inventories and facts to plan over: bare hosts, and what they become.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use clusterctl::facts::{Facts, FileFact, FileKind, HostFacts, MemberFact};
use clusterctl::host::Secret;
use clusterctl::inventory::Inventory;
use clusterctl::pki::FileOut;
use clusterctl::plan::cluster::{self, Inputs, JoinToken, Roll};
use clusterctl::plan::upgrade::{self, Leg, Running};
use clusterctl::plan::{Page, Plan, remove, reset};
use clusterctl::step::drain::How;
use clusterctl::versions;

/// A text that stands for every secret; it must never be seen.
pub const CANARY: &str = "CANARY-4f1c9a";

pub const CA_PEM: &str = "-----BEGIN CERTIFICATE-----\nnot a real one\n-----END CERTIFICATE-----\n";

/// Three masters, two workers, one balancer.
pub fn inventory(version: &str) -> Inventory {
    hosts(
        version,
        &[
            ("m1", 11, "control-plane"),
            ("m2", 12, "control-plane"),
            ("m3", 13, "control-plane"),
            ("w1", 21, "worker"),
            ("w2", 22, "worker"),
            ("lb1", 31, "load-balancer"),
        ],
    )
}

/// The same with etcd on hosts of its own.
pub fn external(version: &str, members: u8) -> Inventory {
    let list = [("m1", 11, "control-plane"), ("m2", 12, "control-plane"), ("w1", 21, "worker"), ("lb1", 31, "load-balancer")];
    let etcds = ["e1", "e2", "e3", "e4"].into_iter().zip(41..).take(members.into()).map(|(name, last)| (name, last, "etcd"));
    hosts(version, &list.into_iter().chain(etcds).collect::<Vec<_>>())
}

/// An inventory of these hosts: name, last part of the address, role.
pub fn hosts(version: &str, list: &[(&str, u8, &str)]) -> Inventory {
    balanced(version, "endpoint: \"172.30.0.31:6443\"", "kind: haproxy", list)
}

/// The same with another endpoint and load balancer.
pub fn balanced(version: &str, endpoint: &str, balancer: &str, list: &[(&str, u8, &str)]) -> Inventory {
    let mut text = format!("cluster: {{name: ha, version: {version}, {endpoint}}}\nloadBalancer: {{{balancer}}}\nhosts:\n");
    for (name, last, role) in list {
        text += &format!("- {{name: {name}, address: 172.30.0.{last}, roles: [{role}]}}\n");
    }
    serde_yaml::from_str(&text).expect("the test's inventory is valid")
}

/// Hosts that have never seen Kubernetes.
pub fn bare(inv: &Inventory) -> Facts {
    let host = |name: &str, address: IpAddr| HostFacts {
        addresses: BTreeMap::from([(IpAddr::from([127, 0, 0, 1]), "lo".into()), (address, "eth0".into())]),
        os_id: "debian".into(),
        os_name: "Debian GNU/Linux 12 (bookworm)".into(),
        machine: "x86_64".into(),
        hostname: name.into(),
        machine_id: format!("id-of-{name}"),
        memory_kib: 4_000_000,
        cpus: 2,
        ..HostFacts::default()
    };
    Facts {
        hosts: inv.hosts.iter().map(|h| (h.name.clone(), host(&h.name, h.node_address()))).collect(),
        cluster: None,
        snapshot_taken: false,
    }
}

/// The page over these facts, with a PKI that is there already in name only.
pub fn page(inv: &Inventory, facts: &Facts) -> Page {
    rolled(inv, facts, &Roll::default())
}

/// The same with kubelets that stay behind or come along.
pub fn rolled(inv: &Inventory, facts: &Facts, roll: &Roll) -> Page {
    let v = versions::of(&inv.cluster.version).expect("the version is supported");
    let file = |path: &str| FileOut {
        path: path.into(),
        mode: 0o600,
        content: Secret::from(format!("{CANARY} {path}")),
        secret: true,
        fresh: None,
    };
    let pki: BTreeMap<String, Vec<FileOut>> = inv
        .control_planes()
        .map(|m| {
            (
                m.name.clone(),
                [
                    "/etc/kubernetes/pki/ca.key",
                    "/etc/kubernetes/pki/ca.crt",
                    "/etc/kubernetes/admin.conf",
                    "/var/lib/kubelet/pki/kubelet-client-initial.pem",
                ]
                .map(file)
                .to_vec(),
            )
        })
        .collect();
    let token = JoinToken { id: "abcdef".into(), secret: Secret::from(CANARY), expires: "2030-01-01T00:00:00Z".into() };
    cluster::page(&Inputs { inv, facts, v, ca_pem: CA_PEM, external_ca: false, pki: &pki, token: &token, manifests: &[], roll })
        .expect("a page can be made")
}

/// What is left to do, and what the facts become.
pub fn plan(inv: &Inventory, facts: &Facts) -> (Plan, Facts) {
    Plan::of(&page(inv, facts), facts)
}

/// What is left of an upgrade to the inventory's version, leg by leg, and what the facts become.
pub fn upgraded(inv: &Inventory, facts: &Facts) -> (Plan, Facts) {
    let (mut plan, mut facts) = (Plan::default(), facts.clone());
    let through = (29..36).map(|minor| (minor, format!("v1.{minor}.9").parse().expect("a version"))).collect();
    let legs = upgrade::way(&Running::of(inv, &facts), &inv.cluster.version, &through).expect("there is a way");
    for (at, leg) in legs.iter().enumerate() {
        let mut inv = inv.clone();
        inv.cluster.version = leg.version().clone();
        let how =
            How { timeout: Duration::from_secs(900), force: false, delete_emptydir_data: false, grace_period: -1, disable_eviction: false };
        let roll = match leg {
            Leg::ControlPlane(_) => Roll {
                held: Running::of(&inv, &facts).kubelets,
                next: legs[at..].iter().find(|l| matches!(l, Leg::Kubelets(_))).map(|l| l.version().clone()),
                later: legs[at + 1..].iter().filter(|l| matches!(l, Leg::ControlPlane(_))).map(|l| l.version().clone()).collect(),
                snapshot: Some("ha-etcd.db".into()),
                ..Roll::default()
            },
            Leg::Kubelets(_) => Roll { kubelets: true, drain: Some(how), ..Roll::default() },
        };
        let (next, after) = Plan::of(&rolled(&inv, &facts, &roll), &facts);
        plan.phases.extend(next.phases);
        facts = after;
    }
    (plan, facts)
}

/// Facts of a finished cluster of this inventory.
pub fn finished(inv: &Inventory) -> Facts {
    let mut facts = plan(inv, &bare(inv)).1;
    let members: Vec<MemberFact> = inv.etcd_hosts().into_iter().map(|m| member(&m.name, &m.address)).collect();
    for m in inv.etcd_hosts() {
        facts.host_mut(&m.name).members = Some(members.clone());
    }
    // The locks of the run that made it.
    let folder = FileFact { kind: FileKind::Directory, mode: 0o700, uid: 0, gid: 0 };
    facts.hosts.values_mut().for_each(|h| drop(h.files.insert("/var/lib/clusterctl".into(), folder.clone())));
    facts
}

/// What is left of a reset of all hosts, and what the facts become.
pub fn reset(inv: &Inventory, facts: &Facts) -> (Plan, Facts) {
    let leaving: Vec<String> = inv.hosts.iter().map(|h| h.name.clone()).collect();
    Plan::of(&reset::page(&reset::Inputs { inv, facts, leaving: &leaving, keep_software: false }), facts)
}

/// A voting member as etcd lists it.
fn member(name: &str, address: &str) -> MemberFact {
    let leader = name.ends_with('1');
    MemberFact { id: format!("id-{name}"), name: name.into(), peer_urls: vec![format!("https://{address}:2380")], learner: false, leader }
}

/// A finished cluster of the first inventory, with bare machines of the second beside it.
pub fn growing(small: &Inventory, grown: &Inventory) -> Facts {
    let mut facts = finished(small);
    facts.hosts.extend(bare(grown).hosts.into_iter().filter(|(name, _)| small.host(name).is_none()));
    facts
}

/// What is left of taking hosts out of a cluster, and what the facts become.
pub fn removal(inv: &Inventory, facts: &Facts, leaving: &[&str], dead: bool) -> (Plan, Facts) {
    let leaving: Vec<String> = leaving.iter().map(ToString::to_string).collect();
    let drain = Some(std::time::Duration::from_secs(300));
    let inputs = remove::Inputs { inv, facts, leaving: &leaving, dead, drain };
    let page = remove::spliced(&inputs, page(&inv.without(&leaving), facts));
    Plan::of(&page, facts)
}
