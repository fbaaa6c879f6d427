//! Waits that name the exact thing: this API server at this version, this node ready at this version, this workload rolled out.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Answers, Step, StepError, carry_out, fenced, url_host};
use crate::facts::{Facts, ObjectRef};
use crate::host::{Cmd, Host, HostName};

/// What to wait for.
#[derive(Clone, Debug)]
pub enum Wait {
    /// The host's own API server is ready at this version.
    Api { address: IpAddr, version: String },
    /// The API is ready at the cluster's endpoint, `host:port`, as the host sees it.
    Endpoint { authority: String },
    /// The host's node is registered, or Ready, with its kubelet at this version.
    Node { node: String, server: String, version: String, ready: bool },
    /// The other etcd members can do without this host's. Asked live, each time: old facts are no ground to stop a member on.
    Quorum,
    /// A workload is rolled out, asked through the API server of the track's host.
    Rollout { address: IpAddr, object: ObjectRef },
}

/// A control plane that needs longer to start is broken; kubeadm gives up after the same time.
const LIMIT: Duration = Duration::from_secs(240);

impl From<Wait> for Step {
    fn from(step: Wait) -> Self {
        Step::Wait(step)
    }
}

/// Whether a node object says Ready.
pub fn is_ready(node: &Value) -> bool {
    node["status"]["conditions"].as_array().into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

/// Whether a Deployment or DaemonSet has all its pods, new and available.
fn is_rolled_out(object: &Value) -> bool {
    let (status, n) = (&object["status"], |v: &Value| v.as_u64().unwrap_or(0));
    // What no controller has looked at yet says nothing.
    if status["observedGeneration"].is_null() || n(&status["observedGeneration"]) < n(&object["metadata"]["generation"]) {
        return false;
    }
    match object["kind"].as_str() {
        Some("DaemonSet") => {
            let want = n(&status["desiredNumberScheduled"]);
            n(&status["updatedNumberScheduled"]) == want && n(&status["numberAvailable"]) == want
        }
        _ => {
            let want = n(&object["spec"]["replicas"]);
            n(&status["updatedReplicas"]) == want && n(&status["availableReplicas"]) == want
        }
    }
}

#[async_trait]
impl Answers for Wait {
    fn title(&self) -> String {
        match self {
            Wait::Api { version, .. } => format!("see the API server ready at {version}"),
            Wait::Endpoint { authority } => format!("see the API ready at the endpoint {authority}"),
            Wait::Node { node, version, ready, .. } => {
                format!("see node {node} {} at {version}", if *ready { "Ready" } else { "registered" })
            }
            Wait::Quorum => "see that etcd has its quorum without this host".into(),
            Wait::Rollout { object, .. } => format!("see {object} rolled out"),
        }
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        let cluster = facts.cluster.as_ref();
        let holds = match self {
            Wait::Api { version, .. } => facts.host(host).api_version.as_ref() == Some(version),
            Wait::Endpoint { .. } => facts.host(host).endpoint_ready,
            Wait::Node { node, version, ready, .. } => cluster
                .and_then(|c| c.nodes.get(node))
                .is_some_and(|n| n["status"]["nodeInfo"]["kubeletVersion"] == **version && (!ready || is_ready(n))),
            Wait::Quorum => facts.host(host).quorum_checked,
            Wait::Rollout { object, .. } => cluster.and_then(|c| c.objects.get(object)).is_some_and(is_rolled_out),
        };
        (!holds).then(|| self.clone())
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        match self {
            Wait::Api { version, .. } => {
                facts.host_mut(host).api_version = Some(version.clone());
                facts.cluster.get_or_insert_default();
            }
            Wait::Endpoint { .. } => facts.host_mut(host).endpoint_ready = true,
            Wait::Node { node, version, ready, .. } => {
                let n = facts.cluster.get_or_insert_default().nodes.entry(node.clone()).or_insert_with(|| json!({}));
                n["status"]["nodeInfo"]["kubeletVersion"] = version.as_str().into();
                if *ready {
                    n["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
                }
            }
            Wait::Quorum => facts.host_mut(host).quorum_checked = true,
            Wait::Rollout { object, .. } => {
                let o = facts.cluster.get_or_insert_default().objects.entry(object.clone()).or_insert_with(|| json!({"kind": object.kind}));
                let want = o["spec"]["replicas"].as_u64().unwrap_or(0);
                o["status"] = json!({"observedGeneration": u64::MAX, "desiredNumberScheduled": 0, "updatedNumberScheduled": 0, "numberAvailable": 0,
                    "updatedReplicas": want, "availableReplicas": want});
            }
        }
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let limit = LIMIT.as_secs().to_string();
        let cmd = match self {
            Wait::Api { address, version } => Cmd::script(fenced!("wait_api.sh"), [run, &url_host(*address), version, &limit]),
            Wait::Endpoint { authority } => Cmd::script(fenced!("wait_endpoint.sh"), [run, authority, "60"]),
            Wait::Node { node, server, version, ready } => {
                Cmd::script(fenced!("wait_node.sh"), [run, server, node, version, if *ready { "ready" } else { "registered" }, &limit])
            }
            Wait::Quorum => Cmd::script(fenced!("wait_quorum.sh"), [run, "60"]),
            Wait::Rollout { address, object } => {
                let what = format!("{}/{}", object.kind.to_lowercase(), object.name);
                Cmd::script(fenced!("wait_rollout.sh"), [run, &url_host(*address), &what, &object.namespace, &limit])
            }
        };
        carry_out(host, cmd.timeout(LIMIT + Duration::from_secs(30))).await
    }
}
