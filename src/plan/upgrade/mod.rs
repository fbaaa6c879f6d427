//! The stages of an upgrade: control planes by one minor version at a time, kubelets only as often as the version skew policy demands, and no
//! downgrade.
//!
//! Source of the rules: kubernetes.io, "Version Skew Policy", and kubeadm's `cmd/kubeadm/app/phases/upgrade/policy.go`.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{Facts, ObjectRef};
use crate::host::HostName;
use crate::inventory::{Inventory, KubeVersion};
use crate::{layout, versions};

/// One stage of an upgrade, with the version that the changed components have after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpgradeStage {
    /// Upgrades etcd, the API servers, the controller managers, the schedulers and the cluster objects to this version, host by host. Kubelets are
    /// not changed.
    ControlPlane(KubeVersion),
    /// Kubelets, node by node.
    Kubelets(KubeVersion),
}

impl UpgradeStage {
    /// The version after the stage.
    pub fn version(&self) -> &KubeVersion {
        match self {
            UpgradeStage::ControlPlane(v) | UpgradeStage::Kubelets(v) => v,
        }
    }
}

/// Why an upgrade cannot reach its target version. Each reason is a rule with a stable name; see [`UpgradeRefusal::rule`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeRefusal {
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

impl UpgradeRefusal {
    /// Stable name of the rule.
    pub fn rule(&self) -> &'static str {
        match self {
            UpgradeRefusal::Downgrade { .. } => "downgrade",
            UpgradeRefusal::Unsupported(_) => "unsupported-version",
            UpgradeRefusal::Through(_) => "minor-by-minor",
            UpgradeRefusal::KubeletAhead { .. } => "kubelet-ahead",
            UpgradeRefusal::ApiServersApart { .. } => "api-servers-apart",
        }
    }

    /// What the operator can do about it.
    pub fn fix(&self) -> String {
        match self {
            UpgradeRefusal::Downgrade { from, .. } => {
                format!("name {from} or a later version; what etcd holds already may not be readable by an older one")
            }
            UpgradeRefusal::Unsupported(minor) if *minor > versions::newest() => {
                format!("use a newer clusterctl; this one knows {}", versions::supported())
            }
            UpgradeRefusal::Unsupported(_) => format!("choose one of {}", versions::supported()),
            UpgradeRefusal::Through(minor) => format!(
                "name the versions between with `--through v1.{minor}.N`, or serve release/stable-1.{minor}.txt beside the binaries"
            ),
            UpgradeRefusal::KubeletAhead { version, .. } => format!("upgrade to {version} or later"),
            UpgradeRefusal::ApiServersApart { from, newest } => {
                format!("bring the older API servers ({from}) up one minor version at a time until all run {newest}")
            }
        }
    }
}

/// The versions that run in the cluster now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// The versions of the API servers, by host.
    pub api_servers: BTreeMap<HostName, KubeVersion>,
    /// The versions of the kubelets, by node.
    pub kubelets: BTreeMap<String, KubeVersion>,
    /// Nodes that clusterctl cordoned and that are still cordoned.
    pub cordoned: BTreeSet<String>,
    /// The newest version of any control-plane component.
    pub reached: Option<KubeVersion>,
    /// Whether some control-plane component has an older version, because an upgrade was interrupted.
    pub unfinished: bool,
}

impl Running {
    /// Collects the running versions from the observed facts.
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

    /// The version of the cluster: that of its oldest API server. `None` if no API server reports a version.
    pub fn oldest(&self) -> Option<&KubeVersion> {
        self.api_servers.values().min()
    }
}

/// Whether a kubelet of the version `kubelet` may run beside API servers of the version `api`, by the version skew policy.
pub fn kubelet_fits(kubelet: &KubeVersion, api: &KubeVersion) -> bool {
    kubelet <= api && versions::of(api).is_none_or(|v| kubelet.minor() >= v.oldest_kubelet())
}

/// The version that the cluster records in `kubeadm-config` after its control plane was upgraded.
fn recorded(facts: &Facts) -> Option<KubeVersion> {
    let config =
        ObjectRef { group: String::new(), kind: "ConfigMap".into(), namespace: "kube-system".into(), name: "kubeadm-config".into() };
    let text = facts.cluster.as_ref()?.objects.get(&config)?["data"]["ClusterConfiguration"].as_str()?;
    let line = text.lines().find_map(|l| l.strip_prefix("kubernetesVersion:"))?;
    line.trim().trim_matches(['"', '\'']).parse().ok()
}

/// The minor versions after that of the oldest API server and before that of `to`. A patch version must be chosen for each of them.
pub fn between(running: &Running, to: &KubeVersion) -> Vec<u64> {
    running.oldest().map(|from| (from.minor() + 1..to.minor()).collect()).unwrap_or_default()
}

/// The stages from the running versions to `to`. `through` contains the patch version of each minor version in between; see [`between`]. Empty
/// if no running version is known.
pub fn way(running: &Running, to: &KubeVersion, through: &BTreeMap<u64, KubeVersion>) -> Result<Vec<UpgradeStage>, UpgradeRefusal> {
    let (Some(from), Some(newest)) = (running.oldest(), running.reached.as_ref()) else { return Ok(vec![]) };
    if newest > to {
        return Err(UpgradeRefusal::Downgrade { from: newest.clone(), to: to.clone() });
    }
    if newest.minor() > from.minor() + 1 {
        return Err(UpgradeRefusal::ApiServersApart { from: from.clone(), newest: newest.clone() });
    }
    if let Some((node, version)) = running.kubelets.iter().find(|(_, v)| v > &to) {
        return Err(UpgradeRefusal::KubeletAhead { node: node.clone(), version: version.clone(), to: to.clone() });
    }
    let mut oldest = running.kubelets.values().min().map_or(from.minor(), KubeVersion::minor);
    let mut now = from.clone();
    let mut stages = Vec::new();
    // A minor version that an interrupted upgrade has begun is finished before the next one begins.
    if running.unfinished && newest < to {
        stages.push(UpgradeStage::ControlPlane(newest.clone()));
        now = newest.clone();
    }
    // Kubelets that an interrupted upgrade has begun to change are finished first, too. A node that has the new kubelet and is still cordoned
    // by clusterctl shows that a run stopped before it uncordoned the node.
    if now < *to && running.cordoned.iter().any(|node| running.kubelets.get(node) == Some(&now)) {
        stages.push(UpgradeStage::Kubelets(now.clone()));
        oldest = now.minor();
    }
    let minors = if now.minor() == to.minor() { to.minor()..=to.minor() } else { now.minor() + 1..=to.minor() };
    for minor in minors {
        let next = if minor == to.minor() {
            to.clone()
        } else {
            let chosen = through.get(&minor).ok_or(UpgradeRefusal::Through(minor))?;
            // If API servers already have a newer patch version of this minor version, that version is used, because they must not be
            // downgraded.
            if newest.minor() == minor { chosen.max(newest).clone() } else { chosen.clone() }
        };
        let facts = versions::of(&next).ok_or(UpgradeRefusal::Unsupported(minor))?;
        if oldest < facts.oldest_kubelet() {
            stages.push(UpgradeStage::Kubelets(now.clone()));
            oldest = now.minor();
        }
        stages.push(UpgradeStage::ControlPlane(next.clone()));
        now = next;
    }
    stages.push(UpgradeStage::Kubelets(to.clone()));
    Ok(stages)
}

#[cfg(test)]
mod tests;
