//! The state of a cluster as one value, which `status` shows. As JSON, it is a stable interface.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{Seen, checks, control_plane, judge, pods};
use crate::facts::status::LockFact;
use crate::host::HostName;
use crate::inventory::{HostEntry, Inventory};
use crate::pki;

/// API path of the Leases in which the components record their leaders.
pub const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";

/// The state of the cluster.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub cluster: String,
    /// The version in the inventory.
    pub version: String,
    /// Whether the cluster was founded: an API server answers, or a control-plane host has an admin.conf. `null` if no control-plane host could be
    /// observed.
    pub founded: Option<bool>,
    pub healthy: bool,
    pub endpoint: Endpoint,
    /// Absent while no API server answers.
    pub nodes: Option<Vec<Node>>,
    pub control_plane: Vec<control_plane::Master>,
    pub leaders: control_plane::Leaders,
    pub etcd: Option<control_plane::Etcd>,
    pub load_balancers: Vec<Balancer>,
    /// For each host, the certificate that expires first, CA certificates excluded. Then, of the CA certificates of all hosts, the one that expires
    /// first.
    pub certificates: Vec<Certificate>,
    /// The runs that hold the lock of a host now, by host.
    pub runs: BTreeMap<HostName, LockFact>,
    /// Absent if the pods were not asked for, or while no API server answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods: Option<Vec<pods::Pod>>,
    pub problems: Vec<judge::Finding>,
    pub warnings: Vec<judge::Finding>,
}

/// Whether a component answers as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Ok,
    Down,
    /// No host reported a result of the check.
    Unknown,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    pub address: String,
    pub state: State,
}

/// A Kubernetes Node, or a host that should be one.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    pub name: String,
    pub roles: Vec<String>,
    pub state: NodeState,
    /// The message that the kubelet reports in the Ready condition; empty while the node is Ready.
    pub message: String,
    pub schedulable: bool,
    pub version: String,
    pub address: String,
    pub in_inventory: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    Ready,
    NotReady,
    /// The kubelet of the node does not report.
    Unknown,
    /// The host is in the inventory, and the cluster has no Node of this name.
    Missing,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Balancer {
    pub host: HostName,
    /// Whether the API can be reached through this load balancer.
    pub state: State,
    /// Whether the load balancer reaches each control-plane host.
    pub backends: BTreeMap<HostName, State>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    pub host: HostName,
    pub path: String,
    pub name: String,
    pub authority: bool,
    pub not_after: Timestamp,
    /// Whole days left; negative once expired.
    pub days: i64,
}

impl Status {
    /// The state of the cluster according to the observations.
    pub fn of(inv: &Inventory, seen: &Seen, now: Timestamp) -> Status {
        let masters = control_plane::masters(inv, seen);
        let endpoint = Endpoint { address: inv.endpoint_authority(), state: seen.anywhere(inv.control_planes(), checks::ENDPOINT) };
        let mut status = Status {
            cluster: inv.cluster.name.clone(),
            version: inv.cluster.version.to_string(),
            founded: control_plane::founded(inv, seen),
            healthy: false,
            endpoint,
            nodes: seen.observed.facts.cluster.as_ref().map(|c| nodes(inv, &c.nodes)),
            control_plane: masters,
            leaders: control_plane::leaders(inv, seen, now),
            etcd: control_plane::etcd(inv, seen),
            load_balancers: inv.hosts.iter().filter(|h| inv.runs_balancer(h)).map(|b| balancer(inv, seen, b)).collect(),
            certificates: certificates(seen, now),
            runs: seen.checks.iter().filter_map(|(host, s)| Some((host.clone(), s.lock.clone()?))).collect(),
            pods: pods::pods(inv, seen),
            problems: Vec::new(),
            warnings: Vec::new(),
        };
        (status.problems, status.warnings) = judge::findings(inv, seen, &status);
        status.healthy = status.problems.is_empty();
        status
    }
}

