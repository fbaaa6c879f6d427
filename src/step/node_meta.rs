//! Sets the labels, annotations, taints and the pod subnet of a Node, and removes those that clusterctl set before and that the inventory no longer
//! has. Those that clusterctl does not manage are not changed.
//!
//! The API server records which labels and annotations clusterctl has applied (`managedFields`), and removes those that it no longer applies. It keeps no
//! such record of single taints, so the taints of the inventory are also in an annotation.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use async_trait::async_trait;
use ipnet::IpNet;
use serde_json::{Value, json};

use super::{Answers, KUBECTL, StepError, carry_out, on_api, text_diff};
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Host, HostName};

/// The annotation with the taints of the inventory that clusterctl has set, separated by commas.
pub const TAINTS: &str = "clusterctl/taints";

/// The metadata of one Node. The Node is created if it does not exist yet, so that it has its pod subnet before the controller manager can assign
/// another one.
#[derive(Clone, Debug)]
pub struct NodeMeta {
    /// Address of the API server on the host of the step.
    pub address: IpAddr,
    pub node: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// `key=value:effect`; the value may be empty.
    pub taints: Vec<String>,
    /// The taints that the Node has from an earlier inventory, in the same form. Found by `pending`.
    pub outdated_taints: Vec<String>,
    pub pod_cidr: Option<IpNet>,
    /// The resources with which the Node is created, such as `cpu` and `memory`. The kubelet of the node replaces them by the exact values.
    pub capacity: BTreeMap<String, String>,
}

impl NodeMeta {
    fn object(&self) -> Value {
        let mut node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.node}});
        if !self.labels.is_empty() {
            node["metadata"]["labels"] = json!(self.labels);
        }
        if !self.annotations.is_empty() {
            node["metadata"]["annotations"] = json!(self.annotations);
        }
        if let Some(cidr) = self.pod_cidr {
            node["spec"] = json!({"podCIDR": cidr.to_string(), "podCIDRs": [cidr.to_string()]});
        }
        // The status has an effect only when this step creates the Node. Until a kubelet has registered, it admits its static pods by the
        // resources of the Node, and a kubelet of 1.20 crashes if the Node has none.
        node["status"] = json!({"capacity": self.capacity, "allocatable": self.capacity});
        node
    }

    /// The labels, annotations, taints and pod subnet of `node`, limited to those that this step sets or removes, as YAML for comparing and showing.
    fn seen(&self, node: &Value) -> String {
        let pick = |field: &str, want: &BTreeMap<String, String>| -> BTreeMap<String, Value> {
            let keys = want.keys().cloned().chain(applied(node, field)).collect::<BTreeSet<_>>();
            keys.into_iter().filter_map(|k| node["metadata"][field].get(&k).map(|v| (k.clone(), v.clone()))).collect()
        };
        let have = taints(node);
        let view = json!({
            "labels": pick("labels", &self.labels),
            "annotations": pick("annotations", &self.annotations),
            "taints": self.taints.iter().chain(&self.outdated(node)).filter(|t| have.contains(t)).collect::<Vec<_>>(),
            "podCIDR": self.pod_cidr.map(|_| node["spec"]["podCIDR"].clone()),
        });
        serde_yaml::to_string(&view).unwrap_or_default()
    }

    /// The taints of an earlier inventory that the Node has and that this step does not set.
    fn outdated(&self, node: &Value) -> Vec<String> {
        let have = taints(node);
        let before = node["metadata"]["annotations"][TAINTS].as_str().unwrap_or_default().split(',').filter(|t| !t.is_empty());
        // A taint with the same key and effect and another value is replaced by the new one.
        let gone = before.filter(|t| have.iter().any(|h| h == t) && !self.taints.iter().any(|want| place(want) == place(t)));
        gone.map(String::from).collect()
    }

    fn wanted(&self) -> String {
        let mut node = self.object();
        node["spec"]["taints"] = self.taints.iter().map(|t| taint_value(t)).collect();
        self.seen(&node)
    }
}

/// The keys of the labels or annotations (`field`) that clusterctl has applied to the Node. The facts have only clusterctl's own entries of
/// `managedFields`; see `facts/project.rs`.
fn applied(node: &Value, field: &str) -> Vec<String> {
    let ours = node["metadata"]["managedFields"].as_array().into_iter().flatten();
    let fields = ours.filter_map(|m| m["fieldsV1"]["f:metadata"][format!("f:{field}")].as_object());
    fields.flat_map(|map| map.keys()).filter_map(|key| key.strip_prefix("f:")).map(String::from).collect()
}

fn taints(node: &Value) -> Vec<String> {
    node["spec"]["taints"].as_array().into_iter().flatten().map(taint_text).collect()
}

/// The key and the effect of a taint, of which a Node has at most one value.
fn place(taint: &str) -> (Option<&str>, Option<&str>) {
    (taint.split(['=', ':']).next(), taint.rsplit(':').next())
}

fn taint_text(taint: &Value) -> String {
    let text = |field: &str| taint[field].as_str().unwrap_or_default();
    format!("{}={}:{}", text("key"), text("value"), text("effect"))
}

