//! Waits until the host's node is registered, or Ready, with its kubelet at a version.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Condition, wanted};
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Cmd, HostName};

/// The host's node is registered with its kubelet at this version and, if `ready` is true, also Ready. `server` is the URL of an API server.
#[derive(Clone, Debug)]
pub struct Node {
    pub node: String,
    pub server: String,
    pub version: String,
    pub ready: bool,
}

/// Whether the Ready condition of a Node is True.
pub fn is_ready(node: &Value) -> bool {
    node["status"]["conditions"].as_array().into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

impl Condition for Node {
    fn title(&self) -> String {
        format!("wait until node {} is {} at {}", self.node, if self.ready { "Ready" } else { "registered" }, self.version)
    }

    fn holds(&self, _host: &HostName, facts: &Facts) -> bool {
        let node = facts.node(&self.node);
        node.is_some_and(|n| n["status"]["nodeInfo"]["kubeletVersion"] == *self.version && (!self.ready || is_ready(n)))
    }

    fn predict(&self, _host: &HostName, facts: &mut Facts) {
        let cluster = facts.cluster.get_or_insert_default();
        let n = cluster.nodes.entry(self.node.clone()).or_insert_with(|| json!({}));
        let before = &n["status"]["nodeInfo"]["kubeletVersion"];
        if before.is_string() && *before != *self.version {
            facts.ledger.changed.insert(self.node.clone());
        }
        n["status"]["nodeInfo"]["kubeletVersion"] = self.version.as_str().into();
        if self.ready {
            n["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
        }
    }

    fn command(&self, whole: Duration) -> Cmd {
        Cmd::script(fenced!("lib/node_ready.sh", "waits/wait_node.sh"))
            .arg("server", &self.server)
            .arg("node", &self.node)
            .arg("version", &self.version)
            .arg("want", wanted(self.ready))
            .arg("limit", whole.as_secs())
    }
}
