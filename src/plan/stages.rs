//! The stages of a run: one for most commands, several for `replace` and for upgrades.

use std::path::PathBuf;

use super::blockers::{self, Blocker, Purpose};
use super::cluster::etcd::peer_url;
use super::cluster::{KubeletPolicy, NodeChange, established};
use super::goal::{Goal, Leaving, Upgrade};
use super::upgrade::{self, Running, UpgradeRefusal, UpgradeStage};
use super::{remove, repair};
use crate::facts::Facts;
use crate::host::HostName;
use crate::inventory::{HostEntry, Inventory, KubeVersion, Role};
use crate::layout;

/// How running kubelets are treated in a stage.
#[derive(Clone, Debug)]
enum Kubelets {
    /// Kubelets get the version and configuration of the inventory.
    AsSaid,
    /// Kubelets keep their version while the control plane is upgraded. `next` is the version that they get in a later stage, `later` are the
    /// versions that the control plane gets in later stages, and `snapshot` is the file for a snapshot of etcd.
    Held { next: Option<KubeVersion>, later: Vec<KubeVersion>, snapshot: Option<PathBuf> },
    /// Kubelets keep the version that clusterctl installed on their hosts. A repair uses this, because there may be no API server that reports
    /// the running versions.
    Left,
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
}

impl Stage {
    /// The inputs of the removal of hosts in this stage; `None` if no host is removed.
    pub fn leave<'a>(&'a self, facts: &'a Facts) -> Option<remove::Inputs<'a>> {
        let (inv, l) = self.leaving.as_ref()?;
        Some(remove::Inputs { inv, facts, leaving: &l.hosts, dead: l.dead, drain: l.drain })
    }

    /// How kubelets are treated in this stage.
    pub fn kubelet_policy(&self, facts: &Facts) -> KubeletPolicy {
        match &self.kubelets {
            Kubelets::AsSaid => KubeletPolicy::default(),
            Kubelets::Left => {
                let version =
                    |h: &HostEntry| repair::kubelet_version(facts.host(&h.name)).unwrap_or_else(|| self.inv.cluster.version.clone());
                KubeletPolicy { held: self.inv.nodes().map(|h| (h.name.clone(), version(h))).collect(), ..KubeletPolicy::default() }
            }
            Kubelets::Held { next, later, snapshot } => {
                let held = Running::of(&self.inv, facts).kubelets;
                KubeletPolicy { held, next: next.clone(), later: later.clone(), snapshot: snapshot.clone(), ..KubeletPolicy::default() }
            }
            Kubelets::Changed(nodes) => KubeletPolicy { kubelets: true, nodes: nodes.clone(), ..KubeletPolicy::default() },
        }
    }

    /// Whether kubelets are changed to another version in this stage.
    pub fn changes_kubelets(&self) -> bool {
        matches!(self.kubelets, Kubelets::Changed(_))
    }

    /// Every reason why the stage must not begin.
    pub fn blockers(&self, facts: &Facts, purpose: Purpose) -> Vec<Blocker> {
        match self.leave(facts) {
            // If all control planes are removed, no cluster remains that could be checked, so only the removal is checked.
            Some(leave) if self.inv.control_planes().next().is_none() => remove::blockers(&leave),
            Some(leave) => remove::blockers(&leave).into_iter().chain(blockers::of(&self.inv, facts, purpose)).collect(),
            None => blockers::of(&self.inv, facts, purpose),
        }
    }
}

