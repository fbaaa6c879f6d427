//! The goals of runs, with the options that the operator chose.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::encryption::Intent;
use super::kubelet_policy::NodeChange;
use super::refusals::Purpose;
use super::{Part, Phase, Plan, Planned};
use crate::host::HostName;
use crate::inventory::KubeVersion;
use crate::pki::Renew;

/// The state that a run is to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// `init`: a cluster that does not exist yet, or one whose `init` has not finished.
    Found,
    /// `apply` and `plan`: an existing cluster is made to match the inventory.
    Keep,
    /// `join`: these hosts join an existing cluster; without names, all hosts of the inventory.
    Join(Vec<HostName>),
    /// `remove`: hosts are removed from a running cluster.
    Remove(Leaving),
    /// `replace`: a host joins, and another one is removed.
    Replace(Leaving, HostName),
    /// `upgrade`: an existing cluster is changed to another version.
    Upgrade(Box<Upgrade>),
    /// `certs renew`: certificates of an existing cluster are renewed, and nothing else is changed.
    Renew(Renew),
    /// `secrets rotate-key`: an existing cluster is made to match the inventory, and encrypts what it stores with a key that has this number or a higher
    /// one.
    RotateKey(u32),
}

impl Goal {
    /// The hosts that were named on the command line.
    pub fn named(&self) -> Vec<HostName> {
        match self {
            Goal::Join(hosts) => hosts.clone(),
            Goal::Remove(leaving) => leaving.hosts.clone(),
            Goal::Replace(leaving, new) => leaving.hosts.iter().chain([new]).cloned().collect(),
            _ => vec![],
        }
    }

    /// The hosts that were named on the command line to join.
    pub fn joining(&self) -> &[HostName] {
        match self {
            Goal::Join(hosts) => hosts,
            Goal::Replace(_, new) => std::slice::from_ref(new),
            _ => &[],
        }
    }

    /// The hosts that are removed, and how. `None` if the goal removes no host.
    pub fn leaving(&self) -> Option<&Leaving> {
        match self {
            Goal::Remove(leaving) | Goal::Replace(leaving, _) => Some(leaving),
            _ => None,
        }
    }

    /// The upgrade that the operator asked for. `None` if the goal is not an upgrade; the version of the cluster is then not changed.
    pub fn upgrade(&self) -> Option<&Upgrade> {
        match self {
            Goal::Upgrade(upgrade) => Some(upgrade),
            _ => None,
        }
    }

    /// The renewal of certificates that the operator asked for. `None` for every other goal, with which certificates are renewed only when they are due.
    pub fn renew(&self) -> Option<&Renew> {
        match self {
            Goal::Renew(renew) => Some(renew),
            _ => None,
        }
    }

    /// What the run may do with the encryption of stored values. Only runs that bring the whole cluster to its inventory change keys.
    pub fn encryption(&self) -> Intent {
        match self {
            Goal::Found | Goal::Keep => Intent::Move { least: None },
            Goal::RotateKey(number) => Intent::Move { least: Some(*number) },
            _ => Intent::Hold,
        }
    }

    /// The purpose of the run, on which the refusals depend.
    pub fn purpose(&self) -> Purpose {
        match self {
            Goal::Found => Purpose::Found,
            Goal::Upgrade(_) => Purpose::Upgrade,
            Goal::Renew(_) => Purpose::Renew,
            _ => Purpose::Keep,
        }
    }
}

/// Hosts that are removed, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    pub hosts: Vec<HostName>,
    /// Whether their machines are gone for good.
    pub dead: bool,
    /// How long a drain may take; `None`: the nodes are not drained.
    pub drain: Option<Duration>,
}

impl Leaving {
    /// The question that the operator has to confirm.
    pub fn question(&self, cluster: &str) -> String {
        let data = if self.dead { "it is never to come back" } else { "what is on it is lost" };
        format!("remove {} from cluster {cluster}? After that {data}", self.hosts.join(", "))
    }
}

/// The point at which an upgrade stops, so that the operator can check the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pause {
    /// After images and programs were brought to the hosts, and before any running component is changed.
    Artifacts,
    /// Before the first kubelet is changed to its new version.
    ControlPlane,
    /// After the node of this host was changed.
    Host(HostName),
}