impl Seen {
    /// The result of a check on a host; `Unknown` if the host reported no result.
    pub fn check(&self, host: &str, name: &str) -> State {
        match self.checks.get(host).and_then(|s| s.checks.get(name)) {
            Some(200) => State::Ok,
            Some(_) => State::Down,
            None => State::Unknown,
        }
    }

    /// The best result of a check on several hosts: `Ok` before `Down` before `Unknown`.
    pub fn anywhere<'a>(&self, hosts: impl Iterator<Item = &'a HostEntry>, name: &str) -> State {
        let answers: Vec<State> = hosts.map(|h| self.check(&h.name, name)).collect();
        [State::Ok, State::Down].into_iter().find(|s| answers.contains(s)).unwrap_or(State::Unknown)
    }
}

fn balancer(inv: &Inventory, seen: &Seen, b: &HostEntry) -> Balancer {
    let backends = inv.control_planes().map(|m| (m.name.clone(), seen.check(&b.name, &checks::backend(&m.name)))).collect();
    Balancer { host: b.name.clone(), state: seen.anywhere(inv.hosts.iter(), &checks::through(&b.name)), backends }
}

/// First the hosts of the inventory that should be Nodes, in the inventory's order, then the Nodes that are not in the inventory.
fn nodes(inv: &Inventory, found: &BTreeMap<String, Value>) -> Vec<Node> {
    let missing = |name: &str| Node {
        name: name.into(),
        roles: Vec::new(),
        state: NodeState::Missing,
        message: String::new(),
        schedulable: false,
        version: String::new(),
        address: String::new(),
        in_inventory: true,
    };
    let known = inv.nodes().map(|h| found.get(&h.name).map_or_else(|| missing(&h.name), |n| node(&h.name, n, true)));
    let others = found.iter().filter(|(name, _)| inv.nodes().all(|h| h.name != **name)).map(|(name, n)| node(name, n, false));
    known.chain(others).collect()
}

fn node(name: &str, n: &Value, in_inventory: bool) -> Node {
    let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_string();
    let ready = list(&n["status"]["conditions"]).into_iter().find(|c| c["type"] == "Ready").unwrap_or_default();
    let state = match ready["status"].as_str() {
        Some("True") => NodeState::Ready,
        Some("False") => NodeState::NotReady,
        _ => NodeState::Unknown,
    };
    let labels = n["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    let address = list(&n["status"]["addresses"]).into_iter().find(|a| a["type"] == "InternalIP").unwrap_or_default();
    Node {
        name: name.into(),
        roles: labels.keys().filter_map(|l| l.strip_prefix("node-role.kubernetes.io/").map(String::from)).collect(),
        state,
        message: if state == NodeState::Ready { String::new() } else { text(&ready["message"]) },
        schedulable: n["spec"]["unschedulable"] != true,
        version: text(&n["status"]["nodeInfo"]["kubeletVersion"]),
        address: text(&address["address"]),
        in_inventory,
    }
}

fn certificates(seen: &Seen, now: Timestamp) -> Vec<Certificate> {
    let (mut leaves, mut authorities) = (Vec::new(), Vec::new());
    for (host, facts) in &seen.observed.facts.hosts {
        let mut all: Vec<Certificate> = pki::expiry(&facts.contents())
            .into_iter()
            .filter(pki::CertInfo::is_in_use)
            .map(|c| Certificate {
                days: c.days_left(now),
                host: host.clone(),
                path: c.path,
                name: c.cn,
                authority: c.is_ca,
                not_after: c.not_after,
            })
            .collect();
        all.sort_by_key(|c| c.not_after);
        let (of_authorities, of_others): (Vec<_>, Vec<_>) = all.into_iter().partition(|c| c.authority);
        leaves.extend(of_others.into_iter().next());
        authorities.extend(of_authorities.into_iter().next());
    }
    leaves.extend(authorities.into_iter().min_by_key(|c| c.not_after));
    leaves
}
