//! The control plane in detail: the components of each host, the leaders, and the quorum of etcd.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::Seen;
use super::checks::{API_SERVER, CONTROLLER_MANAGER, ETCD, KUBELET, SCHEDULER};
use super::model::{LEASES, State};
use crate::cli::quorum::Quorum;
use crate::facts::MemberFact;
use crate::host::HostName;
use crate::inventory::Inventory;
use crate::layout;

/// The components of one control-plane host.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Master {
    pub host: HostName,
    pub api_server: State,
    /// The version of the running API server.
    pub version: Option<String>,
    pub controller_manager: State,
    pub scheduler: State,
    /// Absent if the host has no etcd member according to the inventory.
    pub etcd: Option<State>,
    pub kubelet: State,
}

/// The leaders of the scheduler, the controller manager and etcd. A leader is absent if there is none, or if no API server or no etcd member
/// answered.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Leaders {
    pub scheduler: Option<HostName>,
    pub controller_manager: Option<HostName>,
    /// The name of a member, which is the name of its host.
    pub etcd: Option<HostName>,
}

/// The members of etcd, and how many of them may fail.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Etcd {
    pub members: Vec<Member>,
    /// The highest raft term that a member reports. It rises with each election of a leader. Absent if no member reports one.
    pub raft_term: Option<u64>,
    #[serde(flatten)]
    pub quorum: Quorum,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    pub name: String,
    pub id: String,
    pub learner: bool,
    pub leader: bool,
    pub state: State,
}

/// Whether the cluster was founded: an API server answers, or a control-plane host has an admin.conf. `None` if no control-plane host could be
/// observed.
pub fn founded(inv: &Inventory, seen: &Seen) -> Option<bool> {
    let facts = &seen.observed.facts;
    let carries: Vec<bool> =
        inv.control_planes().filter_map(|h| Some(facts.hosts.get(&h.name)?.files.contains_key(layout::ADMIN_CONF))).collect();
    if facts.cluster.is_some() { Some(true) } else { (!carries.is_empty()).then(|| carries.contains(&true)) }
}

/// The states of the components on every control-plane host.
pub fn masters(inv: &Inventory, seen: &Seen) -> Vec<Master> {
    let etcd = inv.etcd_hosts();
    let master = |h: &crate::inventory::HostEntry| Master {
        host: h.name.clone(),
        api_server: seen.check(&h.name, API_SERVER),
        version: seen.observed.facts.host(&h.name).api_version.clone(),
        controller_manager: seen.check(&h.name, CONTROLLER_MANAGER),
        scheduler: seen.check(&h.name, SCHEDULER),
        etcd: etcd.iter().any(|e| e.name == h.name).then(|| seen.check(&h.name, ETCD)),
        kubelet: seen.check(&h.name, KUBELET),
    };
    inv.control_planes().map(master).collect()
}

/// The leaders, according to the Leases and to etcd itself.
pub fn leaders(inv: &Inventory, seen: &Seen, now: Timestamp) -> Leaders {
    let facts = &seen.observed.facts;
    let leases = seen.observed.lists.get(LEASES).map(|l| l["items"].as_array().cloned().unwrap_or_default()).unwrap_or_default();
    // The times in Leases are those of the control-plane hosts' clocks, so the present time is converted to such a clock: that of the host whose API
    // server answered.
    let offset = facts.cluster.as_ref().map_or(0.0, |c| facts.host(&c.via).clock_offset);
    let there = now.as_millisecond() as f64 / 1000.0 + offset;
    let holder = |name: &str| leases.iter().find(|l| l["metadata"]["name"] == name).and_then(|l| holder(&l["spec"], there));
    // A component knows its host by the kernel's hostname, which may differ from the name in the inventory.
    let named = |hostname: String| {
        let host = inv.control_planes().find(|h| facts.host(&h.name).hostname.eq_ignore_ascii_case(&hostname));
        host.map_or(hostname, |h| h.name.clone())
    };
    Leaders {
        scheduler: holder("kube-scheduler").map(named),
        controller_manager: holder("kube-controller-manager").map(named),
        etcd: members(seen).and_then(|all| all.iter().find(|m| m.leader).map(|m| m.name.clone())),
    }
}

