//! Tests of the whole way from facts to the text that an operator reads.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::model::{Certificate, LEASES, Status};
use super::{Seen, judge, view};
use crate::cli::session::Observed;
use crate::error::Failure;
use crate::facts::status::{HostStatus, LockFact};
use crate::facts::{ClusterFacts, Facts, FileFact, FileKind, HostFacts, MemberFact};
use crate::host::HostError;
use crate::inventory::{self, Inventory};
use crate::layout;

const INVENTORY: &str = "
cluster: {name: prod, version: v1.36.2, endpoint: '192.0.2.31:6443'}
loadBalancer: {kind: haproxy}
hosts:
- {name: m1, address: 192.0.2.11, roles: [control-plane]}
- {name: m2, address: 192.0.2.12, roles: [control-plane]}
- {name: m3, address: 192.0.2.13, roles: [control-plane]}
- {name: w1, address: 192.0.2.21, roles: [worker]}
- {name: lb1, address: 192.0.2.31, roles: [load-balancer]}
";

fn inventory() -> Inventory {
    inventory::parse(INVENTORY, "prod.yaml", &|_| Ok(())).expect("it is valid").inventory
}

fn node(name: &str, role: Option<&str>, ready: &str) -> (String, Value) {
    let labels: serde_json::Map<String, Value> = role.into_iter().map(|r| (format!("node-role.kubernetes.io/{r}"), json!(""))).collect();
    let node = json!({"metadata": {"name": name, "labels": labels}, "spec": {},
        "status": {"nodeInfo": {"kubeletVersion": "v1.36.2"}, "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}],
            "conditions": [{"type": "Ready", "status": ready, "message": "container runtime is down"}]}});
    (name.to_string(), node)
}

/// The observations of a healthy cluster.
fn seen() -> Seen {
    let inv = inventory();
    let mut facts = Facts::default();
    let masters = ["m1", "m2", "m3"];
    let members =
        masters.map(|m| MemberFact { id: format!("{m}00"), name: m.into(), peer_urls: vec![], learner: false, leader: m == "m3" });
    for h in &inv.hosts {
        let mut host = HostFacts { hostname: format!("{}.example.org", h.name), ..HostFacts::default() };
        if masters.contains(&h.name.as_str()) {
            host.api_version = Some("v1.36.2".into());
            host.members = Some(members.to_vec());
            host.raft_term = Some(7);
            let file = FileFact { kind: FileKind::File("".into()), mode: 0o600, uid: 0, gid: 0 };
            host.files.insert(layout::ADMIN_CONF.into(), file);
        }
        facts.hosts.insert(h.name.clone(), host);
    }
    let nodes = masters.map(|m| node(m, Some("control-plane"), "True")).into_iter().chain([node("w1", None, "True")]).collect();
    facts.cluster = Some(ClusterFacts { via: "m1".into(), nodes, ..ClusterFacts::default() });
    let lease = |name: &str, holder: &str| json!({"metadata": {"name": name}, "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": "2026-11-21T09:59:58.1Z"}});
    let leases = json!({"items": [lease("kube-scheduler", "m2.example.org_1"), lease("kube-controller-manager", "m1.example.org_2")]});
    let answers = |checks: Vec<(String, String)>| HostStatus { checks: checks.into_iter().map(|(n, _)| (n, 200)).collect(), lock: None };
    let checks = super::checks::of(&inv).into_iter().map(|(host, checks)| (host, answers(checks))).collect();
    let observed = Observed { facts, lists: BTreeMap::from([(LEASES.into(), leases)]), failures: Vec::new(), api_failed: false };
    Seen { observed, checks, unreachable: Vec::new() }
}

fn now() -> jiff::Timestamp {
    "2026-11-21T10:00:00Z".parse().expect("it is a time")
}

fn status(seen: &Seen) -> Status {
    Status::of(&inventory(), seen, now())
}

fn text(seen: &Seen) -> String {
    anstream::adapter::strip_str(&view::text(&status(seen), false, now())).to_string()
}

#[test]
fn a_healthy_cluster() {
    assert!(status(&seen()).healthy);
    insta::assert_snapshot!(text(&seen()));
}

#[test]
fn a_healthy_cluster_for_machines() {
    let status = status(&seen());
    insta::assert_json_snapshot!(status);
}

