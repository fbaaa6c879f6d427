//! Drains a node by the rules of `kubectl drain`, cordons it, and uncordons it.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Answers, KUBECTL, StepError, carry_out, on_api};
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Host, HostName};
use crate::layout;

/// How pods are removed from a node. The fields have the names and meanings of the flags of `kubectl drain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainOptions {
    /// How long PodDisruptionBudgets and grace periods may delay the drain; zero means without a limit.
    pub timeout: Duration,
    /// Whether pods are evicted even if no controller would recreate them.
    pub force: bool,
    /// Whether pods with emptyDir volumes are evicted, which deletes the data in these volumes.
    pub delete_emptydir_data: bool,
    /// The grace period of a pod in seconds; negative: the pod's own grace period.
    pub grace_period: i64,
    /// Whether pods are deleted rather than evicted, so that no PodDisruptionBudget is checked.
    pub disable_eviction: bool,
}

impl DrainOptions {
    /// The options for a host that leaves the cluster: pods without a controller and pods with emptyDir volumes are evicted as well.
    /// PodDisruptionBudgets are still respected.
    pub fn leaving(timeout: Duration) -> Self {
        DrainOptions { timeout, force: true, delete_emptydir_data: true, grace_period: -1, disable_eviction: false }
    }
}

/// The options that a drain has only if the operator requests it for single nodes, such as with `clusterctl drain`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrainExtras {
    /// A label selector: only the pods that it selects are evicted. `None` evicts all pods.
    pub pod_selector: Option<String>,
    /// The drain does not wait for a pod that has been terminating for more seconds than this; 0: the drain waits for every pod.
    pub skip_wait_for_delete: u64,
    /// Whether the node stays out of service after the drain, until the operator uncordons it. The annotation with which clusterctl marks the nodes
    /// that it cordoned is removed, so that no run uncordons the node.
    pub stays: bool,
}

/// The limit of the script if [`DrainOptions::timeout`] is zero.
const NO_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// The time that the script gets in addition to the limit of the drain. The script needs it for its last attempt and for asking the API which pods
/// are still on the node, which takes long if the API server does not answer.
const EVIDENCE: Duration = Duration::from_secs(300);

/// Cordons a node and evicts its pods, except those of DaemonSets and static pods. The script lists the pods when the step runs, so the step is never
/// skipped because of the pods in the facts.
#[derive(Clone, Debug)]
pub struct Drain {
    /// The control-plane host that runs the step, and the address of the API server on that host.
    pub via: HostName,
    pub address: IpAddr,
    pub node: String,
    pub options: DrainOptions,
    /// The version that the kubelet is to get: the node is drained only while its kubelet has another version. With `None`, the version of the
    /// kubelet does not matter.
    pub until_version: Option<String>,
    pub extras: DrainExtras,
}

/// Marks a node as unschedulable, so that it gets no new pods.
#[derive(Clone, Debug)]
pub struct Cordon {
    pub via: HostName,
    pub address: IpAddr,
    pub node: String,
}

/// Marks a node as schedulable again, if clusterctl has cordoned it.
#[derive(Clone, Debug)]
pub struct Uncordon {
    pub via: HostName,
    pub address: IpAddr,
    pub node: String,
    /// Whether the node is uncordoned even if it was not clusterctl that cordoned it.
    pub whoever: bool,
}

fn is_cordoned(node: &Value) -> bool {
    node["spec"]["unschedulable"] == true
}

/// Removes the annotation that records that clusterctl has cordoned the node.
fn unmark(node: &mut Value) {
    if let Some(all) = node["metadata"]["annotations"].as_object_mut() {
        all.remove(layout::CORDONED_ANNOTATION);
    }
}

#[async_trait]
impl Answers for Drain {
    fn title(&self) -> String {
        format!("drain node {}", self.node)
    }

    fn pending(&self, _host: &HostName, facts: &Facts) -> Option<Self> {
        let cluster = facts.cluster.as_ref()?;
        let node = cluster.nodes.get(&self.node)?;
        let runs = node["status"]["nodeInfo"]["kubeletVersion"].as_str();
        let there = self.until_version.as_deref().is_some_and(|wanted| runs.is_none_or(|runs| runs == wanted));
        (!there && !facts.ledger.drained.contains(&self.node)).then(|| self.clone())
    }

    fn predict(&self, _host: &HostName, facts: &mut Facts) {
        facts.ledger.drained.insert(self.node.clone());
        let cluster = facts.cluster.get_or_insert_default();
        if let Some(node) = cluster.nodes.get_mut(&self.node) {
            if !is_cordoned(node) {
                node["spec"]["unschedulable"] = true.into();
                node["metadata"]["annotations"][layout::CORDONED_ANNOTATION] = "".into();
            }
            if self.extras.stays {
                unmark(node);
            }
        }
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let options = self.options;
        let mut flags = vec![format!("--grace-period={}", options.grace_period)];
        flags.extend(options.force.then(|| "--force".to_string()));
        flags.extend(options.delete_emptydir_data.then(|| "--delete-emptydir-data".to_string()));
        flags.extend(options.disable_eviction.then(|| "--disable-eviction".to_string()));
        flags.extend(self.extras.pod_selector.as_ref().map(|labels| format!("--pod-selector={labels}")));
        if self.extras.skip_wait_for_delete > 0 {
            flags.push(format!("--skip-wait-for-delete-timeout={}", self.extras.skip_wait_for_delete));
        }
        let limit = if options.timeout.is_zero() { NO_LIMIT } else { options.timeout };
        let cmd = on_api(fenced!("lib/kubectl.sh", "steps/drain.sh"), run, self.address)
            .arg("node", &self.node)
            .arg("limit", options.timeout.as_secs())
            .arg("then", if self.extras.stays { "stays" } else { "returns" });
        carry_out(host, cmd.words(flags).timeout(limit + EVIDENCE)).await
    }
}

#[async_trait]
impl Answers for Cordon {
    fn title(&self) -> String {
        format!("cordon node {}", self.node)
    }

    fn pending(&self, _host: &HostName, facts: &Facts) -> Option<Self> {
        facts.node(&self.node).filter(|node| !is_cordoned(node)).map(|_| self.clone())
    }

    fn predict(&self, _host: &HostName, facts: &mut Facts) {
        if let Some(node) = facts.node_mut(&self.node) {
            node["spec"]["unschedulable"] = true.into();
        }
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        cordoning(host, run, self.address, &self.node, "cordon").await
    }
}

#[async_trait]
impl Answers for Uncordon {
    fn title(&self) -> String {
        format!("uncordon node {}", self.node)
    }

    fn pending(&self, _host: &HostName, facts: &Facts) -> Option<Self> {
        let node = facts.node(&self.node)?;
        let ours = !node["metadata"]["annotations"][layout::CORDONED_ANNOTATION].is_null();
        (ours || (self.whoever && is_cordoned(node))).then(|| self.clone())
    }

    fn predict(&self, _host: &HostName, facts: &mut Facts) {
        if let Some(node) = facts.node_mut(&self.node) {
            node["spec"]["unschedulable"] = json!(null);
            unmark(node);
        }
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        cordoning(host, run, self.address, &self.node, if self.whoever { "uncordon" } else { "ours" }).await
    }
}

async fn cordoning(host: &dyn Host, run: &str, address: IpAddr, node: &str, action: &str) -> Result<(), StepError> {
    let cmd = on_api(fenced!("lib/kubectl.sh", "steps/cordon.sh"), run, address).arg("node", node).arg("action", action);
    carry_out(host, cmd.timeout(KUBECTL)).await
}
