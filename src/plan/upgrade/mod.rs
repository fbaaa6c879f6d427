//! Which way an upgrade goes: control planes one minor at a time, kubelets only as often as the skew policy demands, and never down.
//!
//! Source of the rules: kubernetes.io, "Version Skew Policy", and kubeadm's `cmd/kubeadm/app/phases/upgrade/policy.go`.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{Facts, ObjectRef};
use crate::host::HostName;
use crate::inventory::{Inventory, KubeVersion};
use crate::{layout, versions};

pub mod blockers;

/// One part of the way: what comes to which version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leg {
    /// etcd, API servers, controller managers, schedulers and cluster objects, host by host. Kubelets stay as they are.
    ControlPlane(KubeVersion),
    /// Kubelets, node by node.
    Kubelets(KubeVersion),
}

impl Leg {
    /// The version it brings.
    pub fn version(&self) -> &KubeVersion {
        match self {
            Leg::ControlPlane(v) | Leg::Kubelets(v) => v,
        }
    }
}

/// Why there is no way. Each is a rule by name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoWay {
    #[error("Kubernetes never goes back to an older version: the API servers run {from}, and {to} is older")]
    Downgrade { from: KubeVersion, to: KubeVersion },
    #[error("v1.{0} is not supported, and a control plane goes through every minor version on its way")]
    Unsupported(u64),
    #[error("no patch version of v1.{0} is known, and a control plane goes through every minor version on its way")]
    Through(u64),
    #[error("the kubelet of {node} is {version}, newer than {to}: a kubelet is never ahead of its API server")]
    KubeletAhead { node: String, version: KubeVersion, to: KubeVersion },
    #[error("the API servers run {from} and {newest}: they may be one minor version apart, not more")]
    ApiServersApart { from: KubeVersion, newest: KubeVersion },
}

impl NoWay {
    /// Stable name of the rule.
    pub fn rule(&self) -> &'static str {
        match self {
            NoWay::Downgrade { .. } => "downgrade",
            NoWay::Unsupported(_) => "unsupported-version",
            NoWay::Through(_) => "minor-by-minor",
            NoWay::KubeletAhead { .. } => "kubelet-ahead",
            NoWay::ApiServersApart { .. } => "api-servers-apart",
        }
    }

    /// What to do about it.
    pub fn fix(&self) -> String {
        match self {
            NoWay::Downgrade { from, .. } => {
                format!("name {from} or a later version; what etcd holds already may not be readable by an older one")
            }
            NoWay::Unsupported(_) => format!("choose one of {}", versions::supported()),
            NoWay::Through(minor) => format!(
                "name the versions between with `--through v1.{minor}.N`, or serve release/stable-1.{minor}.txt beside the binaries"
            ),
            NoWay::KubeletAhead { version, .. } => format!("upgrade to {version} or later"),
            NoWay::ApiServersApart { from, newest } => {
                format!("bring the older API servers ({from}) up one minor version at a time until all run {newest}")
            }
        }
    }
}

/// What runs now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// API servers by host.
    pub api_servers: BTreeMap<HostName, KubeVersion>,
    /// Kubelets by node.
    pub kubelets: BTreeMap<String, KubeVersion>,
    /// Nodes that we cordoned and that still are.
    pub cordoned: BTreeSet<String>,
    /// The newest version that some component of the control plane has come to.
    pub reached: Option<KubeVersion>,
    /// Whether something of the control plane is behind that: an upgrade was interrupted there.
    pub unfinished: bool,
}

