//! Which pages a run is made of: one for most verbs, two where a host comes and another one goes.

use std::time::Duration;

use super::Mode;
use crate::facts::Facts;
use crate::host::HostName;
use crate::inventory::{HostEntry, Inventory, Role};
use crate::layout;
use crate::plan::blockers::{self, Blocker};
use crate::plan::remove;

/// Hosts that leave, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    pub hosts: Vec<HostName>,
    /// Their machines are gone.
    pub dead: bool,
    /// `None`: their pods are not asked to move.
    pub drain: Option<Duration>,
}

impl Leaving {
    /// What the operator is asked.
    pub fn question(&self, cluster: &str) -> String {
        let data = if self.dead { "it is never to come back" } else { "what is on it is lost" };
        format!("remove {} from cluster {cluster}? After that {data}", self.hosts.join(", "))
    }
}

/// One page: the cluster that is to be after it, and who leaves on the way.
pub(super) struct Stage {
    pub inv: Inventory,
    /// The inventory with those who leave, and they.
    leaving: Option<(Inventory, Leaving)>,
}

impl Stage {
    /// What the removal is about, if there is one.
    pub fn leave<'a>(&'a self, facts: &'a Facts) -> Option<remove::Inputs<'a>> {
        let (inv, l) = self.leaving.as_ref()?;
        Some(remove::Inputs { inv, facts, leaving: &l.hosts, dead: l.dead, drain: l.drain })
    }

    /// Every reason not to begin.
    pub fn blockers(&self, facts: &Facts, founding: bool) -> Vec<Blocker> {
        match self.leave(facts) {
            // Where everything goes, nothing is left to be judged.
            Some(leave) if self.inv.control_planes().next().is_none() => remove::blockers(&leave),
            Some(leave) => remove::blockers(&leave).into_iter().chain(blockers::of(&self.inv, facts, founding)).collect(),
            None => blockers::of(&self.inv, facts, founding),
        }
    }
}

/// The pages of a run, in order.
pub(super) fn of(mode: &Mode, inv: &Inventory, facts: &Facts, selected: &[HostName]) -> Vec<Stage> {
    let comes = |h: &HostEntry| match mode {
        Mode::Join(names) => names.is_empty() || names.contains(&h.name),
        Mode::Remove(_) => false,
        Mode::Replace(_, new) => *new == h.name,
        Mode::Init | Mode::Apply | Mode::Plan => selected.contains(&h.name),
    };
    // A host that is not in yet and cannot or shall not come in now is as if it were not in the inventory: nothing is prepared for it elsewhere.
    let left_out = |h: &&HostEntry| !joined(h, facts) && (!facts.hosts.contains_key(&h.name) || !comes(h));
    let absent: Vec<HostName> = inv.hosts.iter().filter(left_out).map(|h| h.name.clone()).collect();
    let all = inv.without(&absent);
    let going = |l: &Leaving, from: &Inventory| {
        let others = inv.hosts.iter().map(|h| &h.name).filter(|h| from.host(h).is_none() && !l.hosts.contains(h));
        let before = inv.without(&others.cloned().collect::<Vec<_>>());
        Stage { inv: from.without(&l.hosts), leaving: Some((before, l.clone())) }
    };
    let only = |inv: Inventory| Stage { inv, leaving: None };
    match mode {
        Mode::Remove(l) => vec![going(l, &all)],
        // A machine that is gone makes room first, for etcd grows only while all its members are well; a living one is relieved first.
        Mode::Replace(l, new) if l.dead => vec![going(l, &all.without(std::slice::from_ref(new))), only(all.without(&l.hosts))],
        Mode::Replace(l, _) => vec![only(all.clone()), going(l, &all)],
        _ => vec![only(all)],
    }
}

/// Whether a host is in the cluster, or was on its way in.
fn joined(h: &HostEntry, facts: &Facts) -> bool {
    match facts.hosts.get(&h.name) {
        Some(f) => f.files.contains_key(layout::OWNERSHIP),
        // What does not answer is judged by its node. A balancer has none, and a control plane of a cluster that is being founded has none yet.
        None if h.has(Role::LoadBalancer) || !crate::plan::cluster::established(facts) => {
            h.has(Role::LoadBalancer) || h.has(Role::ControlPlane)
        }
        None => facts.cluster.as_ref().is_some_and(|c| c.nodes.contains_key(&h.name)),
    }
}
