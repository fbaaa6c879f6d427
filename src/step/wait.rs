//! Waits for one exact condition: this API server is ready at this version, this node is ready at this version, this workload is rolled out.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Answers, StepError, carry_out, url_host};
use crate::facts::{Facts, ObjectRef};
use crate::fenced;
use crate::host::{Cmd, Host, HostName};

/// What to wait for.
#[derive(Clone, Debug)]
pub enum Wait {
    /// The host's own API server is ready at this version.
    Api { address: IpAddr, version: String },
    /// The API is ready at the cluster's endpoint, `host:port`, as seen from the host.
    Endpoint { authority: String },
    /// The host's node is registered with its kubelet at this version and, if `ready` is true, also Ready. `server` is the URL of an API server.
    Node { node: String, server: String, version: String, ready: bool },
    /// etcd keeps its quorum without this host's member. The members are asked each time, because old facts are no sufficient reason to stop a
    /// member.
    Quorum,
    /// The new static pods have not crashed. The host itself watches them and restores the previous manifest if they do.
    Settled,
    /// A load balancer sends requests to this API server again; checked on the load balancer's host.
    Backend { balancer: HostName, server: HostName, limit: Duration },
    /// The host is back in service after maintenance: its etcd member answers, its API server answers at its own address (`host:port`), and
    /// its node is Ready as reported by the kubelet that runs now. Checked each time.
    Back { node: Option<String>, server: String, ready: bool, api: Option<String>, etcd: bool },
    /// The rollout of a workload is complete, as the API server of the host reports it. If `first` is true, it is enough that the first new pod of a
    /// DaemonSet is available.
    Rollout { address: IpAddr, object: ObjectRef, first: bool },
}

/// The limit for a rollout that makes progress, unless [`Host::wait_timeout`] is longer: enough for a hundred nodes whose pods are replaced
/// one after another.
const ROLLOUT_LIMIT: Duration = Duration::from_secs(1800);

/// The entry in `done_once` of the ledger of a host that is back in service.
const BACK: &str = "back";