fn taint_value(taint: &str) -> Value {
    let (rest, effect) = taint.rsplit_once(':').unwrap_or((taint, ""));
    let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
    json!({"key": key, "value": value, "effect": effect})
}

#[async_trait]
impl Answers for NodeMeta {
    fn title(&self) -> String {
        format!("set labels, taints and pod subnet of node {}", self.node)
    }

    fn pending(&self, _host: &HostName, facts: &Facts) -> Option<Self> {
        let node = facts.node(&self.node);
        let outdated_taints = node.map(|n| self.outdated(n)).unwrap_or_default();
        node.is_none_or(|n| self.seen(n) != self.wanted()).then(|| NodeMeta { outdated_taints, ..self.clone() })
    }

    fn predict(&self, _host: &HostName, facts: &mut Facts) {
        let node = facts.cluster.get_or_insert_default().nodes.entry(self.node.clone()).or_insert_with(|| json!({}));
        let outdated = self.outdated(node);
        for (field, wanted) in [("labels", &self.labels), ("annotations", &self.annotations)] {
            let gone = applied(node, field);
            let map = node["metadata"].get_mut(field).and_then(Value::as_object_mut);
            map.into_iter().for_each(|map| map.retain(|key, _| !gone.contains(key)));
            for (k, v) in wanted {
                node["metadata"][field][k] = v.as_str().into();
            }
        }
        let mut all: Vec<Value> = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
        all.retain(|t| !outdated.contains(&taint_text(t)));
        let have = taints(node);
        all.extend(self.taints.iter().filter(|t| !have.contains(t)).map(|t| taint_value(t)));
        node["spec"]["taints"] = all.into();
        if let Some(cidr) = self.pod_cidr {
            node["spec"]["podCIDR"] = cidr.to_string().into();
        }
    }

    fn diff(&self, _host: &HostName, facts: &Facts) -> String {
        let now = facts.node(&self.node).map(|n| self.seen(n)).unwrap_or_default();
        text_diff(&now, &self.wanted())
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let cmd = on_api(fenced!("lib/kubectl.sh", "steps/node_meta.sh"), run, self.address).arg("node", &self.node);
        let taints = self.taints.iter().cloned().chain(self.outdated_taints.iter().map(|t| format!("{t}-"))).collect::<Vec<_>>();
        carry_out(host, cmd.words(&taints).stdin(self.object().to_string()).timeout(KUBECTL)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::ClusterFacts;

    fn step(labels: &[&str], taints: &[&str]) -> NodeMeta {
        let mut annotations = BTreeMap::new();
        if !taints.is_empty() {
            annotations.insert(TAINTS.into(), taints.join(","));
        }
        NodeMeta {
            address: IpAddr::from([127, 0, 0, 1]),
            node: "w1".into(),
            labels: labels.iter().map(|l| (l.to_string(), "x".into())).collect(),
            annotations,
            taints: taints.iter().map(ToString::to_string).collect(),
            outdated_taints: vec![],
            pod_cidr: None,
            capacity: BTreeMap::new(),
        }
    }

    /// A node to which clusterctl has applied the label `zone` and two taints, and somebody else the label `disk` and a taint.
    fn facts() -> Facts {
        let ours = json!({"f:metadata": {"f:labels": {"f:zone": {}}, "f:annotations": {format!("f:{TAINTS}"): {}}}});
        let node = json!({
            "metadata": {
                "labels": {"zone": "x", "disk": "ssd"},
                "annotations": {TAINTS: "a=1:NoSchedule,b=:NoExecute"},
                "managedFields": [{"manager": "clusterctl", "operation": "Apply", "fieldsV1": ours}],
            },
            "spec": {"taints": [taint_value("a=1:NoSchedule"), taint_value("b=:NoExecute"), taint_value("theirs=:NoSchedule")]},
        });
        Facts { cluster: Some(ClusterFacts { nodes: [("w1".to_string(), node)].into(), ..ClusterFacts::default() }), ..Facts::default() }
    }

    #[test]
    fn what_leaves_the_inventory_leaves_the_node_and_what_is_of_others_stays() {
        let (host, mut facts) = ("m1".to_string(), facts());
        assert!(step(&["zone"], &["a=1:NoSchedule", "b=:NoExecute"]).pending(&host, &facts).is_none());
        let left = step(&[], &["a=2:NoSchedule"]).pending(&host, &facts).expect("a label and a taint are outdated");
        assert_eq!(left.outdated_taints, ["b=:NoExecute"], "the value of `a` is replaced");
        let diff = left.diff(&host, &facts);
        assert!(
            diff.contains("-  zone: x") && diff.contains("b=:NoExecute") && !diff.contains("disk") && !diff.contains("theirs"),
            "{diff}"
        );
        let none = step(&[], &[]).pending(&host, &facts).expect("all are outdated");
        assert_eq!(none.outdated_taints, ["a=1:NoSchedule", "b=:NoExecute"]);
        none.predict(&host, &mut facts);
        let node = facts.node("w1").expect("it is there");
        assert_eq!(node["metadata"]["labels"], json!({"disk": "ssd"}));
        assert_eq!(taints(node), ["theirs=:NoSchedule"]);
        assert!(step(&[], &[]).pending(&host, &facts).is_none());
    }
}
