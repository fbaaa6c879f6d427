//! Which pages a run is made of: one for most verbs, two where a host comes and another one goes.

use std::path::PathBuf;
use std::time::Duration;

use super::Mode;
use super::upgrade::Upgrade;
use crate::facts::Facts;
use crate::host::HostName;
use crate::inventory::{HostEntry, Inventory, KubeVersion, Role};
use crate::layout;
use crate::plan::Share;
use crate::plan::blockers::{self, Blocker, Purpose};
use crate::plan::cluster::etcd::peer_url;
use crate::plan::cluster::{Hook, Roll, established};
use crate::plan::remove;
use crate::plan::upgrade::{self, Leg, NoWay, Running};
use crate::step::drain::How;

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

/// What becomes of kubelets that run already.
#[derive(Clone, Debug)]
enum Kubelets {
    /// They are as the inventory says.
    AsSaid,
    /// They stay at their version while the control plane goes ahead.
    Held { next: Option<KubeVersion>, later: Vec<KubeVersion>, snapshot: Option<PathBuf> },
    /// They come to the inventory's version, node by node.
    Rolled { drain: Option<How>, at_once: Share, hooks: Vec<Hook> },
}

/// One page: the cluster that is to be after it, and who leaves on the way.
pub(super) struct Stage {
    pub inv: Inventory,
    kubelets: Kubelets,
    /// The inventory with those who leave, and they.
    leaving: Option<(Inventory, Leaving)>,
}

impl Stage {
    /// What the removal is about, if there is one.
    pub fn leave<'a>(&'a self, facts: &'a Facts) -> Option<remove::Inputs<'a>> {
        let (inv, l) = self.leaving.as_ref()?;
        Some(remove::Inputs { inv, facts, leaving: &l.hosts, dead: l.dead, drain: l.drain })
    }

    /// How the change goes over the nodes.
    pub fn roll(&self, facts: &Facts) -> Roll {
        match &self.kubelets {
            Kubelets::AsSaid => Roll::default(),
            Kubelets::Held { next, later, snapshot } => {
                let held = Running::of(&self.inv, facts).kubelets;
                Roll { held, next: next.clone(), later: later.clone(), snapshot: snapshot.clone(), ..Roll::default() }
            }
            Kubelets::Rolled { drain, at_once, hooks } => {
                Roll { kubelets: true, drain: *drain, at_once: *at_once, hooks: hooks.clone(), ..Roll::default() }
            }
        }
    }

    /// Whether kubelets come to another version in it.
    pub fn rolls(&self) -> bool {
        matches!(self.kubelets, Kubelets::Rolled { .. })
    }

    /// Every reason not to begin.
    pub fn blockers(&self, facts: &Facts, purpose: Purpose) -> Vec<Blocker> {
        match self.leave(facts) {
            // Where everything goes, nothing is left to be judged.
            Some(leave) if self.inv.control_planes().next().is_none() => remove::blockers(&leave),
            Some(leave) => remove::blockers(&leave).into_iter().chain(blockers::of(&self.inv, facts, purpose)).collect(),
            None => blockers::of(&self.inv, facts, purpose),
        }
    }
}

/// The pages of a run, in order.
pub(super) fn of(mode: &Mode, inv: &Inventory, facts: &Facts, selected: &[HostName]) -> Result<Vec<Stage>, NoWay> {
    let comes = |h: &HostEntry| match mode {
        Mode::Join(names) => names.is_empty() || names.contains(&h.name),
        Mode::Remove(_) | Mode::Upgrade(_) => false,
        Mode::Replace(_, new) => *new == h.name,
        Mode::Init | Mode::Apply | Mode::Plan => selected.contains(&h.name),
    };
    // A host that is not in yet and cannot or shall not come in now is as if it were not in the inventory: nothing is prepared for it elsewhere.
    let left_out = |h: &&HostEntry| !joined(h, inv, facts) && (!facts.hosts.contains_key(&h.name) || !comes(h));
    let absent: Vec<HostName> = inv.hosts.iter().filter(left_out).map(|h| h.name.clone()).collect();
    let all = inv.without(&absent);
    let going = |l: &Leaving, from: &Inventory| {
        let others = inv.hosts.iter().map(|h| &h.name).filter(|h| from.host(h).is_none() && !l.hosts.contains(h));
        let before = inv.without(&others.cloned().collect::<Vec<_>>());
        Stage { inv: from.without(&l.hosts), kubelets: Kubelets::AsSaid, leaving: Some((before, l.clone())) }
    };
    let only = |inv: Inventory| Stage { inv, kubelets: Kubelets::AsSaid, leaving: None };
    Ok(match mode {
        Mode::Remove(l) => vec![going(l, &all)],
        // A machine that is gone makes room first, for etcd grows only while all its members are well; a living one is relieved first.
        Mode::Replace(l, new) if l.dead => vec![going(l, &all.without(std::slice::from_ref(new))), only(all.without(&l.hosts))],
        Mode::Replace(l, _) => vec![only(all.clone()), going(l, &all)],
        Mode::Upgrade(u) if established(facts) => legs(u, &all, &upgrade::way(&Running::of(&all, facts), &u.to, &u.through)?),
        _ => vec![only(all)],
    })
}