/// Whether the Ready condition of a Node is True.
pub fn is_ready(node: &Value) -> bool {
    node["status"]["conditions"].as_array().into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

/// A number in an object of the API; a missing number is 0.
fn number(v: &Value) -> u64 {
    v.as_u64().unwrap_or(0)
}

/// Whether a controller has observed the object in its present form; until then, the object's status has no meaning.
fn is_looked_at(object: &Value) -> bool {
    let observed = &object["status"]["observedGeneration"];
    !observed.is_null() && number(observed) >= number(&object["metadata"]["generation"])
}

/// Whether all pods of a Deployment or DaemonSet are new and available.
fn is_rolled_out(object: &Value) -> bool {
    let (status, n) = (&object["status"], number);
    if !is_looked_at(object) {
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

/// Whether the first new pod of a DaemonSet is available. This is known as soon as the second pod is replaced, because a DaemonSet replaces one pod
/// after another.
fn has_begun(object: &Value) -> bool {
    is_looked_at(object) && number(&object["status"]["updatedNumberScheduled"]) > 1
}

#[async_trait]
impl Answers for Wait {
    fn title(&self) -> String {
        match self {
            Wait::Api { version, .. } => format!("wait for the API server at {version}"),
            Wait::Endpoint { authority } => format!("wait for the API at the endpoint {authority}"),
            Wait::Node { node, version, ready, .. } => {
                format!("wait until node {node} is {} at {version}", if *ready { "Ready" } else { "registered" })
            }
            Wait::Quorum => "check that etcd has its quorum without this host".into(),
            Wait::Backend { balancer, server, .. } => format!("wait until {balancer} sends requests to {server} again"),
            Wait::Settled => "watch the new static pods".into(),
            Wait::Back { node, ready, api, etcd, .. } => {
                let what = if *ready { "Ready" } else { "registered" };
                let node = node.as_ref().map(|n| format!("node {n} {what}"));
                let parts = [etcd.then(|| "its etcd member".to_string()), api.as_ref().map(|a| format!("the API at {a}")), node];
                format!("wait until the host is back in service: {}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
            }
            Wait::Rollout { object, first: false, .. } => format!("wait until {object} is rolled out"),
            Wait::Rollout { object, .. } => format!("wait for the first new pod of {object}"),
        }
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        let holds = match self {
            Wait::Api { version, .. } => facts.host(host).api_version.as_ref() == Some(version),
            Wait::Endpoint { .. } => facts.host(host).endpoint_ready,
            Wait::Node { node, version, ready, .. } => {
                facts.node(node).is_some_and(|n| n["status"]["nodeInfo"]["kubeletVersion"] == **version && (!ready || is_ready(n)))
            }
            Wait::Quorum => facts.ledger.host(host).quorum_checked,
            Wait::Settled => facts.host(host).unsettled.is_empty(),
            // The step is pending only if this API server was replaced: it does not wait for a backend that is down for another reason.
            Wait::Backend { balancer, server, .. } => {
                !facts.host(server).unsettled.contains("kube-apiserver") || facts.ledger.host(server).taken_back.contains(balancer)
            }
            Wait::Back { .. } => facts.ledger.host(host).done_once.contains(BACK),
            Wait::Rollout { object, first, .. } => {
                facts.cluster.as_ref().and_then(|c| c.objects.get(object)).is_some_and(|o| is_rolled_out(o) || *first && has_begun(o))
            }
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
                let cluster = facts.cluster.get_or_insert_default();
                let n = cluster.nodes.entry(node.clone()).or_insert_with(|| json!({}));
                let before = &n["status"]["nodeInfo"]["kubeletVersion"];
                if before.is_string() && *before != **version {
                    facts.ledger.changed.insert(node.clone());
                }
                n["status"]["nodeInfo"]["kubeletVersion"] = version.as_str().into();
                if *ready {
                    n["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
                }
            }
            Wait::Quorum => facts.ledger.host_mut(host).quorum_checked = true,
            Wait::Settled => {
                facts.host_mut(host).unsettled.clear();
                facts.ledger.host_mut(host).taken_back.clear();
            }
            Wait::Backend { balancer, server, .. } => drop(facts.ledger.host_mut(server).taken_back.insert(balancer.clone())),
            Wait::Back { .. } => drop(facts.ledger.host_mut(host).done_once.insert(BACK.into())),
            Wait::Rollout { object, first, .. } => {
                let o = facts.cluster.get_or_insert_default().objects.entry(object.clone()).or_insert_with(|| json!({"kind": object.kind}));
                let want = o["spec"]["replicas"].as_u64().unwrap_or(0);
                let (all, updated) = if *first { (3, 2) } else { (0, 0) };
                o["status"] = json!({"observedGeneration": u64::MAX, "desiredNumberScheduled": all, "updatedNumberScheduled": updated,
                    "numberAvailable": all, "updatedReplicas": want, "availableReplicas": want});
            }
        }
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let whole = host.wait_timeout();
        let rollout = ROLLOUT_LIMIT.max(whole);
        let wanted = |ready: bool| if ready { "ready" } else { "registered" };
        let cmd = match self {
            Wait::Api { address, version } => Cmd::script(fenced!("lib/report_rollbacks.sh", "waits/wait_api.sh"))
                .arg("address", url_host(*address))
                .arg("version", version)
                .arg("limit", whole.as_secs()),
            Wait::Endpoint { authority } => {
                Cmd::script(fenced!("waits/wait_endpoint.sh")).arg("endpoint", authority).arg("limit", (whole / 4).as_secs())
            }
            Wait::Node { node, server, version, ready } => Cmd::script(fenced!("lib/node_ready.sh", "waits/wait_node.sh"))
                .arg("server", server)
                .arg("node", node)
                .arg("version", version)
                .arg("want", wanted(*ready))
                .arg("limit", whole.as_secs()),
            Wait::Quorum => Cmd::script(fenced!("lib/quorum.sh", "waits/wait_quorum.sh")).arg("limit", (whole / 4).as_secs()),
            Wait::Backend { server, limit, .. } => {
                Cmd::script(fenced!("waits/wait_backend.sh")).arg("server", server).arg("limit", limit.as_secs())
            }
            Wait::Settled => Cmd::script(fenced!("lib/report_rollbacks.sh", "waits/wait_settled.sh")).arg("limit", whole.as_secs()),
            Wait::Back { node, server, ready, api, etcd } => Cmd::script(fenced!("lib/node_ready.sh", "waits/wait_back.sh"))
                .arg("limit", whole.as_secs())
                .arg("node", node.as_deref().unwrap_or_default())
                .arg("server", server)
                .arg("want", wanted(*ready))
                .arg("api", api.as_deref().unwrap_or_default())
                .arg("etcd", if *etcd { "member" } else { "" }),
            Wait::Rollout { address, object, first } => Cmd::script(fenced!("lib/kubectl.sh", "waits/wait_rollout.sh"))
                .arg("address", url_host(*address))
                .arg("workload", format!("{}/{}", object.kind.to_lowercase(), object.name))
                .arg("namespace", &object.namespace)
                .arg("patience", whole.as_secs())
                .arg("limit", rollout.as_secs())
                .arg("part", if *first { "first" } else { "whole" }),
        }
        .arg("run", run);
        // The limit of the command is longer than that of the script, so that the script can still report why it gave up.
        let limit = if matches!(self, Wait::Rollout { .. }) { rollout } else { whole };
        carry_out(host, cmd.timeout(limit + Duration::from_secs(60))).await
    }
}
