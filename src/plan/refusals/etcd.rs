//! Refusals of the commands that maintain etcd: what the members say about themselves speaks against the change.

use super::Refusal;
use crate::facts::Facts;
use crate::facts::etcd::{Alarm, MemberAnswer, mebibytes};
use crate::host::HostName;
use crate::inventory::{HostEntry, Inventory};
use crate::plan::members::votes;

/// Refuses a change while no member lists the members, or none knows a leader: etcd accepts no change without a quorum.
pub fn without_leader(facts: &Facts) -> Option<Refusal> {
    let mut answers = facts.hosts.values().filter_map(|f| f.etcd.as_ref());
    let knows = |a: &MemberAnswer| a.status.as_ref().is_some_and(|s| s.leader.is_some());
    (facts.members().is_none() || !answers.any(knows)).then(|| {
        let message = "no etcd member that answers knows a leader: etcd has no quorum, or is electing a leader";
        Refusal::new("", "etcd-quorum", message, "see the members with `clusterctl etcd status`")
    })
}

/// Refuses a defragmentation while a voting member is not healthy: the member that is defragmented answers no request, so the others must be able to
/// do without it.
pub fn of_defrag(inv: &Inventory, facts: &Facts) -> Vec<Refusal> {
    let voters = inv.etcd_hosts().into_iter().filter(|h| votes(h, facts) == Some(true));
    voters.filter_map(|h| unhealthy(h, facts)).collect()
}

/// Refuses a leader that does not vote or is not healthy.
pub fn of_leader(to: &HostEntry, facts: &Facts) -> Option<Refusal> {
    if votes(to, facts) == Some(true) {
        return unhealthy(to, facts);
    }
    let message = "its etcd member has no vote, and only a voting member can lead";
    Some(Refusal::new(&to.name, "etcd-vote", message, "see the members with `clusterctl etcd status`"))
}

/// The refusal if no member is healthy.
pub fn without_healthy_member() -> Refusal {
    Refusal::new("", "etcd-unhealthy", "no voting member of etcd is healthy", "see the members with `clusterctl etcd status`")
}

/// The refusal to move the leadership if only the leader is healthy.
pub fn without_successor() -> Refusal {
    let message = "no other voting member of etcd is healthy, so none can take over the leadership";
    Refusal::new("", "etcd-unhealthy", message, "see the members with `clusterctl etcd status`")
}

/// Refuses to disarm NOSPACE while the database has reached its quota, and to disarm CORRUPT unless `corrupt` is true.
pub fn of_disarm(facts: &Facts, corrupt: bool) -> Vec<Refusal> {
    let alarms = facts.hosts.values().find_map(|f| f.etcd.as_ref()?.alarms.as_deref()).unwrap_or_default();
    let refused = |a: &Alarm| match a.alarm.as_str() {
        "NOSPACE" => full(a, facts),
        "CORRUPT" if !corrupt => {
            let host = at(a, facts).map_or("", |(host, _)| host);
            let message = format!("etcd member {} has the alarm CORRUPT: its data differs from that of the others", name(a, facts));
            let fix =
                "let its host join anew (`clusterctl remove`, then `clusterctl join`); `--allow-corrupt` disarms the alarm nevertheless";
            Some(Refusal::new(host, "etcd-corrupt", message, fix))
        }
        _ => None,
    };
    alarms.iter().filter_map(refused).collect()
}

fn full(a: &Alarm, facts: &Facts) -> Option<Refusal> {
    let fix = "run `clusterctl etcd compact` and `clusterctl etcd defrag`, then disarm the alarm; or raise `quota-backend-bytes` in `etcd.extraArgs`";
    let Some((host, answer)) = at(a, facts) else {
        let message = format!("etcd member {} has the alarm NOSPACE, and does not tell the size of its database", name(a, facts));
        return Some(Refusal::new("", "etcd-space", message, "bring its host back first"));
    };
    let database = answer.status.as_ref().map_or(0, |s| s.database);
    match answer.quota {
        Some(quota) if database < quota => None,
        Some(quota) => {
            let message = format!("the database of its etcd member has {}, and its quota is {}", mebibytes(database), mebibytes(quota));
            Some(Refusal::new(host, "etcd-space", message, fix))
        }
        None => Some(Refusal::new(host, "etcd-space", "its etcd member does not tell the quota of its database", fix)),
    }
}

/// The host of the member that has the alarm, and what the member says about itself. `None` if it did not answer.
fn at<'f>(a: &Alarm, facts: &'f Facts) -> Option<(&'f HostName, &'f MemberAnswer)> {
    let answers = || facts.hosts.iter().filter_map(|(host, f)| Some((host, f.etcd.as_ref()?)));
    answers().find(|(_, e)| e.status.as_ref().is_some_and(|s| s.member == a.member))
}

/// The name of the member that has the alarm, or its ID if etcd does not list it.
fn name<'f>(a: &'f Alarm, facts: &'f Facts) -> &'f str {
    facts.members().and_then(|all| all.iter().find(|m| m.id == a.member)).map_or(&a.member, |m| &m.name)
}

fn unhealthy(h: &HostEntry, facts: &Facts) -> Option<Refusal> {
    let answer = facts.host(&h.name).etcd.as_ref();
    if answer.is_some_and(MemberAnswer::is_healthy) {
        return None;
    }
    let why = answer.and_then(|a| a.health.as_ref()).map(|health| health.error.as_str()).filter(|e| !e.is_empty());
    let message = format!("its etcd member is not healthy: {}", why.unwrap_or("it does not answer"));
    Some(Refusal::new(&h.name, "etcd-unhealthy", message, "bring it back first, and see the members with `clusterctl etcd status`"))
}
