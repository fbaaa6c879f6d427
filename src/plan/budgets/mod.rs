//! Finds what would keep pods on nodes that are to be drained: PodDisruptionBudgets that do not allow the evictions, with the numbers that show
//! it, and pods that `kubectl drain` evicts only with a flag. No side effects. A finding that may vanish while the drain waits is marked as not
//! certain.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::facts::evictions::{Answer, PodName};
use crate::step::drain::DrainOptions;

mod budget;
mod select;
#[cfg(test)]
mod tests;

/// A drain of several nodes, and the objects of the cluster by which it is judged.
pub struct Inputs<'a> {
    /// The nodes, in the order in which they are drained.
    pub order: &'a [String],
    /// How many of the nodes in `order` are out of service at once.
    pub at_once: usize,
    /// Whether a drained node takes pods again before the next node is drained; otherwise all drained nodes stay out of service.
    pub returns: bool,
    pub options: &'a DrainOptions,
    /// All nodes of the cluster, by name.
    pub nodes: &'a BTreeMap<String, Value>,
    /// All pods, as a list object of the API.
    pub pods: &'a Value,
    /// All PodDisruptionBudgets, as a list object of the API.
    pub budgets: &'a Value,
    /// The API's answers to dry runs of evictions, by pod; empty if there were no dry runs.
    pub evictions: &'a BTreeMap<PodName, Answer>,
}

/// What keeps pods on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A PodDisruptionBudget that does not allow the eviction of pods. The finding has the name of the budget.
    Budget,
    /// Pods that more than one PodDisruptionBudget selects. The API never evicts such a pod. The finding names the first of these budgets.
    Budgets,
    /// Pods that no controller would recreate, if the drain has no `--force`. The finding has the name of the node.
    Unmanaged,
    /// Pods with data of their own in emptyDir volumes, if the drain has no `--delete-emptydir-data`. The finding has the name of the node.
    EmptyDir,
    /// A pod that the API refused to evict in a dry run, without a finding about a PodDisruptionBudget of this pod. The finding has the name of
    /// the pod.
    Refused,
}

/// One reason why a drain would not succeed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    pub what: What,
    /// Empty if the finding is about a node.
    pub namespace: String,
    pub name: String,
    /// `namespace/name` of the pods that would stay.
    pub pods: Vec<String>,
    /// The nodes on which `pods` run.
    pub nodes: Vec<String>,
    /// The reason with its numbers.
    pub why: String,
    /// Whether the drain can never succeed; otherwise it may become possible while the drain waits.
    pub certain: bool,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let subject = match self.what {
            What::Budget | What::Budgets => format!("disruption budget {}/{}", self.namespace, self.name),
            What::Unmanaged | What::EmptyDir => format!("node {}", self.name),
            What::Refused => format!("pod {}/{}", self.namespace, self.name),
        };
        write!(f, "{subject}: {}", self.why)
    }
}

/// Every reason why the drain would not succeed, sorted. With `disable_eviction`, no PodDisruptionBudgets are checked, because pods are then
/// deleted, not evicted.
pub fn findings(i: &Inputs<'_>) -> Vec<Finding> {
    let all: Vec<Pod<'_>> = items(i.pods).map(Pod::of).collect();
    let leaving: Vec<&Pod<'_>> = all.iter().filter(|p| i.order.iter().any(|n| n == p.node) && p.leaves()).collect();
    let mut out = Vec::new();
    out.extend(kept(&leaving, What::Unmanaged, i.options.force, |p| !p.managed(), "that nothing would make anew", "--force"));
    let data = "with data in emptyDir volumes";
    out.extend(kept(&leaving, What::EmptyDir, i.options.delete_emptydir_data, |p| p.keeps_data(), data, "--delete-emptydir-data"));
    if !i.options.disable_eviction {
        let evicted: Vec<&Pod<'_>> = leaving.into_iter().filter(|p| p.asks_budgets()).collect();
        out.extend(budget::findings(i, &evicted));
        out.extend(refused(i, &evicted, &out));
    }
    out.sort();
    out
}

