//! Finds what is wrong with a cluster, and what will go wrong soon.

use serde::Serialize;

use super::model::{Certificate, NodeState, State, Status};
use super::{Seen, add_ons};
use crate::cli::report::plural;
use crate::error::chain;
use crate::host::HostName;
use crate::inventory::{Inventory, Role};
use crate::layout;
use crate::plan::adopt::ca_pem;
use crate::plan::situation::ClusterState;
use crate::plan::{identity, refusals};
use crate::step::unit::KUBELET;

/// A problem or a warning for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Absent if the finding concerns the cluster as a whole.
    pub host: Option<HostName>,
    pub message: String,
}

fn on(host: &str, message: impl Into<String>) -> Finding {
    Finding { host: Some(host.to_string()), message: message.into() }
}

fn overall(message: impl Into<String>) -> Finding {
    Finding { host: None, message: message.into() }
}

/// Problems, which make a cluster unhealthy, and warnings, which do not.
pub fn findings(inv: &Inventory, seen: &Seen, status: &Status) -> (Vec<Finding>, Vec<Finding>) {
    let failures = seen.unreachable.iter().chain(&seen.observed.failures);
    let mut problems: Vec<Finding> =
        failures.map(|f| on(&f.host, chain(&f.source).lines().next().unwrap_or_default().to_string())).collect();
    match status.founded {
        Some(true) => {}
        Some(false) => {
            let place = if problems.is_empty() { "on these hosts" } else { "on the hosts that were reached" };
            problems.push(overall(format!("there is no cluster {} {place}; `clusterctl init` founds it", status.cluster)));
            return (problems, Vec::new());
        }
        None => {
            problems.push(overall("no control-plane host could be looked at, so nothing is known of the cluster"));
            return (problems, Vec::new());
        }
    }
    whose(inv, seen, &mut problems);
    components(status, &mut problems);
    leaders(inv, status, &mut problems);
    etcd(inv, status, &mut problems);
    nodes(status, &mut problems);
    balancers(status, &mut problems);
    identities(inv, seen, &mut problems);
    let worker = |host: &str| inv.host(host).is_some_and(|h| !h.has(Role::ControlPlane));
    let told = |c: &Certificate| c.path == layout::KUBELET_CLIENT_CURRENT && worker(&c.host);
    problems.extend(status.certificates.iter().filter(|c| c.days < 0 && !told(c)).map(expired));
    let mut warnings = Vec::new();
    for (sentence, waits) in add_ons::unavailable(inv, seen) {
        if waits { &mut problems } else { &mut warnings }.push(overall(sentence));
    }
    differences(seen, status, &mut warnings);
    let soon = i64::try_from(inv.pki.renew_before.as_secs() / 86_400).unwrap_or(i64::MAX);
    // The kubelet renews its own client certificate in time, so it causes no warning, and neither do CA certificates.
    let ours = status.certificates.iter().filter(|c| c.path != layout::KUBELET_CLIENT_CURRENT && !c.authority);
    warnings.extend(ours.filter(|c| (0..soon).contains(&c.days)).map(expiring));
    (problems, warnings)
}

/// Reports hosts of another cluster, whose state would be shown under the name of this cluster, and an unfinished founding of the cluster.
fn whose(inv: &Inventory, seen: &Seen, problems: &mut Vec<Finding>) {
    let facts = &seen.observed.facts;
    let hosts: Vec<HostName> = facts.hosts.keys().cloned().collect();
    problems.extend(refusals::foreign(inv, facts, &hosts).into_iter().map(|b| on(&b.host, b.message)));
    let marked = inv.control_planes().any(|h| facts.host(&h.name).files.contains_key(layout::OWNERSHIP));
    if marked && !ClusterState::of(facts).exists() {
        problems.push(overall(format!("the founding of cluster {} is not finished; `clusterctl init` goes on with it", inv.cluster.name)));
    }
}

fn components(status: &Status, problems: &mut Vec<Finding>) {
    for m in &status.control_plane {
        let named = [
            ("kube-apiserver", Some(m.api_server)),
            ("kube-controller-manager", Some(m.controller_manager)),
            ("kube-scheduler", Some(m.scheduler)),
            ("etcd", m.etcd),
            ("the kubelet", Some(m.kubelet)),
        ];
        for (name, _) in named.into_iter().filter(|(_, state)| *state == Some(State::Down)) {
            problems.push(on(&m.host, format!("{name} is not healthy")));
        }
    }
    if status.nodes.is_none() {
        problems.push(overall("no API server answers"));
    }
    if status.endpoint.state == State::Down {
        problems.push(overall(format!("the API is not ready at the endpoint {}", status.endpoint.address)));
    }
}

