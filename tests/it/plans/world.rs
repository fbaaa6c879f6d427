//! Inventories and facts to plan from: hosts without Kubernetes, and the clusters that they become.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use clusterctl::facts::{Facts, FileFact, FileKind, HostFacts, MemberFact};
use clusterctl::host::Secret;
use clusterctl::inventory::{ControlPlaneFile, Inventory, KeyAlgorithm, RegistryMirror};
use clusterctl::pki::Keys;
use clusterctl::plan::desired::JoinToken;
use clusterctl::plan::goal::{Leaving, Upgrade};
use clusterctl::plan::kubelet_policy::NodeChange;
use clusterctl::plan::registries::{Mirror, Registry};
use clusterctl::plan::situation::ClusterState;
use clusterctl::plan::{Goal, Plan, Planning, RunInputs, WholeRun, files, repair_run, reset, whole_run};
use clusterctl::step::drain::DrainOptions;
use clusterctl::{layout, versions};
use jiff::Timestamp;

/// The text of the secrets in the tests, such as the bootstrap token. No plan may show it.
pub const CANARY: &str = "CANARY-4f1c9a";

/// An inventory of three control-plane hosts, two workers and a load balancer.
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

/// An inventory of two control-plane hosts, a worker, a load balancer and as many hosts for etcd alone as `members` says.
pub fn external(version: &str, members: u8) -> Inventory {
    let list = [("m1", 11, "control-plane"), ("m2", 12, "control-plane"), ("w1", 21, "worker"), ("lb1", 31, "load-balancer")];
    let etcds = ["e1", "e2", "e3", "e4"].into_iter().zip(41..).take(members.into()).map(|(name, last)| (name, last, "etcd"));
    hosts(version, &list.into_iter().chain(etcds).collect::<Vec<_>>())
}

/// An inventory of these hosts, with haproxy on the host 172.30.0.31. Each entry has a name, the last part of the address, and a role.
pub fn hosts(version: &str, list: &[(&str, u8, &str)]) -> Inventory {
    balanced(version, "endpoint: \"172.30.0.31:6443\"", "kind: haproxy", list)
}

/// An inventory of these hosts (see [`hosts`]). `endpoint` and `balancer` are the YAML text of the endpoint and of the load balancer; `endpoint` may
/// be empty.
pub fn balanced(version: &str, endpoint: &str, balancer: &str, list: &[(&str, u8, &str)]) -> Inventory {
    let mut text = format!("cluster: {{name: ha, version: {version}, {endpoint}}}\nloadBalancer: {{{balancer}}}\nhosts:\n");
    for (name, last, role) in list {
        text += &format!("- {{name: {name}, address: 172.30.0.{last}, roles: [{role}]}}\n");
    }
    serde_yaml::from_str(&text).expect("the test's inventory is valid")
}

/// Clusters of every shape that has no load balancer on hosts of its own. The numbers in a name count control-plane hosts and workers.
pub fn shapes(version: &str) -> Vec<(&'static str, Inventory)> {
    let both = "control-plane, worker";
    let masters = |role| [("m1", 11, role), ("m2", 12, role), ("m3", 13, role)];
    let workers = [("w1", 21, "worker"), ("w2", 22, "worker")];
    let plain = |list: &[(&str, u8, &str)]| balanced(version, "", "kind: none", list);
    let reached = |list: &[(&str, u8, &str)]| balanced(version, "endpoint: \"k8s.example.org:6443\"", "kind: external", list);
    vec![
        ("single node", plain(&[("m1", 11, both)])),
        ("1+0", plain(&[("m1", 11, "control-plane")])),
        ("1+1", plain(&[("m1", 11, "control-plane"), workers[0]])),
        ("3+0", reached(&masters("control-plane"))),
        ("3 that are workers, too", reached(&masters(both))),
        ("3+2", reached(&[&masters("control-plane")[..], &workers].concat())),
    ]
}

/// Facts of hosts that have never had Kubernetes.
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
        clock: NOW.as_second() as f64,
        ..HostFacts::default()
    };
    Facts {
        hosts: inv.hosts.iter().map(|h| (h.name.clone(), host(&h.name, h.node_address()))).collect(),
        cluster: None,
        ledger: Default::default(),
    }
}

/// 2026-11-21: the time at which the worlds are planned, and the clock of their hosts.
pub const NOW: Timestamp = Timestamp::constant(1_795_219_200, 0);