/// The stages of a run, in order. An error is the reason why an upgrade cannot reach its target version.
pub(super) fn of(goal: &Goal, inv: &Inventory, facts: &Facts, selected: &[HostName]) -> Result<Vec<Stage>, UpgradeRefusal> {
    let comes = |h: &HostEntry| match goal {
        Goal::Join(names) => names.is_empty() || names.contains(&h.name),
        Goal::Remove(_) | Goal::Upgrade(_) => false,
        Goal::Replace(_, new) => *new == h.name,
        Goal::Found | Goal::Keep => selected.contains(&h.name),
    };
    // A host that has not joined, and that does not answer or is not to join now, is treated as if it were not in the inventory.
    let left_out = |h: &&HostEntry| !joined(h, inv, facts) && (!facts.hosts.contains_key(&h.name) || !comes(h));
    let absent: Vec<HostName> = inv.hosts.iter().filter(left_out).map(|h| h.name.clone()).collect();
    let all = inv.without(&absent);
    let going = |l: &Leaving, from: &Inventory| {
        let others = inv.hosts.iter().map(|h| &h.name).filter(|h| from.host(h).is_none() && !l.hosts.contains(h));
        let before = inv.without(&others.cloned().collect::<Vec<_>>());
        Stage { inv: from.without(&l.hosts), kubelets: Kubelets::AsSaid, leaving: Some((before, l.clone())) }
    };
    let only = |inv: Inventory| Stage { inv, kubelets: Kubelets::AsSaid, leaving: None };
    Ok(match goal {
        Goal::Remove(l) => vec![going(l, &all)],
        // A dead host is removed before the new host joins, because etcd adds no member while another member is unhealthy. A live host is
        // removed after the new host has joined.
        Goal::Replace(l, _) if l.dead && left(l, inv, facts) => vec![only(all.without(&l.hosts))],
        Goal::Replace(l, new) if l.dead => vec![going(l, &all.without(std::slice::from_ref(new))), only(all.without(&l.hosts))],
        // If the new host has joined and the removal of the old host has begun, the run only continues the removal: a stage with both hosts
        // would first restore the old host.
        Goal::Replace(l, new) if in_service(new, inv, facts) && leaves(l, inv, facts) => vec![going(l, &all)],
        Goal::Replace(l, _) => vec![only(all.clone()), going(l, &all)],
        Goal::Upgrade(u) if established(facts) => of_upgrade(u, &all, &upgrade::way(&Running::of(&all, facts), &u.to, &u.through)?),
        _ => vec![only(all)],
    })
}

/// Whether a host has joined completely: its etcd member is a voter, and the API lists its node.
fn in_service(name: &HostName, inv: &Inventory, facts: &Facts) -> bool {
    let Some(h) = inv.host(name) else { return false };
    let votes = || facts.members().is_some_and(|list| list.iter().any(|m| !m.learner && m.peer_urls.contains(&peer_url(h))));
    (!inv.runs_etcd(h) || votes()) && (!h.is_node() || has_node(h, facts) == Some(true))
}

/// Whether the removal of any of these hosts has begun. It has begun if the configuration of a load balancer does not contain the host's API
/// server any more, if clusterctl has cordoned the host's node, if etcd does not list the host's member, or if the API does not list the host's
/// node.
fn leaves(l: &Leaving, inv: &Inventory, facts: &Facts) -> bool {
    let configs = [layout::HAPROXY_CONFIG, layout::NGINX_CONFIG];
    let balancers = || inv.hosts.iter().filter(|h| h.has(Role::LoadBalancer)).filter_map(|h| facts.hosts.get(&h.name));
    let left_out = |h: &HostEntry| {
        // Whole words are compared, because one address with its port can be a part of another, as `10.0.0.1:6443` is of `110.0.0.1:6443`.
        let server = layout::join_host_port(h.node_address(), layout::API_SERVER_PORT);
        let names = |config: &str| config.split([' ', ';', '\n']).any(|word| word == server);
        balancers().flat_map(|f| configs.iter().filter_map(|c| f.text(c))).any(|config| !names(config))
    };
    let cordoned = |h: &HostEntry| {
        let node = facts.node(&h.name);
        node.is_some_and(|n| facts.ledger.drained.contains(&h.name) || !n["metadata"]["annotations"][layout::CORDONED_ANNOTATION].is_null())
    };
    let unlisted =
        |h: &HostEntry| (inv.runs_etcd(h) && has_member(h, facts) == Some(false)) || (h.is_node() && has_node(h, facts) == Some(false));
    let mut hosts = l.hosts.iter().filter_map(|name| inv.host(name));
    hosts.any(|h| (h.has(Role::ControlPlane) && left_out(h)) || cordoned(h) || unlisted(h))
}

