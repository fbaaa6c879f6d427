//! Removes the fields that clusterctl does not use from the API's answers, page by page: in a large cluster these fields have a hundred times the
//! size of the rest.

use serde_json::Value;

use super::evictions::ALL_PODS;

/// The fields of a pod's spec that `plan::budgets` needs to judge a drain. All other fields are removed.
const POD_SPEC: [&str; 5] = ["nodeName", "nodeSelector", "affinity", "tolerations", "volumes"];
const POD_STATUS: [&str; 2] = ["phase", "conditions"];
/// The fields of a pod that `status --pods` shows. It alone requests the list of all pods without a selector.
const SHOWN_METADATA: [&str; 4] = ["namespace", "name", "creationTimestamp", "deletionTimestamp"];
const SHOWN_STATUS: [&str; 5] = ["phase", "podIP", "reason", "containerStatuses", "initContainerStatuses"];
const SHOWN_CONTAINER: [&str; 4] = ["ready", "restartCount", "state", "started"];
/// The long fields in the status of a node that clusterctl does not use.
const NODE_STATUS: [&str; 3] = ["images", "volumesAttached", "volumesInUse"];

/// The field manager of what clusterctl applies to objects. Of `managedFields`, only its entries are kept.
const FIELD_MANAGER: &str = "clusterctl";

/// Returns a page of a list, or an object, without the fields that clusterctl does not use. `path` is the API path.
pub fn projected(path: &str, mut value: Value) -> Value {
    let reduce: fn(&mut Value) = match path.split_once('?').map_or(path, |(list, _)| list) {
        ALL_PODS if path == ALL_PODS => reduce_shown_pod,
        ALL_PODS => reduce_pod,
        _ => reduce_object,
    };
    match value.get_mut("items").and_then(Value::as_array_mut) {
        Some(items) => items.iter_mut().for_each(reduce),
        None => reduce_object(&mut value),
    }
    value
}

fn reduce_object(object: &mut Value) {
    let managers = object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut);
    managers.into_iter().for_each(|all| all.retain(|m| m["manager"] == FIELD_MANAGER && m["operation"] == "Apply"));
    retain(object.pointer_mut("/status"), |name| !NODE_STATUS.contains(&name));
}

fn reduce_pod(pod: &mut Value) {
    retain(pod.pointer_mut("/metadata"), |name| name != "managedFields");
    retain(pod.pointer_mut("/spec"), |name| POD_SPEC.contains(&name));
    retain(pod.pointer_mut("/status"), |name| POD_STATUS.contains(&name));
    for volume in entries(pod, "/spec/volumes") {
        retain(Some(volume), |name| name == "emptyDir");
    }
}

fn reduce_shown_pod(pod: &mut Value) {
    retain(pod.pointer_mut("/metadata"), |name| SHOWN_METADATA.contains(&name));
    retain(pod.pointer_mut("/spec"), |name| matches!(name, "nodeName" | "containers"));
    retain(pod.pointer_mut("/status"), |name| SHOWN_STATUS.contains(&name));
    // Only the number of the containers is needed.
    for container in entries(pod, "/spec/containers") {
        retain(Some(container), |_| false);
    }
    for list in ["/status/containerStatuses", "/status/initContainerStatuses"] {
        for container in entries(pod, list) {
            retain(Some(container), |name| SHOWN_CONTAINER.contains(&name));
        }
    }
}

fn entries<'a>(object: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    object.pointer_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
}

fn retain(object: Option<&mut Value>, keep: impl Fn(&str) -> bool) {
    if let Some(map) = object.and_then(Value::as_object_mut) {
        map.retain(|name, _| keep(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pods_keep_what_drains_are_judged_by() {
        let pod = |spec: Value, status: Value| json!({"items": [{"metadata": {"name": "a", "labels": {"managedFields": "x"}}, "spec": spec, "status": status}]});
        let mut whole = pod(
            json!({"nodeName": "w1", "containers": [{"name": "c"}], "tolerations": [{"operator": "Exists"}],
                "volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "secret": {}}]}),
            json!({"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}),
        );
        let ours = json!({"manager": "clusterctl", "operation": "Apply", "fieldsV1": {"f:metadata": {"f:labels": {"f:zone": {}}}}});
        whole["items"][0]["metadata"]["managedFields"] = json!([{"manager": "kubelet", "operation": "Update"}, ours]);
        let wanted = pod(
            json!({"nodeName": "w1", "tolerations": [{"operator": "Exists"}], "volumes": [{"emptyDir": {}}, {}]}),
            json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}),
        );
        assert_eq!(projected("/api/v1/pods?fieldSelector=spec.nodeName%3Dw1", whole.clone()), wanted);
        let shown = json!({"items": [{"metadata": {"name": "a"}, "spec": {"nodeName": "w1", "containers": [{}]},
            "status": {"phase": "Running", "podIP": "10.0.0.1"}}]});
        assert_eq!(projected(ALL_PODS, whole.clone()), shown);
        let mut node = whole.clone();
        node["items"][0]["metadata"]["managedFields"] = json!([ours]);
        assert_eq!(projected("/api/v1/nodes", whole), node, "of others only what is long is left out");
    }

    #[test]
    fn nothing_is_added() {
        for value in [json!({"metadata": {"name": "a"}, "data": {"images": "x"}}), json!({"items": [{}, 7, null]}), json!([]), json!(null)]
        {
            assert_eq!(projected(ALL_PODS, value.clone()), value);
        }
    }
}