#[test]
fn a_lost_master_a_cordoned_worker_and_a_run_at_work() {
    let mut seen = seen();
    let away = HostError::Unreachable { address: "192.0.2.13:22".into(), source: None };
    seen.unreachable.push(Failure::observing("m3".into(), away));
    seen.observed.facts.hosts.remove("m3");
    seen.checks.remove("m3");
    for host in ["m1", "m2"] {
        let members = seen.observed.facts.host_mut(host).members.iter_mut().flatten();
        members.for_each(|m| m.leader = m.name == "m1");
    }
    if let Some(lb) = seen.checks.get_mut("lb1") {
        lb.checks.insert(super::checks::backend("m3"), 0);
    }
    if let Some(m2) = seen.checks.get_mut("m2") {
        m2.checks.insert(super::checks::SCHEDULER.into(), 500);
        m2.lock = Some(LockFact { run: "ab12".into(), holder: "kim@desk since 2026-11-21T09:59:00Z".into(), silent_seconds: 2 });
    }
    if let Some(cluster) = &mut seen.observed.facts.cluster {
        cluster.nodes.extend([node("m3", Some("control-plane"), "Unknown"), node("w1", None, "False"), node("old", None, "True")]);
        cluster.nodes.entry("w1".into()).and_modify(|w| w["spec"]["unschedulable"] = json!(true));
    }
    insta::assert_snapshot!(text(&seen));
}

#[test]
fn no_api_server_answers() {
    let mut seen = seen();
    seen.observed.facts.cluster = None;
    seen.observed.lists.clear();
    for host in ["m1", "m2", "m3"] {
        let facts = seen.observed.facts.host_mut(host);
        (facts.api_version, facts.members) = (None, None);
        if let Some(status) = seen.checks.get_mut(host) {
            status.checks.values_mut().for_each(|code| *code = 0);
        }
    }
    insta::assert_snapshot!(text(&seen));
}

#[test]
fn no_master_is_reached() {
    let mut seen = seen();
    seen.observed.facts.cluster = None;
    for host in ["m1", "m2", "m3"] {
        seen.observed.facts.hosts.remove(host);
        seen.checks.remove(host);
        let away = HostError::Unreachable { address: format!("{host}:22"), source: None };
        seen.unreachable.push(Failure::observing(host.into(), away));
    }
    insta::assert_snapshot!(text(&seen));
}

#[test]
fn hosts_without_a_cluster() {
    let mut seen = seen();
    seen.observed.facts.cluster = None;
    seen.observed.facts.hosts.values_mut().for_each(|f| *f = HostFacts::default());
    seen.checks.values_mut().for_each(|c| c.checks.values_mut().for_each(|code| *code = 0));
    insta::assert_snapshot!(text(&seen));
}

#[test]
fn certificates_that_expire_are_told_in_time() {
    let mut status = status(&seen());
    let certificate = |path: &str, authority, days: i64| Certificate {
        host: "m1".into(),
        path: path.into(),
        name: "kubernetes".into(),
        authority,
        not_after: "2026-12-01T00:00:00Z".parse().expect("it is a time"),
        days,
    };
    let (leaf, kubelet) = ("/etc/kubernetes/pki/apiserver.crt", layout::KUBELET_CLIENT_CURRENT);
    status.certificates =
        vec![certificate(leaf, false, 10), certificate(kubelet, false, 10), certificate("/etc/kubernetes/pki/ca.crt", true, 3649)];
    let (problems, warnings) = judge::findings(&inventory(), &seen(), &status);
    assert!(problems.is_empty());
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].message, format!("certificate {leaf} expires in 10 days; `clusterctl certs renew` renews it"));
    assert!(
        view::text(&status, false, now()).contains(&format!("first to expire is {leaf} on m1 in 10 days (2026-12-01); of the authorities"))
    );

    status.certificates = vec![certificate(leaf, false, -1)];
    let (problems, _) = judge::findings(&inventory(), &seen(), &status);
    assert_eq!(problems[0].message, format!("certificate {leaf} expired 1 day ago; `clusterctl certs renew` renews it"));
}

#[test]
fn a_kubelet_whose_certificate_is_of_no_use_is_a_problem() {
    let mut seen = seen();
    let file = FileFact { kind: FileKind::File("no certificate".into()), mode: 0o600, uid: 0, gid: 0 };
    seen.observed.facts.host_mut("w1").files.insert(layout::KUBELET_CLIENT_CURRENT.into(), file);
    let what = "the client certificate of its kubelet is of no use: unreadable: no certificate in it";
    assert_eq!(problems(&seen), [format!("{what}; `clusterctl apply` lets the kubelet join again")]);
}

#[test]
fn a_component_that_has_not_read_its_new_kubeconfig_is_a_warning() {
    let mut seen = seen();
    seen.observed.facts.host_mut("m2").outdated.insert("kube-scheduler".into());
    let warnings: Vec<String> = status(&seen).warnings.into_iter().map(|w| w.message).collect();
    assert_eq!(warnings, ["kube-scheduler runs with an older kubeconfig than the one on the host; `clusterctl apply` restarts it"]);
}