/// The pods whose eviction is worth a dry run before the nodes in `order` are drained: those for which the API checks PodDisruptionBudgets.
pub fn evicted(order: &[String], pods: &Value) -> Vec<PodName> {
    let all = items(pods).map(Pod::of).filter(|p| order.iter().any(|n| n == p.node) && p.leaves() && p.asks_budgets());
    all.map(|p| (p.namespace.to_string(), p.name.to_string())).collect()
}

/// Makes one finding per node for the pods that `which` selects. There is no finding if the flags of the drain allow the eviction of such pods
/// (`may_go`).
fn kept(pods: &[&Pod<'_>], what: What, may_go: bool, which: impl Fn(&Pod<'_>) -> bool, kind: &str, flag: &str) -> Vec<Finding> {
    let mut by_node: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for pod in pods.iter().filter(|p| !may_go && which(p)) {
        by_node.entry(pod.node).or_default().push(pod.full_name());
    }
    let finding = |(node, pods): (&str, Vec<String>)| Finding {
        what,
        namespace: String::new(),
        name: node.into(),
        why: format!("{} {kind}: {}; with `{flag}` they go and are lost", plural(pods.len(), "pod"), pods.join(", ")),
        pods,
        nodes: vec![node.into()],
        certain: true,
    };
    by_node.into_iter().map(finding).collect()
}

/// A finding for each pod that the API refused to evict in a dry run, unless `found` already has a finding about a PodDisruptionBudget of this
/// pod.
fn refused(i: &Inputs<'_>, pods: &[&Pod<'_>], found: &[Finding]) -> Vec<Finding> {
    let known: BTreeSet<&String> = found.iter().filter(|f| matches!(f.what, What::Budget | What::Budgets)).flat_map(|f| &f.pods).collect();
    let answer = |p: &&&Pod<'_>| i.evictions.get(&(p.namespace.to_string(), p.name.to_string())).filter(|a| a.refuses());
    let refused = pods.iter().filter(|p| !known.contains(&p.full_name())).filter_map(|p| Some((p, answer(&p)?)));
    let finding = |(p, a): (&&Pod<'_>, &Answer)| Finding {
        what: What::Refused,
        namespace: p.namespace.into(),
        name: p.name.into(),
        pods: vec![p.full_name()],
        nodes: vec![p.node.into()],
        why: format!("the API would not evict it now ({}): {}", a.status, a.message),
        certain: false,
    };
    refused.map(finding).collect()
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// A pod, with the fields that a drain considers.
struct Pod<'a> {
    namespace: &'a str,
    name: &'a str,
    node: &'a str,
    object: &'a Value,
}

impl<'a> Pod<'a> {
    fn of(object: &'a Value) -> Self {
        let text = |v: &'a Value| v.as_str().unwrap_or_default();
        let meta = &object["metadata"];
        Pod { namespace: text(&meta["namespace"]), name: text(&meta["name"]), node: text(&object["spec"]["nodeName"]), object }
    }

    fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    fn controller(&self) -> Option<&'a Value> {
        self.object["metadata"]["ownerReferences"].as_array().into_iter().flatten().find(|o| o["controller"] == true)
    }

    fn managed(&self) -> bool {
        self.controller().is_some()
    }

    fn phase(&self) -> &str {
        self.object["status"]["phase"].as_str().unwrap_or_default()
    }

    /// Whether a drain evicts the pod. Pods of DaemonSets, mirror pods, and pods that have ended or are being deleted already stay.
    fn leaves(&self) -> bool {
        let of_daemon_set = self.controller().is_some_and(|o| o["kind"] == "DaemonSet");
        let mirror = !self.object["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_null();
        let ended = matches!(self.phase(), "Succeeded" | "Failed") || !self.object["metadata"]["deletionTimestamp"].is_null();
        !of_daemon_set && !mirror && !ended
    }

    /// Whether the API checks PodDisruptionBudgets before it evicts the pod. For a pod that has never run, it does not.
    fn asks_budgets(&self) -> bool {
        self.phase() != "Pending"
    }

    fn keeps_data(&self) -> bool {
        self.object["spec"]["volumes"].as_array().into_iter().flatten().any(|v| !v["emptyDir"].is_null())
    }

    fn ready(&self) -> bool {
        let conditions = self.object["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
    }
}
