//! The pods by node, as `kubectl get pods --all-namespaces -o wide` shows them.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::Seen;
use crate::facts::evictions::ALL_PODS;
use crate::inventory::Inventory;

/// One pod.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    /// Absent while the pod is not bound to a node.
    pub node: Option<String>,
    pub namespace: String,
    pub name: String,
    pub ready_containers: usize,
    pub containers: usize,
    /// The phase, or the reason why containers do not run, as the column STATUS of kubectl.
    pub status: String,
    pub restarts: u64,
    pub created: Option<Timestamp>,
    /// Absent while the pod has no address.
    pub address: Option<String>,
}

/// All pods, by node in the order of the inventory, then by namespace and name; pods without a node come last. `None` if the list was not requested,
/// or if no API server answered.
pub fn pods(inv: &Inventory, seen: &Seen) -> Option<Vec<Pod>> {
    let items = seen.observed.lists.get(ALL_PODS)?["items"].as_array()?;
    let mut pods: Vec<Pod> = items.iter().map(pod).collect();
    let place = |p: &Pod| inv.hosts.iter().position(|h| Some(&h.name) == p.node.as_ref()).unwrap_or(inv.hosts.len());
    pods.sort_by_cached_key(|p| (p.node.is_none(), place(p), p.node.clone(), p.namespace.clone(), p.name.clone()));
    Some(pods)
}

fn pod(object: &Value) -> Pod {
    let (meta, status) = (&object["metadata"], &object["status"]);
    let text = |v: &Value| v.as_str().filter(|t| !t.is_empty()).map(String::from);
    let containers = array(&status["containerStatuses"]);
    Pod {
        node: text(&object["spec"]["nodeName"]),
        namespace: text(&meta["namespace"]).unwrap_or_default(),
        name: text(&meta["name"]).unwrap_or_default(),
        ready_containers: containers.iter().filter(|c| c["ready"] == true).count(),
        containers: array(&object["spec"]["containers"]).len(),
        status: state(object),
        restarts: containers.iter().filter_map(|c| c["restartCount"].as_u64()).sum(),
        created: meta["creationTimestamp"].as_str().and_then(|t| t.parse().ok()),
        address: text(&status["podIP"]),
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The column STATUS of kubectl: `Terminating`, the state of the first init container that has not ended, the reason of the first container that does
/// not run, the reason of the pod, or its phase.
fn state(object: &Value) -> String {
    let status = &object["status"];
    if object["metadata"]["deletionTimestamp"].is_string() {
        return "Terminating".into();
    }
    let init = array(&status["initContainerStatuses"]);
    // A restartable init container, which is a sidecar, counts as ended once it has started.
    let ended = |c: &&Value| c["state"]["terminated"]["exitCode"] == 0 || c["started"] == true;
    if let Some(waits) = init.iter().find(|c| !ended(c)) {
        return match reason(waits).filter(|why| *why != "PodInitializing") {
            Some(why) => format!("Init:{why}"),
            None => format!("Init:{}/{}", init.iter().filter(ended).count(), init.len()),
        };
    }
    let first = array(&status["containerStatuses"]).iter().find_map(reason);
    first.or(status["reason"].as_str()).or(status["phase"].as_str()).unwrap_or("Unknown").to_string()
}

/// Why a container waits or has ended; `None` if it runs.
fn reason(container: &Value) -> Option<&str> {
    let state = &container["state"];
    state["waiting"]["reason"].as_str().or(state["terminated"]["reason"].as_str())
}

/// The time since `created`, with one unit, as the column AGE of kubectl.
pub fn age(created: Option<Timestamp>, now: Timestamp) -> String {
    let Some(created) = created else { return "-".into() };
    match now.as_second().saturating_sub(created.as_second()).max(0) {
        seconds @ ..120 => format!("{seconds}s"),
        seconds @ ..10_800 => format!("{}m", seconds / 60),
        seconds @ ..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_state_of_a_pod_is_that_of_kubectl() {
        let of = |status: Value| state(&json!({"metadata": {}, "status": status}));
        let container = |state: Value| json!({"state": state});
        assert_eq!(of(json!({"phase": "Running", "containerStatuses": [container(json!({"running": {}}))]})), "Running");
        assert_eq!(of(json!({"phase": "Pending"})), "Pending");
        assert_eq!(of(json!({"phase": "Failed", "reason": "Evicted"})), "Evicted");
        let waiting = container(json!({"waiting": {"reason": "ImagePullBackOff"}}));
        assert_eq!(of(json!({"phase": "Pending", "containerStatuses": [waiting]})), "ImagePullBackOff");
        let completed = container(json!({"terminated": {"reason": "Completed", "exitCode": 0}}));
        assert_eq!(of(json!({"phase": "Succeeded", "containerStatuses": [completed]})), "Completed");
        let init = |second: Value| {
            json!({"phase": "Pending", "initContainerStatuses": [completed, container(second)],
            "containerStatuses": [container(json!({"waiting": {"reason": "PodInitializing"}}))]})
        };
        assert_eq!(of(init(json!({"running": {}}))), "Init:1/2");
        assert_eq!(of(init(json!({"waiting": {"reason": "CrashLoopBackOff"}}))), "Init:CrashLoopBackOff");
        let leaving = json!({"metadata": {"deletionTimestamp": "2026-11-21T10:00:00Z"}, "status": {"phase": "Running"}});
        assert_eq!(state(&leaving), "Terminating");
    }

    #[test]
    fn ages_have_one_unit() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().expect("it is a time");
        let since = |text: &str| age(text.parse().ok(), now);
        assert_eq!(since("2026-11-21T09:59:01Z"), "59s");
        assert_eq!(since("2026-11-21T09:00:00Z"), "60m");
        assert_eq!(since("2026-11-20T10:00:00Z"), "24h");
        assert_eq!(since("2026-10-21T10:00:00Z"), "31d");
        assert_eq!(since("2026-11-21T10:00:05Z"), "0s", "the clock of the API server is ahead");
        assert_eq!(age(None, now), "-");
    }
}