/// Marks every control-plane host as one of this cluster, with or without the mark of a finished founding.
fn marked(seen: &mut Seen, cluster: &str, finished: bool) {
    for m in ["m1", "m2", "m3"] {
        let file = |text: String| FileFact { kind: FileKind::File(text.as_str().into()), mode: 0o600, uid: 0, gid: 0 };
        let files = &mut seen.observed.facts.host_mut(m).files;
        files.insert(layout::OWNERSHIP.into(), file(format!("cluster: {cluster}\nca: abc\n")));
        if finished {
            files.insert(layout::ESTABLISHED.into(), file(format!("{cluster}\n")));
        }
    }
}

fn problems(seen: &Seen) -> Vec<String> {
    status(seen).problems.into_iter().map(|p| p.message).collect()
}

#[test]
fn a_founding_that_is_not_finished_and_the_cluster_of_somebody_else_are_problems() {
    let mut seen = seen();
    marked(&mut seen, "prod", true);
    assert_eq!(problems(&seen), [""; 0]);
    marked(&mut seen, "other", true);
    assert_eq!(problems(&seen), ["it belongs to cluster other (CA sha256:abc)"; 3]);
    let mut seen = self::seen();
    marked(&mut seen, "prod", false);
    assert_eq!(problems(&seen), ["the founding of cluster prod is not finished; `clusterctl init` goes on with it"]);
}

#[test]
fn an_add_on_without_its_pods_is_a_problem() {
    let mut seen = seen();
    let deployment = |available: u64| json!({"items": [{"metadata": {"name": "coredns"}, "spec": {"replicas": 2}, "status": {"availableReplicas": available}}]});
    let daemon_set =
        json!({"items": [{"metadata": {"name": "kube-proxy"}, "spec": {}, "status": {"numberAvailable": 3, "desiredNumberScheduled": 4}}]});
    seen.observed.lists.insert(super::add_ons::DEPLOYMENTS.into(), deployment(2));
    assert_eq!(problems(&seen), [""; 0]);
    seen.observed.lists.insert(super::add_ons::DEPLOYMENTS.into(), deployment(0));
    seen.observed.lists.insert(super::add_ons::DAEMON_SETS.into(), daemon_set);
    assert_eq!(
        problems(&seen),
        ["CoreDNS", "kube-proxy"].map(|name| {
            let (available, wanted) = if name == "CoreDNS" { (0, 2) } else { (3, 4) };
            format!("{available} of {wanted} pods of {name} are available; see `kubectl -n kube-system get pods`")
        })
    );
    seen.observed.lists.insert(super::add_ons::DEPLOYMENTS.into(), json!({"items": []}));
    assert!(problems(&seen).contains(&"CoreDNS is not deployed; `clusterctl apply` deploys it".to_string()));
}

#[test]
fn pods_by_node() {
    let mut seen = seen();
    let pod = |name: &str, node: &str, ready: bool, status: Value| {
        let mut pod = json!({"metadata": {"name": name, "namespace": "shop", "creationTimestamp": "2026-11-21T08:00:00Z"},
            "spec": {"nodeName": node, "containers": [{}]}, "status": status});
        pod["status"]["containerStatuses"] = json!([{"ready": ready, "restartCount": 3}]);
        pod
    };
    let pods = json!({"items": [
        pod("web-2", "w1", true, json!({"phase": "Running", "podIP": "10.244.1.3"})),
        pod("web-1", "", false, json!({"phase": "Pending"})),
        pod("db", "m1", true, json!({"phase": "Running", "podIP": "10.244.0.2"})),
    ]});
    seen.observed.lists.insert(crate::facts::evictions::ALL_PODS.into(), pods);
    let text = view::text(&status(&seen), true, now());
    let rows: Vec<&str> = text.lines().filter(|l| l.contains("shop")).collect();
    let words = |row: &str| row.split_whitespace().map(String::from).collect::<Vec<_>>().join(" ");
    assert_eq!(
        rows.into_iter().map(words).collect::<Vec<_>>(),
        ["m1 shop db 1/1 Running 3 120m 10.244.0.2", "w1 shop web-2 1/1 Running 3 120m 10.244.1.3", "- shop web-1 0/1 Pending 3 120m -"]
    );
    seen.observed.lists.clear();
    assert!(view::text(&status(&seen), true, now()).contains("nothing is known of the pods"));
}