/// A page for each leg of an upgrade.
fn legs(u: &Upgrade, inv: &Inventory, legs: &[Leg]) -> Vec<Stage> {
    let stage = |(at, leg): (usize, &Leg)| {
        let mut inv = inv.clone();
        inv.cluster.version = leg.version().clone();
        let kubelets = match leg {
            Leg::Kubelets(_) => Kubelets::Rolled { drain: u.drain, at_once: u.at_once, hooks: u.hooks.clone() },
            Leg::ControlPlane(_) => {
                let next = legs[at..].iter().find(|l| matches!(l, Leg::Kubelets(_)));
                let later = legs[at + 1..].iter().filter(|l| matches!(l, Leg::ControlPlane(_))).map(|l| l.version().clone());
                Kubelets::Held { next: next.map(|l| l.version().clone()), later: later.collect(), snapshot: u.snapshot.clone() }
            }
        };
        Stage { inv, kubelets, leaving: None }
    };
    legs.iter().enumerate().map(stage).collect()
}

/// Whether a host is in the cluster, or was on its way in. Of one that does not answer, others tell: etcd's members of theirs, the API of its
/// nodes. Where nobody tells, it counts as in: an outage is no reason to plan a cluster without it.
fn joined(h: &HostEntry, inv: &Inventory, facts: &Facts) -> bool {
    if let Some(f) = facts.hosts.get(&h.name) {
        return f.files.contains_key(layout::OWNERSHIP);
    }
    if !established(facts) {
        return h.has(Role::ControlPlane) || h.has(Role::Etcd) || h.has(Role::LoadBalancer);
    }
    let listed = || facts.members().is_none_or(|list| list.iter().any(|m| m.peer_urls.contains(&peer_url(h))));
    let node = || facts.cluster.as_ref().is_none_or(|c| c.nodes.contains_key(&h.name));
    h.has(Role::LoadBalancer) || (inv.runs_etcd(h) && listed()) || (h.is_node() && node())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{ClusterFacts, FileFact, FileKind, HostFacts, MemberFact};

    fn inventory() -> Inventory {
        let text = "cluster: {name: c, version: v1.34.2, endpoint: \"10.0.0.9:6443\"}\nloadBalancer: {kind: haproxy}\nhosts:\n\
            - {name: m1, address: 10.0.0.1, roles: [control-plane]}\n- {name: e1, address: 10.0.0.2, roles: [etcd]}\n\
            - {name: e2, address: 10.0.0.3, roles: [etcd]}\n- {name: w1, address: 10.0.0.4, roles: [worker]}\n\
            - {name: w2, address: 10.0.0.5, roles: [worker]}\n- {name: lb1, address: 10.0.0.9, roles: [load-balancer]}\n";
        serde_yaml::from_str(text).expect("the inventory is valid")
    }

    /// A standing cluster of which m1 alone answers.
    fn standing(members: Option<&[&str]>, nodes: Option<&[&str]>) -> Facts {
        let mark = |path: &str| (path.to_string(), FileFact { kind: FileKind::Directory, mode: 0, uid: 0, gid: 0 });
        let member = |address: &&str| MemberFact {
            id: String::new(),
            name: String::new(),
            peer_urls: vec![format!("https://{address}:2380")],
            learner: false,
            leader: true,
        };
        let m1 = HostFacts {
            files: [mark(layout::OWNERSHIP), mark(layout::ESTABLISHED)].into(),
            members: members.map(|list| list.iter().map(member).collect()),
            ..HostFacts::default()
        };
        let nodes = nodes.map(|names| names.iter().map(|n| (n.to_string(), serde_json::json!({}))).collect());
        let cluster = nodes.map(|nodes| ClusterFacts { nodes, ..ClusterFacts::default() });
        Facts { hosts: [("m1".to_string(), m1)].into(), cluster, snapshot_taken: false }
    }

    fn in_it(facts: &Facts) -> Vec<String> {
        let inv = inventory();
        inv.hosts.iter().filter(|h| joined(h, &inv, facts)).map(|h| h.name.clone()).collect()
    }

    #[test]
    fn who_does_not_answer_is_judged_by_what_others_say() {
        let facts = standing(Some(&["10.0.0.2"]), Some(&["m1", "w1"]));
        assert_eq!(in_it(&facts), ["m1", "e1", "w1", "lb1"]);
    }

    #[test]
    fn an_outage_takes_nobody_out() {
        assert_eq!(in_it(&standing(None, None)), ["m1", "e1", "e2", "w1", "w2", "lb1"]);
    }
}