/// Whether neither etcd nor the API lists any of these hosts. `false` also if no etcd member or no API server answered.
fn left(l: &Leaving, inv: &Inventory, facts: &Facts) -> bool {
    let mut hosts = l.hosts.iter().filter_map(|name| inv.host(name));
    hosts.all(|h| (!inv.runs_etcd(h) || has_member(h, facts) == Some(false)) && (!h.is_node() || has_node(h, facts) == Some(false)))
}

/// Whether etcd lists a member on this host. `None` if no member answered.
fn has_member(h: &HostEntry, facts: &Facts) -> Option<bool> {
    Some(facts.members()?.iter().any(|m| m.peer_urls.contains(&peer_url(h))))
}

/// Whether the API lists the node of this host. `None` if no API server answered.
fn has_node(h: &HostEntry, facts: &Facts) -> Option<bool> {
    Some(facts.cluster.as_ref()?.nodes.contains_key(&h.name))
}

/// The stage that restores control planes at this version. If `kubelets` is true, the stage also restores the kubelets of nodes. Hosts that
/// have not joined are left out.
pub(super) fn repair(inv: &Inventory, facts: &Facts, version: &KubeVersion, kubelets: bool) -> Stage {
    let outside: Vec<HostName> = inv.hosts.iter().filter(|h| !joined(h, inv, facts)).map(|h| h.name.clone()).collect();
    let mut inv = inv.without(&outside);
    inv.cluster.version = version.clone();
    Stage { inv, kubelets: if kubelets { Kubelets::AsSaid } else { Kubelets::Left }, leaving: None }
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
        Stage { inv, kubelets, leaving: None }
    };
    way.iter().enumerate().map(stage).collect()
}

/// Whether a host has joined the cluster or has begun to join. A host that answers has done so if it has the ownership mark. For a host that
/// does not answer, the member list of etcd and the nodes of the API decide. If neither is known, the host counts as joined, because an outage
/// must not lead to a plan without the host. A load balancer that does not answer always counts as joined.
fn joined(h: &HostEntry, inv: &Inventory, facts: &Facts) -> bool {
    if let Some(f) = facts.hosts.get(&h.name) {
        return f.files.contains_key(layout::OWNERSHIP);
    }
    if !established(facts) {
        return h.has(Role::ControlPlane) || h.has(Role::Etcd) || h.has(Role::LoadBalancer);
    }
    let (member, node) = (has_member(h, facts) != Some(false), has_node(h, facts) != Some(false));
    h.has(Role::LoadBalancer) || (inv.runs_etcd(h) && member) || (h.is_node() && node)
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

    /// An existing cluster of which only m1 answers. `members` are the addresses in etcd's member list, `nodes` the names of the API's nodes;
    /// `None` if not known.
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
        Facts { hosts: [("m1".to_string(), m1)].into(), cluster, ledger: Default::default() }
    }

    fn in_it(facts: &Facts) -> Vec<String> {
        let inv = inventory();
        inv.hosts.iter().filter(|h| joined(h, &inv, facts)).map(|h| h.name.clone()).collect()
    }

    #[test]
    fn a_removal_has_begun_once_a_balancer_no_longer_has_the_server() {
        let inv = inventory();
        let has_begun = |server: &str| {
            let mut facts = standing(Some(&["10.0.0.1"]), Some(&["m1"]));
            let config = format!("backend kube-apiserver\n    server m1 {server}\n");
            let file = FileFact { kind: FileKind::File(config.into()), mode: 0o644, uid: 0, gid: 0 };
            facts.host_mut("lb1").files.insert(layout::HAPROXY_CONFIG.into(), file);
            leaves(&Leaving { hosts: vec!["m1".into()], dead: false, drain: None }, &inv, &facts)
        };
        assert!(!has_begun("10.0.0.1:6443"));
        assert!(has_begun("10.0.0.11:6443"), "the address of another host begins with the one of m1");
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
