//! The stages of a run: one for most commands, several for `replace` and for upgrades.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::goal::{Goal, Leaving, Upgrade};
use super::kubelet_policy::{KubeletPolicy, NodeChange};
use super::refusals::{self, Purpose, Refusal};
use super::situation::{ClusterState, are_removed, has_begun_to_join, has_joined, removal_has_begun};
use super::upgrade::{self, Running, UpgradeRefusal, UpgradeStage};
use super::{DesiredSteps, remove, repair};
use crate::facts::Facts;
use crate::host::HostName;
use crate::inventory::{HostEntry, Inventory, KubeVersion};
use crate::pki::Renew;

/// How running kubelets are treated in a stage.
#[derive(Clone, Debug)]
enum Kubelets {
    /// Kubelets get the version and configuration of the inventory. The kubelets of an interrupted upgrade, which run an older version, stay as they
    /// are: only `upgrade` drains their nodes and changes them.
    OfInventory,
    /// Kubelets keep their version while the control plane is upgraded. `next` is the version that they get in a later stage, `later` are the
    /// versions that the control plane gets in later stages, and `snapshot` is the file for a snapshot of etcd.
    Held { next: Option<KubeVersion>, later: Vec<KubeVersion>, snapshot: Option<PathBuf> },
    /// Kubelets keep the version that clusterctl installed on their hosts. A repair uses this, because there may be no API server that reports
    /// the running versions.
    Kept,
    /// Kubelets are brought to the Kubernetes version of the stage's inventory, node by node.
    Changed(NodeChange),
}

/// One stage: the inventory of the cluster after the stage, and the hosts that are removed.
pub(super) struct Stage {
    pub inv: Inventory,
    kubelets: Kubelets,
    /// The inventory that still contains the hosts that this stage removes, and the hosts with the options of their removal; `None`: no host is
    /// removed.
    leaving: Option<(Inventory, Leaving)>,
    /// Whether the stage only removes hosts and changes nothing else in the cluster.
    alone: bool,
    /// The renewal of certificates in this stage, which then changes nothing else.
    pub renew: Option<Renew>,
}

impl Stage {
    /// The stage that brings the cluster to this inventory, and removes no host.
    fn to(inv: Inventory, kubelets: Kubelets) -> Self {
        Stage { inv, kubelets, leaving: None, alone: false, renew: None }
    }

    /// The inputs of the removal of hosts in this stage; `None` if no host is removed.
    pub fn leave<'a>(&'a self, facts: &'a Facts) -> Option<remove::Inputs<'a>> {
        let (inv, l) = self.leaving.as_ref()?;
        Some(remove::Inputs { inv, facts, leaving: &l.hosts, dead: l.dead, drain: l.drain })
    }

    /// How kubelets are treated in this stage.
    pub fn kubelet_policy(&self, facts: &Facts) -> KubeletPolicy {
        match &self.kubelets {
            Kubelets::OfInventory => KubeletPolicy { held: self.behind(facts), ..KubeletPolicy::default() },
            Kubelets::Kept => {
                let version =
                    |h: &HostEntry| repair::kubelet_version(facts.host(&h.name)).unwrap_or_else(|| self.inv.cluster.version.clone());
                KubeletPolicy { held: self.inv.nodes().map(|h| (h.name.clone(), version(h))).collect(), ..KubeletPolicy::default() }
            }
            Kubelets::Held { next, later, snapshot } => {
                let held = Running::of(&self.inv, facts).kubelets;
                KubeletPolicy { held, next: next.clone(), later: later.clone(), snapshot: snapshot.clone(), ..KubeletPolicy::default() }
            }
            Kubelets::Changed(nodes) => KubeletPolicy { changes_version: true, nodes: nodes.clone(), ..KubeletPolicy::default() },
        }
    }

    /// Whether kubelets are changed to another version in this stage.
    pub fn changes_kubelets(&self) -> bool {
        matches!(self.kubelets, Kubelets::Changed(_))
    }

    /// The nodes of an existing cluster whose kubelets have another version than the inventory, with that version. While no API server answers, it is
    /// the version that clusterctl installed.
    fn behind(&self, facts: &Facts) -> BTreeMap<HostName, KubeVersion> {
        if !ClusterState::of(facts).exists() {
            return BTreeMap::new();
        }
        let running = Running::of(&self.inv, facts).kubelets;
        let installed = |h: &HostEntry| repair::kubelet_version(facts.host(&h.name)).filter(|_| facts.cluster.is_none());
        let version = |h: &HostEntry| running.get(&h.name).cloned().or_else(|| installed(h));
        let all = self.inv.nodes().filter_map(|h| Some((h.name.clone(), version(h)?)));
        all.filter(|(_, v)| *v != self.inv.cluster.version).collect()
    }

    /// The desired steps of a stage that only removes hosts; `None` for every other stage.
    pub fn removal_alone(&self, facts: &Facts) -> Option<DesiredSteps> {
        self.leave(facts).filter(|_| self.alone).map(|leave| remove::desired_steps(&leave))
    }

    /// Every reason why the hosts of the stage must not be removed; empty if it removes none.
    pub fn removal_refusals(&self, facts: &Facts) -> Vec<Refusal> {
        self.leave(facts).map(|leave| remove::refusals(&leave)).unwrap_or_default()
    }

    /// Every other reason why the stage must not begin.
    pub fn refusals(&self, facts: &Facts, purpose: Purpose) -> Vec<Refusal> {
        // If all control planes are removed, no cluster remains that could be checked.
        if self.leaving.is_some() && self.inv.control_planes().next().is_none() {
            return Vec::new();
        }
        if self.alone { refusals::mixed(&self.inv, facts) } else { refusals::of(&self.inv, facts, purpose) }
    }