/// The inputs of the runs in all worlds. `given` has the PKI files of the operator. A file of `controlPlane.files` without `content` has a secret one. The private keys have the algorithm whose keys are made fastest.
fn inputs(inv: &Inventory, given: BTreeMap<String, Secret>) -> RunInputs {
    let content = |f: &ControlPlaneFile| f.content.clone().map_or_else(|| Secret::from(CANARY), Secret::from);
    RunInputs {
        token: JoinToken { id: "abcdef".into(), secret: Secret::from(CANARY), expires: "2030-01-01T00:00:00Z".into() },
        given,
        manifests: vec![],
        files: inv.control_plane.files.iter().map(|f| files::ControlPlaneFile::new(f, content(f))).collect(),
        registries: registries(inv),
        external_etcd: None,
        keys: Keys::new(KeyAlgorithm::EcdsaP256),
        encryption_key: Secret::from(&CANARY.repeat(3)[..32]),
    }
}

/// The registries of an inventory. Each file with certificates has the text `CA`, and each password is secret.
fn registries(inv: &Inventory) -> Vec<Registry> {
    let mirror = |m: &RegistryMirror| Mirror {
        written: m.clone(),
        ca: m.ca_file.as_ref().map(|name| format!("CA of {name}\n")),
        password: m.password_file.as_ref().map(|name| Secret::from(format!("{CANARY} of {name}"))),
    };
    let all = inv.artifacts.registry_mirrors.iter();
    all.map(|(name, list)| Registry { name: name.clone(), mirrors: list.iter().map(mirror).collect() }).collect()
}

/// The run over all hosts for this goal: its plan, its refusals, and the facts afterwards.
pub fn whole(goal: &Goal, inv: &Inventory, facts: &Facts) -> WholeRun {
    let (selected, inputs) = (names(inv), inputs(inv, authorities()));
    whole_run(goal, facts, &Planning { inv, selected: &selected, inputs: &inputs, now: NOW }).expect("a plan can be made")
}

/// The run over all hosts for this goal at another time than [`NOW`].
pub fn whole_at(now: Timestamp, goal: &Goal, inv: &Inventory, facts: &Facts) -> WholeRun {
    let (selected, inputs) = (names(inv), inputs(inv, authorities()));
    whole_run(goal, facts, &Planning { inv, selected: &selected, inputs: &inputs, now }).expect("a plan can be made")
}

/// The run for this goal that is limited to some hosts, as `--limit` does.
pub fn limited(goal: &Goal, inv: &Inventory, facts: &Facts, limit: &[&str]) -> WholeRun {
    let (selected, inputs): (Vec<String>, _) = (limit.iter().map(ToString::to_string).collect(), inputs(inv, authorities()));
    whole_run(goal, facts, &Planning { inv, selected: &selected, inputs: &inputs, now: NOW }).expect("a plan can be made")
}

/// The run over all hosts for this goal if the operator gives no PKI files.
pub fn without_authorities(goal: &Goal, inv: &Inventory, facts: &Facts) -> WholeRun {
    let (selected, inputs) = (names(inv), inputs(inv, BTreeMap::new()));
    whole_run(goal, facts, &Planning { inv, selected: &selected, inputs: &inputs, now: NOW }).expect("a plan can be made")
}

/// The run that would restore control planes before a run over all hosts; `None` if there is nothing to restore that would help.
pub fn repair(goal: &Goal, inv: &Inventory, facts: &Facts) -> Option<WholeRun> {
    let (selected, inputs) = (names(inv), inputs(inv, authorities()));
    repair_run(goal, facts, &Planning { inv, selected: &selected, inputs: &inputs, now: NOW }).expect("a plan can be made")
}

/// The run that would restore control planes before a run that is limited to some hosts; see [`repair`].
pub fn limited_repair(goal: &Goal, inv: &Inventory, facts: &Facts, limit: &[&str]) -> Option<WholeRun> {
    let (selected, inputs): (Vec<String>, _) = (limit.iter().map(ToString::to_string).collect(), inputs(inv, authorities()));
    repair_run(goal, facts, &Planning { inv, selected: &selected, inputs: &inputs, now: NOW }).expect("a plan can be made")
}

/// The files of the certificate authorities, the same in all worlds; the plans get them as files of the operator. Otherwise, each plan for a cluster
/// in which no host has a CA yet would contain a new CA, and such plans could not be compared.
pub fn authorities() -> BTreeMap<String, Secret> {
    static MADE: OnceLock<BTreeMap<String, Secret>> = OnceLock::new();
    let make = || {
        let inv = hosts("v1.36.2", &[("m1", 11, "control-plane"), ("lb1", 31, "load-balancer")]);
        let facts = without_authorities(&Goal::Found, &inv, &bare(&inv)).after;
        let files = facts.host("m1").contents();
        let file = |path: &str| (path.to_string(), files[&format!("{}/{path}", layout::PKI_DIR)].clone());
        let pairs = ["ca.crt", "ca.key", "etcd/ca.crt", "etcd/ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.pub", "sa.key"];
        pairs.map(file).into()
    };
    MADE.get_or_init(make).clone()
}

fn names(inv: &Inventory) -> Vec<String> {
    inv.hosts.iter().map(|h| h.name.clone()).collect()
}

