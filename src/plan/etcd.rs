//! The desired steps of `etcd defrag`, `etcd move-leader`, `etcd alarm disarm` and `etcd compact`, and the hosts that these commands choose.

use super::members::votes;
use super::{DesiredSteps, HostSteps, Part, Phase, Width};
use crate::facts::Facts;
use crate::facts::etcd::MemberAnswer;
use crate::host::HostName;
use crate::inventory::{HostEntry, Inventory};
use crate::step::{Compact, Defrag, Disarm, MoveLeader, Step};

/// The difference between the log indexes of two healthy members from which one of them counts as late. The members are asked one after another, and a
/// busy etcd writes hundreds of entries in between.
pub const LATE: u64 = 5000;

/// The hosts whose etcd member votes, in the inventory's order.
pub fn voters<'a>(inv: &'a Inventory, facts: &Facts) -> Vec<&'a HostEntry> {
    inv.etcd_hosts().into_iter().filter(|h| votes(h, facts) == Some(true)).collect()
}

/// Defragments the databases of these hosts, one after another. The leader comes last: if its database takes long, the others have shrunk already.
/// Databases of which little would be gained are left out unless `needless` is true.
pub fn defrag(inv: &Inventory, facts: &Facts, hosts: &[HostName], needless: bool) -> DesiredSteps {
    let mut voters: Vec<&HostEntry> = voters(inv, facts).into_iter().filter(|h| hosts.contains(&h.name)).collect();
    voters.sort_by_key(|h| answer(h, facts).is_some_and(MemberAnswer::leads));
    let step = |h: &HostEntry| {
        let database = answer(h, facts).and_then(|a| Some(a.status.as_ref()?.database)).unwrap_or(0);
        on(h, Defrag { needless, database })
    };
    phase("defragment etcd", voters.into_iter().map(step).collect())
}

/// Makes the member of this host the leader.
pub fn move_leader(to: &HostEntry) -> DesiredSteps {
    phase("move the leadership of etcd", vec![on(to, MoveLeader)])
}

/// Disarms all alarms. `through` is the host that sends the request.
pub fn disarm(through: &HostEntry, corrupt: bool) -> DesiredSteps {
    phase("disarm alarms", vec![on(through, Disarm { corrupt })])
}

/// Compacts the history up to this revision. `through` is the host that sends the request.
pub fn compact(through: &HostEntry, revision: u64) -> DesiredSteps {
    phase("compact etcd", vec![on(through, Compact { revision })])
}

/// The first host whose member votes and is healthy, through which a request about the whole etcd cluster is sent. `None` if there is none.
pub fn through<'a>(inv: &'a Inventory, facts: &Facts) -> Option<&'a HostEntry> {
    healthy(inv, facts).map(|(h, _)| h).next()
}

/// The host whose member is the best next leader: healthy, not late, and with the fastest disk. `None` if only the leader is healthy.
pub fn next_leader<'a>(inv: &'a Inventory, facts: &Facts) -> Option<&'a HostEntry> {
    let index = |a: &MemberAnswer| a.status.as_ref().map_or(0, |s| s.index);
    let newest = healthy(inv, facts).map(|(_, a)| index(a)).max().unwrap_or(0);
    let rank = |a: &MemberAnswer| (newest - index(a) > LATE, a.sync_ms.unwrap_or(f64::MAX));
    let others = healthy(inv, facts).filter(|(_, a)| !a.leads()).map(|(h, a)| (h, rank(a)));
    others.min_by(|(_, a), (_, b)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))).map(|(h, _)| h)
}

/// The hosts whose member votes and is healthy, with the answers of the members.
fn healthy<'a, 'f>(inv: &'a Inventory, facts: &'f Facts) -> impl Iterator<Item = (&'a HostEntry, &'f MemberAnswer)> {
    let answered = voters(inv, facts).into_iter().filter_map(|h| Some((h, answer(h, facts)?)));
    answered.filter(|(_, a)| a.is_healthy())
}

fn answer<'f>(h: &HostEntry, facts: &'f Facts) -> Option<&'f MemberAnswer> {
    facts.host(&h.name).etcd.as_ref()
}

fn on(h: &HostEntry, step: impl Into<Step>) -> HostSteps<Step> {
    HostSteps { host: h.name.clone(), guards: vec![], steps: vec![step.into()] }
}

fn phase(name: &'static str, hosts: Vec<HostSteps<Step>>) -> DesiredSteps {
    vec![Phase { part: Part::Other, name, width: Width::One, hosts }]
}