fn leaders(inv: &Inventory, status: &Status, problems: &mut Vec<Finding>) {
    if status.nodes.is_some() {
        for (name, leader) in
            [("kube-scheduler", &status.leaders.scheduler), ("kube-controller-manager", &status.leaders.controller_manager)]
        {
            if leader.is_none() {
                problems.push(overall(format!("no {name} leads")));
            }
        }
    }
    if inv.etcd.external.is_none() && status.etcd.is_some() && status.leaders.etcd.is_none() {
        problems.push(overall("no etcd member leads"));
    }
}

fn etcd(inv: &Inventory, status: &Status, problems: &mut Vec<Finding>) {
    let hosts = inv.etcd_hosts();
    let Some(etcd) = &status.etcd else {
        if !hosts.is_empty() {
            problems.push(overall("no etcd member answers"));
        }
        return;
    };
    if etcd.quorum.can_lose < 0 {
        let (healthy, voters) = (etcd.quorum.healthy_voters, plural(etcd.quorum.voters, "voting etcd member"));
        problems.push(overall(format!("{healthy} of {voters} healthy, and the quorum is {}", etcd.quorum.quorum)));
    }
    for m in etcd.members.iter().filter(|m| m.state != State::Ok) {
        problems.push(on(&m.name, "its etcd member does not answer or is not known here"));
    }
    for h in hosts.iter().filter(|h| etcd.members.iter().all(|m| m.name != h.name)) {
        problems.push(on(&h.name, "it has no etcd member"));
    }
}

fn nodes(status: &Status, problems: &mut Vec<Finding>) {
    for n in status.nodes.iter().flatten() {
        match n.state {
            NodeState::Ready => {}
            NodeState::NotReady => problems.push(on(&n.name, format!("its node is not ready: {}", n.message))),
            NodeState::Unknown => problems.push(on(&n.name, "its kubelet does not report to the API")),
            NodeState::Missing => problems.push(on(&n.name, "it is not a node of the cluster")),
        }
    }
}

/// Reports workers whose kubelets have a client certificate that no API server accepts any more, by the clocks of their hosts.
fn identities(inv: &Inventory, seen: &Seen, problems: &mut Vec<Finding>) {
    let facts = &seen.observed.facts;
    let ca_pem = ca_pem(inv, facts).unwrap_or_default();
    for h in inv.nodes().filter(|h| !h.has(Role::ControlPlane)) {
        if let Some(reason) = identity::fault(inv, facts.host(&h.name), ca_pem) {
            let what = "the client certificate of its kubelet is of no use";
            problems.push(on(&h.name, format!("{what}: {reason}; `clusterctl apply` lets the kubelet join again")));
        }
    }
}

fn balancers(status: &Status, problems: &mut Vec<Finding>) {
    for b in &status.load_balancers {
        if b.state == State::Down {
            problems.push(on(&b.host, "the API is not reached through this balancer"));
        }
        for (master, _) in b.backends.iter().filter(|(_, state)| **state == State::Down) {
            problems.push(on(&b.host, format!("this balancer does not reach the API server of {master}")));
        }
    }
}

fn differences(seen: &Seen, status: &Status, warnings: &mut Vec<Finding>) {
    for n in status.nodes.iter().flatten().filter(|n| n.state != NodeState::Missing) {
        if !n.in_inventory {
            warnings.push(on(&n.name, "this node is not in the inventory"));
        } else if n.version != status.version {
            warnings.push(on(&n.name, format!("its kubelet is {}, the inventory says {}", n.version, status.version)));
        }
        if !n.schedulable {
            warnings.push(on(&n.name, "this node is cordoned"));
        }
    }
    for (host, f) in &seen.observed.facts.hosts {
        for component in &f.outdated {
            let what = match component.as_str() {
                KUBELET => {
                    "the kubelet runs with an older client certificate than the one on the host; `clusterctl certs renew` restarts it"
                        .into()
                }
                _ => format!("{component} runs with an older kubeconfig than the one on the host; `clusterctl apply` restarts it"),
            };
            warnings.push(on(host, what));
        }
    }
    for m in &status.control_plane {
        if let Some(version) = m.version.as_ref().filter(|v| **v != status.version) {
            warnings.push(on(&m.host, format!("its API server is {version}, the inventory says {}", status.version)));
        }
    }
}

fn expired(c: &Certificate) -> Finding {
    on(&c.host, format!("certificate {} expired {} ago; `clusterctl certs renew` renews it", c.path, days(-c.days)))
}

fn expiring(c: &Certificate) -> Finding {
    on(&c.host, format!("certificate {} expires in {}; `clusterctl certs renew` renews it", c.path, days(c.days)))
}

fn days(count: i64) -> String {
    plural(usize::try_from(count).unwrap_or(0), "day")
}
