//! Sets the labels, annotations, taints and the pod subnet of a Node. Those that clusterctl does not manage are not changed.

use std::collections::BTreeMap;
use std::net::IpAddr;

use async_trait::async_trait;
use ipnet::IpNet;
use serde_json::{Value, json};

use super::{Answers, KUBECTL, StepError, carry_out, on_api, text_diff};
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Host, HostName};

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

    /// The labels, annotations, taints and pod subnet of `node`, limited to those that this step sets, as YAML for comparing and showing.
    fn seen(&self, node: &Value) -> String {
        let pick = |have: &Value, want: &BTreeMap<String, String>| -> BTreeMap<String, Value> {
            want.keys().filter_map(|k| have.get(k).map(|v| (k.clone(), v.clone()))).collect()
        };
        let have = taints(node);
        let view = json!({
            "labels": pick(&node["metadata"]["labels"], &self.labels),
            "annotations": pick(&node["metadata"]["annotations"], &self.annotations),
            "taints": self.taints.iter().filter(|t| have.contains(t)).collect::<Vec<_>>(),
            "podCIDR": self.pod_cidr.map(|_| node["spec"]["podCIDR"].clone()),
        });
        serde_yaml::to_string(&view).unwrap_or_default()
    }

    fn wanted(&self) -> String {
        let mut node = self.object();
        node["spec"]["taints"] = self.taints.iter().map(|t| taint_value(t)).collect();
        self.seen(&node)
    }
}

fn taints(node: &Value) -> Vec<String> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_string();
    node["spec"]["taints"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|t| format!("{}={}:{}", text(&t["key"]), text(&t["value"]), text(&t["effect"])))
        .collect()
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
        node.is_none_or(|n| self.seen(n) != self.wanted()).then(|| self.clone())
    }

    fn predict(&self, _host: &HostName, facts: &mut Facts) {
        let node = facts.cluster.get_or_insert_default().nodes.entry(self.node.clone()).or_insert_with(|| json!({}));
        for (k, v) in &self.labels {
            node["metadata"]["labels"][k] = v.as_str().into();
        }
        for (k, v) in &self.annotations {
            node["metadata"]["annotations"][k] = v.as_str().into();
        }
        let mut all: Vec<Value> = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
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
        carry_out(host, cmd.words(&self.taints).stdin(self.object().to_string()).timeout(KUBECTL)).await
    }
}