/// The hostname of the Lease's holder, whose identity is `hostname_uuid`. `None` if the Lease has no holder or has expired at `now`, in Unix seconds.
fn holder(spec: &Value, now: f64) -> Option<String> {
    let renewed: Timestamp = spec["renewTime"].as_str()?.parse().ok()?;
    let until = renewed.as_millisecond() as f64 / 1000.0 + spec["leaseDurationSeconds"].as_f64()?;
    let identity = spec["holderIdentity"].as_str().filter(|i| !i.is_empty())?;
    (until >= now).then(|| identity.rsplit_once('_').map_or(identity, |(host, _)| host).to_string())
}

/// The etcd members as a host lists them that knows the leader, or else as any host lists them. `None` if no host has a list.
fn members(seen: &Seen) -> Option<&Vec<MemberFact>> {
    let lists: Vec<_> = seen.observed.facts.hosts.values().filter_map(|f| f.members.as_ref()).collect();
    lists.iter().find(|l| l.iter().any(|m| m.leader)).or(lists.first()).copied()
}

/// The state of etcd by its own member list; absent if no member answers or if somebody else runs etcd.
pub fn etcd(inv: &Inventory, seen: &Seen) -> Option<Etcd> {
    let hosts = inv.etcd_hosts();
    let state = |m: &MemberFact| hosts.iter().find(|h| h.name == m.name).map_or(State::Unknown, |h| seen.check(&h.name, ETCD));
    let member = |m: &MemberFact| Member { name: m.name.clone(), id: m.id.clone(), learner: m.learner, leader: m.leader, state: state(m) };
    let mut members: Vec<Member> = members(seen)?.iter().map(member).collect();
    members.sort_by(|a, b| a.name.cmp(&b.name));
    let raft_term = seen.observed.facts.hosts.values().filter_map(|f| f.raft_term).max();
    Some(arithmetic(members, raft_term))
}

fn arithmetic(members: Vec<Member>, raft_term: Option<u64>) -> Etcd {
    let voters = members.iter().filter(|m| !m.learner).count();
    let healthy_voters = members.iter().filter(|m| !m.learner && m.state == State::Ok).count();
    Etcd { members, raft_term, quorum: Quorum::of(voters, healthy_voters) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn etcd_of(healthy: usize, down: usize, learners: usize) -> Etcd {
        let member = |state, learner| Member { name: String::new(), id: String::new(), learner, leader: false, state };
        let voters = (0..healthy).map(|_| member(State::Ok, false)).chain((0..down).map(|_| member(State::Down, false)));
        arithmetic(voters.chain((0..learners).map(|_| member(State::Ok, true))).collect(), None)
    }

    #[test]
    fn quorum_is_more_than_half_of_the_voters() {
        let told = |e: Etcd| (e.quorum.voters, e.quorum.quorum, e.quorum.can_lose);
        assert_eq!(told(etcd_of(1, 0, 0)), (1, 1, 0));
        assert_eq!(told(etcd_of(3, 0, 0)), (3, 2, 1));
        assert_eq!(told(etcd_of(2, 1, 0)), (3, 2, 0));
        assert_eq!(told(etcd_of(1, 2, 0)), (3, 2, -1));
        assert_eq!(told(etcd_of(4, 0, 1)), (4, 3, 1));
    }

    #[test]
    fn a_lease_counts_while_it_runs() {
        let spec = json!({"holderIdentity": "m-1_0f3c_x", "leaseDurationSeconds": 15, "renewTime": "2026-11-21T10:00:00.000000Z"});
        let at = |seconds: i64| holder(&spec, (1_795_255_200 + seconds) as f64);
        assert_eq!(at(14).as_deref(), Some("m-1_0f3c"));
        assert_eq!(at(16), None);
        assert_eq!(holder(&json!({"holderIdentity": ""}), 0.0), None);
    }
}