    /// What the operator should know about kubelets that the stage leaves at another version.
    pub fn held_back(&self, facts: &Facts) -> Option<Refusal> {
        let behind = if matches!(self.kubelets, Kubelets::OfInventory) && !self.alone { self.behind(facts) } else { BTreeMap::new() };
        let names: Vec<String> = behind.iter().map(|(h, v)| format!("{h} {v}")).collect();
        (!names.is_empty()).then(|| {
            let message =
                format!("these kubelets have another version than {} and stay as they are: {}", self.inv.cluster.version, names.join(", "));
            Refusal::new("", "version", message, "bring them to it with `clusterctl upgrade`")
        })
    }
}

/// The stages of a run, in order. An error is the reason why an upgrade cannot reach its target version.
pub(super) fn of(goal: &Goal, inv: &Inventory, facts: &Facts, selected: &[HostName]) -> Result<Vec<Stage>, UpgradeRefusal> {
    let comes = |h: &HostEntry| match goal {
        Goal::Join(names) => names.is_empty() || names.contains(&h.name),
        Goal::Remove(_) | Goal::Upgrade(_) | Goal::Renew(_) | Goal::RotateKey(_) => false,
        Goal::Replace(_, new) => *new == h.name,
        Goal::Found | Goal::Keep => selected.contains(&h.name),
    };
    // A host that has not joined, and that does not answer or is not to join now, is treated as if it were not in the inventory.
    let left_out = |h: &&HostEntry| !has_begun_to_join(h, inv, facts) && (!facts.hosts.contains_key(&h.name) || !comes(h));
    let absent: Vec<HostName> = inv.hosts.iter().filter(left_out).map(|h| h.name.clone()).collect();
    let all = inv.without(&absent);
    let going = |l: &Leaving, from: &Inventory| {
        let others = inv.hosts.iter().map(|h| &h.name).filter(|h| from.host(h).is_none() && !l.hosts.contains(h));
        let before = inv.without(&others.cloned().collect::<Vec<_>>());
        Stage { leaving: Some((before, l.clone())), ..Stage::to(from.without(&l.hosts), Kubelets::OfInventory) }
    };
    let only = |inv: Inventory| Stage::to(inv, Kubelets::OfInventory);
    // In the middle of an upgrade, the desired steps would change control planes to another version. A dead host can be removed nevertheless, and
    // must be, because the upgrade goes on only when every control plane answers.
    let in_between = || Running::of(&all, facts).api_servers.values().any(|v| *v != inv.cluster.version);
    Ok(match goal {
        Goal::Remove(l) if l.dead && in_between() => vec![Stage { alone: true, ..going(l, &all) }],
        Goal::Remove(l) => vec![going(l, &all)],
        // A dead host is removed before the new host joins, because etcd adds no member while another member is unhealthy. A live host is
        // removed after the new host has joined.
        Goal::Replace(l, _) if l.dead && are_removed(&l.hosts, inv, facts) => vec![only(all.without(&l.hosts))],
        Goal::Replace(l, new) if l.dead => vec![going(l, &all.without(std::slice::from_ref(new))), only(all.without(&l.hosts))],
        // If the new host has joined and the removal of the old host has begun, the run only continues the removal: a stage with both hosts
        // would first restore the old host.
        Goal::Replace(l, new) if has_joined(new, inv, facts) && removal_has_begun(&l.hosts, inv, facts) => vec![going(l, &all)],
        Goal::Replace(l, _) => vec![only(all.clone()), going(l, &all)],
        Goal::Upgrade(u) if ClusterState::of(facts).exists() => {
            of_upgrade(u, &all, &upgrade::way(&Running::of(&all, facts), &u.to, &u.through)?)
        }
        // Kubelets keep their version and their configuration, whatever the inventory says.
        Goal::Renew(renew) => vec![Stage { renew: Some(renew.clone()), ..Stage::to(all, Kubelets::Kept) }],
        _ => vec![only(all)],
    })
}

/// The stage that restores control planes at this version. If `kubelets` is true, the stage also restores the kubelets of nodes. Hosts that
/// have not joined are left out.
pub(super) fn repair(inv: &Inventory, facts: &Facts, version: &KubeVersion, kubelets: bool) -> Stage {
    let outside: Vec<HostName> = inv.hosts.iter().filter(|h| !has_begun_to_join(h, inv, facts)).map(|h| h.name.clone()).collect();
    let mut inv = inv.without(&outside);
    inv.cluster.version = version.clone();
    Stage::to(inv, if kubelets { Kubelets::OfInventory } else { Kubelets::Kept })
}

/// Makes one stage of the run for each stage of the upgrade in `way`.
fn of_upgrade(u: &Upgrade, inv: &Inventory, way: &[UpgradeStage]) -> Vec<Stage> {
    let stage = |(at, next): (usize, &UpgradeStage)| {
        let mut inv = inv.clone();
        inv.cluster.version = next.version().clone();
        let kubelets = match next {
            UpgradeStage::Kubelets(_) => Kubelets::Changed(u.nodes.clone()),
            UpgradeStage::ControlPlane(_) => {
                let next = way[at..].iter().find(|s| matches!(s, UpgradeStage::Kubelets(_)));
                let later = way[at + 1..].iter().filter(|s| matches!(s, UpgradeStage::ControlPlane(_))).map(|s| s.version().clone());
                Kubelets::Held { next: next.map(|s| s.version().clone()), later: later.collect(), snapshot: u.snapshot.clone() }
            }
        };
        Stage::to(inv, kubelets)
    };
    way.iter().enumerate().map(stage).collect()
}
