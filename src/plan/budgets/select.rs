//! Decides which pods a PodDisruptionBudget selects, and on which nodes a pod may run: by selectors, node affinity and taints. Other rules of
//! the scheduler, such as free resources, are not considered.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Pod;

/// Whether a label selector selects an object with these labels. `empty` is the result for an empty selector, which selects every pod in
/// policy/v1 and no pod in policy/v1beta1.
pub(super) fn covers(selector: &Value, labels: &Value, empty: bool) -> bool {
    let none = |v: &Value| v.as_object().is_none_or(serde_json::Map::is_empty) && v.as_array().is_none_or(Vec::is_empty);
    if selector.is_null() {
        return false;
    }
    if none(&selector["matchLabels"]) && none(&selector["matchExpressions"]) {
        return empty;
    }
    let equal = selector["matchLabels"].as_object().into_iter().flatten().all(|(k, v)| labels[k] == *v);
    equal && list(&selector["matchExpressions"]).all(|e| holds(e, |key| labels[key].as_str().map(String::from)))
}

/// The nodes on which a pod may run, by its own spec and by the taints of the nodes that are not temporary.
pub(super) fn homes(pod: &Pod<'_>, nodes: &BTreeMap<String, Value>) -> BTreeSet<String> {
    nodes.iter().filter(|(name, node)| fits(pod, name, node)).map(|(name, _)| name.clone()).collect()
}

fn fits(pod: &Pod<'_>, name: &str, node: &Value) -> bool {
    let spec = &pod.object["spec"];
    let labels = &node["metadata"]["labels"];
    let selected = spec["nodeSelector"].as_object().into_iter().flatten().all(|(k, v)| labels[k] == *v);
    let required = &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"];
    let wanted = required.is_null()
        || list(required).any(|term| {
            let by_label = list(&term["matchExpressions"]).all(|e| holds(e, |key| labels[key].as_str().map(String::from)));
            by_label && list(&term["matchFields"]).all(|e| holds(e, |key| (key == "metadata.name").then(|| name.to_string())))
        });
    // Taints that Kubernetes itself sets on a node are temporary, so they are ignored.
    let lasting =
        |t: &&Value| t["effect"] != "PreferNoSchedule" && !t["key"].as_str().is_some_and(|k| k.starts_with("node.kubernetes.io/"));
    selected && wanted && list(&node["spec"]["taints"]).filter(lasting).all(|t| list(&spec["tolerations"]).any(|o| tolerates(o, t)))
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let any = |v: &Value| v.as_str().is_none_or(str::is_empty);
    let exists = toleration["operator"] == "Exists";
    let key = if any(&toleration["key"]) { exists } else { toleration["key"] == taint["key"] };
    let value = exists || toleration["value"].as_str().unwrap_or_default() == taint["value"].as_str().unwrap_or_default();
    key && value && (any(&toleration["effect"]) || toleration["effect"] == taint["effect"])
}

/// Whether one expression of a selector matches. `value` returns the value of a label or a field by its key.
fn holds(expression: &Value, value: impl Fn(&str) -> Option<String>) -> bool {
    let have = value(expression["key"].as_str().unwrap_or_default());
    let listed = |have: &String| list(&expression["values"]).any(|v| v.as_str() == Some(have));
    let compared = |less: bool| {
        let number = |t: Option<&str>| t.and_then(|t| t.parse::<i64>().ok());
        let wanted = number(list(&expression["values"]).next().and_then(Value::as_str));
        number(have.as_deref()).zip(wanted).is_some_and(|(have, wanted)| if less { have < wanted } else { have > wanted })
    };
    match expression["operator"].as_str() {
        Some("In") => have.as_ref().is_some_and(listed),
        Some("NotIn") => !have.as_ref().is_some_and(listed),
        Some("Exists") => have.is_some(),
        Some("DoesNotExist") => have.is_none(),
        Some("Gt") => compared(false),
        Some("Lt") => compared(true),
        // An operator of a later version of Kubernetes is not known, so the expression counts as matched: the pod may run there.
        _ => true,
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
