//! Removes the fields that clusterctl does not use from the API's answers, page by page: in a large cluster these fields have a hundred times the
//! size of the rest.

use serde_json::Value;

use super::evictions::ALL_PODS;

/// The fields of a pod's spec that `plan::budgets` needs to judge a drain. All other fields are removed.
const POD_SPEC: [&str; 5] = ["nodeName", "nodeSelector", "affinity", "tolerations", "volumes"];
const POD_STATUS: [&str; 2] = ["phase", "conditions"];
/// The long fields in the status of a node that clusterctl does not use.
const NODE_STATUS: [&str; 3] = ["images", "volumesAttached", "volumesInUse"];

/// The field manager of what clusterctl applies to objects. Of `managedFields`, only its entries are kept.
const FIELD_MANAGER: &str = "clusterctl";

/// Returns a page of a list, or an object, without the fields that clusterctl does not use. `path` is the API path.
pub fn projected(path: &str, mut value: Value) -> Value {
    let pods = path.split('?').next() == Some(ALL_PODS);
    match value.get_mut("items").and_then(Value::as_array_mut) {
        Some(items) => items.iter_mut().for_each(|item| reduce(item, pods)),
        None => reduce(&mut value, false),
    }
    value
}

fn reduce(object: &mut Value, pod: bool) {
    let managers = object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut);
    managers.into_iter().for_each(|all| all.retain(|m| m["manager"] == FIELD_MANAGER && m["operation"] == "Apply"));
    if pod {
        retain(object.pointer_mut("/metadata"), |name| name != "managedFields");
        retain(object.pointer_mut("/spec"), |name| POD_SPEC.contains(&name));
        retain(object.pointer_mut("/status"), |name| POD_STATUS.contains(&name));
        let volumes = object.pointer_mut("/spec/volumes").and_then(Value::as_array_mut);
        volumes.into_iter().flatten().for_each(|v| retain(Some(v), |name| name == "emptyDir"));
    } else {
        retain(object.pointer_mut("/status"), |name| !NODE_STATUS.contains(&name));
    }
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