/// The plan of a run over all hosts for this goal, and the facts afterwards. Fails if the run is refused.
pub fn run(goal: &Goal, inv: &Inventory, facts: &Facts) -> (Plan, Facts) {
    let run = whole(goal, inv, facts);
    assert_eq!(run.refusals, [], "{goal:?}");
    (run.plan, run.after)
}

/// The plan of `init`, or of `apply` if the cluster already exists, and the facts afterwards.
pub fn plan(inv: &Inventory, facts: &Facts) -> (Plan, Facts) {
    run(if ClusterState::of(facts).exists() { &Goal::Keep } else { &Goal::Found }, inv, facts)
}

/// An upgrade to the inventory's version, with a drain of every node.
pub fn upgrade(inv: &Inventory) -> Upgrade {
    let drain = DrainOptions {
        timeout: Duration::from_secs(900),
        force: false,
        delete_emptydir_data: false,
        grace_period: -1,
        disable_eviction: false,
    };
    Upgrade {
        to: inv.cluster.version.clone(),
        through: (29..=versions::newest()).map(|minor| (minor, format!("v1.{minor}.9").parse().expect("a version"))).collect(),
        nodes: NodeChange { drain: Some(drain), ..NodeChange::default() },
        pause_after: None,
        snapshot: Some("ha-etcd.db".into()),
        allow: vec![],
    }
}

/// The plan of an upgrade to the inventory's version, which has only the steps that do not hold yet, and the facts afterwards.
pub fn upgraded(inv: &Inventory, facts: &Facts) -> (Plan, Facts) {
    run(&Goal::Upgrade(Box::new(upgrade(inv))), inv, facts)
}

/// Facts of a finished cluster of this inventory.
pub fn finished(inv: &Inventory) -> Facts {
    finished_at(NOW, inv)
}

/// Facts of a cluster of this inventory that was finished, with all its certificates, at another time than [`NOW`].
pub fn finished_at(then: Timestamp, inv: &Inventory) -> Facts {
    let mut facts = whole_at(then, &Goal::Found, inv, &bare(inv)).after;
    facts.ledger = Default::default();
    let members: Vec<MemberFact> = inv.etcd_hosts().into_iter().map(|m| member(&m.name, &m.address)).collect();
    for m in inv.etcd_hosts() {
        facts.host_mut(&m.name).members = Some(members.clone());
    }
    // The run that made the cluster left clusterctl's folder on each host, because its lock is in it.
    let folder = FileFact { kind: FileKind::Directory, mode: 0o700, uid: 0, gid: 0 };
    facts.hosts.values_mut().for_each(|h| drop(h.files.insert("/var/lib/clusterctl".into(), folder.clone())));
    facts
}

/// The plan of a reset of all hosts, which has only the steps that do not hold yet, and the facts afterwards.
pub fn reset(inv: &Inventory, facts: &Facts) -> (Plan, Facts) {
    let leaving = names(inv);
    Plan::of(&reset::desired_steps(&reset::Inputs { inv, facts, leaving: &leaving, keep_software: false }), facts)
}

/// A voting etcd member as the list of members has it. A member whose name ends with 1 is the leader.
fn member(name: &str, address: &str) -> MemberFact {
    let leader = name.ends_with('1');
    MemberFact { id: format!("id-{name}"), name: name.into(), peer_urls: vec![format!("https://{address}:2380")], learner: false, leader }
}

/// Facts of a finished cluster of the inventory `small`, and of bare hosts that only the inventory `grown` has.
pub fn growing(small: &Inventory, grown: &Inventory) -> Facts {
    let mut facts = finished(small);
    facts.hosts.extend(bare(grown).hosts.into_iter().filter(|(name, _)| small.host(name).is_none()));
    facts
}

/// A removal of hosts after a drain of at most five minutes. `dead` states whether the hosts are gone for good.
pub fn leaving(hosts: &[&str], dead: bool) -> Leaving {
    Leaving { hosts: hosts.iter().map(ToString::to_string).collect(), dead, drain: Some(Duration::from_secs(300)) }
}

/// The plan of a removal of hosts, which has only the steps that do not hold yet, and the facts afterwards.
pub fn removal(inv: &Inventory, facts: &Facts, hosts: &[&str], dead: bool) -> (Plan, Facts) {
    run(&Goal::Remove(leaving(hosts, dead)), inv, facts)
}

/// The text of a plan without its diffs: the titles are short, and the contents of files have golden files of their own.
pub fn titles(plan: &Plan) -> String {
    plan.to_string().lines().filter(|l| !l.starts_with("      ")).map(|l| format!("{l}\n")).collect()
}

/// The steps of a plan, each as `HOST: TITLE`.
pub fn steps_of(plan: &Plan) -> Vec<String> {
    plan.steps().map(|(_, host, s)| format!("{host}: {}", s.title)).collect()
}