/// The upgrade that the operator asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    pub to: KubeVersion,
    /// The patch version for each minor version between the running version and `to`, by minor version.
    pub through: BTreeMap<u64, KubeVersion>,
    pub nodes: NodeChange,
    pub pause_after: Option<Pause>,
    /// The file on the operator's machine for a snapshot of etcd; `None`: no snapshot is taken.
    pub snapshot: Option<PathBuf>,
    /// The names of the refusals that `--allow` disables.
    pub allow: Vec<String>,
}

impl Upgrade {
    /// Returns the part of a stage's plan that runs before the pause, and whether the upgrade pauses after this part. `kubelets`: the stage
    /// changes kubelets to another version.
    pub fn before_pause(&self, kubelets: bool, mut plan: Plan) -> (Plan, bool) {
        match &self.pause_after {
            Some(Pause::Artifacts) => {
                plan.phases.retain(|p| p.part == Part::Prepare);
                (plan, true)
            }
            Some(Pause::ControlPlane) if kubelets => (Plan::default(), true),
            Some(Pause::Host(host)) if kubelets => {
                // The pause follows the steps of the host in the phase that changes nodes. A later phase with steps on this host, such as
                // `settle`, concerns the whole cluster and does not count. If no phase changes the host's node, the node has been changed
                // already, so nothing runs before the pause.
                let turn = |p: &Phase<Planned>| p.part == Part::Nodes && p.hosts.iter().any(|t| t.host == *host);
                let Some(at) = plan.phases.iter().position(turn) else { return (Plan::default(), true) };
                plan.phases.truncate(at + 1);
                let last = plan.phases[at].hosts.iter().position(|t| t.host == *host).map_or(0, |t| t + 1);
                plan.phases[at].hosts.truncate(last);
                (plan, true)
            }
            _ => (plan, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{HostSteps, Width};
    use crate::step::{Step, wait};

    fn phase(part: Part, name: &'static str, hosts: &[&str]) -> Phase<Planned> {
        let planned = || Planned { step: Step::from(wait::Quorum), title: name.into(), diff: String::new() };
        let hosts = hosts.iter().map(|h| HostSteps { host: h.to_string(), guards: vec![], steps: vec![planned()] });
        Phase { part, name, width: Width::One, hosts: hosts.collect() }
    }

    fn pausing_after(pause: Pause) -> Upgrade {
        Upgrade {
            to: "v1.36.2".parse().expect("a version"),
            through: BTreeMap::new(),
            nodes: NodeChange::default(),
            pause_after: Some(pause),
            snapshot: None,
            allow: vec![],
        }
    }

    fn left(host: &str, phases: &[Phase<Planned>]) -> Vec<(&'static str, Vec<String>)> {
        before(Pause::Host(host.into()), true, phases)
    }

    fn before(pause: Pause, kubelets: bool, phases: &[Phase<Planned>]) -> Vec<(&'static str, Vec<String>)> {
        let plan = Plan { phases: phases.to_vec() };
        let (plan, paused) = pausing_after(pause).before_pause(kubelets, plan);
        assert!(paused);
        plan.phases.into_iter().map(|p| (p.name, p.hosts.into_iter().map(|t| t.host).collect())).collect()
    }

    #[test]
    fn a_pause_comes_after_the_turn_of_its_host() {
        let all = [
            phase(Part::Nodes, "control-plane nodes", &["m1", "m2"]),
            phase(Part::Nodes, "workers", &["w1", "w2"]),
            phase(Part::Other, "settle", &["m1"]),
        ];
        assert_eq!(left("m1", &all), [("control-plane nodes", vec!["m1".to_string()])]);
        assert_eq!(left("w1", &all)[1], ("workers", vec!["w1".to_string()]));
    }

    #[test]
    fn what_the_hosts_need_comes_before_anything_that_runs_is_touched() {
        let all = [
            phase(Part::Prepare, "prepare members", &["m1"]),
            phase(Part::Prepare, "prepare hosts", &["w1"]),
            phase(Part::Other, "snapshot", &["m1"]),
            phase(Part::ControlPlane, "control plane", &["m1"]),
        ];
        assert_eq!(
            before(Pause::Artifacts, false, &all),
            [("prepare members", vec!["m1".to_string()]), ("prepare hosts", vec!["w1".to_string()])]
        );
        assert!(before(Pause::Artifacts, true, &all[2..]).is_empty());
    }

    #[test]
    fn it_is_reached_once_that_turn_is_over() {
        assert!(left("m1", &[phase(Part::Nodes, "workers", &["w1"]), phase(Part::Other, "settle", &["m1"])]).is_empty());
    }
}