impl Running {
    /// As it was observed.
    pub fn of(inv: &Inventory, facts: &Facts) -> Running {
        let version = |text: &str| text.parse::<KubeVersion>().ok();
        let masters = || inv.control_planes().map(|m| (&m.name, facts.host(&m.name)));
        let api_servers: BTreeMap<HostName, KubeVersion> =
            masters().filter_map(|(name, f)| Some((name.clone(), version(f.api_version.as_deref()?)?))).collect();
        let nodes = || facts.cluster.iter().flat_map(|c| &c.nodes).filter(|(name, _)| inv.host(name).is_some());
        let kubelets =
            nodes().filter_map(|(name, n)| Some((name.clone(), version(n["status"]["nodeInfo"]["kubeletVersion"].as_str()?)?))).collect();
        let ours = |n: &serde_json::Value| !n["metadata"]["annotations"][layout::CORDONED_ANNOTATION].is_null();
        let cordoned = nodes().filter(|(_, n)| ours(n)).map(|(name, _)| name.clone()).collect();
        let tag = |image: &str| version(image.rsplit_once(':')?.1);
        let pods = masters().flat_map(|(_, f)| &f.pods).filter(|(component, _)| component.starts_with("kube-"));
        let components: Vec<KubeVersion> = pods.filter_map(|(_, p)| tag(&p.image)).chain(recorded(facts)).collect();
        let reached = api_servers.values().chain(&components).max().cloned();
        let unfinished = api_servers.values().chain(&components).any(|v| Some(v) < reached.as_ref());
        Running { api_servers, kubelets, cordoned, reached, unfinished }
    }

    /// Kubernetes' own word for the version of a cluster: that of its oldest API server.
    pub fn oldest(&self) -> Option<&KubeVersion> {
        self.api_servers.values().min()
    }
}

/// The version that the cluster itself records, after its control plane has come to it.
fn recorded(facts: &Facts) -> Option<KubeVersion> {
    let config =
        ObjectRef { group: String::new(), kind: "ConfigMap".into(), namespace: "kube-system".into(), name: "kubeadm-config".into() };
    let text = facts.cluster.as_ref()?.objects.get(&config)?["data"]["ClusterConfiguration"].as_str()?;
    let line = text.lines().find_map(|l| l.strip_prefix("kubernetesVersion:"))?;
    line.trim().trim_matches(['"', '\'']).parse().ok()
}

/// The minors between which patch versions have to be chosen on the way to `to`: all but the last.
pub fn between(running: &Running, to: &KubeVersion) -> Vec<u64> {
    running.oldest().map(|from| (from.minor() + 1..to.minor()).collect()).unwrap_or_default()
}

/// The way from what runs to `to`. `through` are the patch versions to use of the minors between.
pub fn way(running: &Running, to: &KubeVersion, through: &BTreeMap<u64, KubeVersion>) -> Result<Vec<Leg>, NoWay> {
    let (Some(from), Some(newest)) = (running.oldest(), running.reached.as_ref()) else { return Ok(vec![]) };
    if newest > to {
        return Err(NoWay::Downgrade { from: newest.clone(), to: to.clone() });
    }
    if newest.minor() > from.minor() + 1 {
        return Err(NoWay::ApiServersApart { from: from.clone(), newest: newest.clone() });
    }
    if let Some((node, version)) = running.kubelets.iter().find(|(_, v)| v > &to) {
        return Err(NoWay::KubeletAhead { node: node.clone(), version: version.clone(), to: to.clone() });
    }
    let mut oldest = running.kubelets.values().min().map_or(from.minor(), KubeVersion::minor);
    let mut now = from.clone();
    let mut legs = Vec::new();
    // What an interrupted upgrade left half-way in a minor is finished before the next one begins.
    if running.unfinished && newest < to {
        legs.push(Leg::ControlPlane(newest.clone()));
        now = newest.clone();
    }
    // So is a roll of kubelets that stopped between a new kubelet and its node's uncordoning.
    if now < *to && running.cordoned.iter().any(|node| running.kubelets.get(node) == Some(&now)) {
        legs.push(Leg::Kubelets(now.clone()));
        oldest = now.minor();
    }
    let minors = if now.minor() == to.minor() { to.minor()..=to.minor() } else { now.minor() + 1..=to.minor() };
    for minor in minors {
        let next = if minor == to.minor() {
            to.clone()
        } else {
            let chosen = through.get(&minor).ok_or(NoWay::Through(minor))?;
            // API servers that are there already do not go back to it.
            if newest.minor() == minor { chosen.max(newest).clone() } else { chosen.clone() }
        };
        let facts = versions::of(&next).ok_or(NoWay::Unsupported(minor))?;
        if oldest < facts.oldest_kubelet {
            legs.push(Leg::Kubelets(now.clone()));
            oldest = now.minor();
        }
        legs.push(Leg::ControlPlane(next.clone()));
        now = next;
    }
    legs.push(Leg::Kubelets(to.clone()));
    Ok(legs)
}

#[cfg(test)]
mod tests;
