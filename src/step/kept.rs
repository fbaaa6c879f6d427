//! Compares the configuration that kubeadm wrote for an adopted cluster with the configuration that clusterctl would write. They are compared by
//! meaning, so that nothing is replaced only because its text differs.
//!
//! An intended difference that does not change what runs (probes, resource requests, the pod's priority) is applied together with the next change of
//! the component. Only hosts with the file `layout::ADOPTED`, and the ConfigMaps of clusters with such a host, are compared by meaning. Elsewhere,
//! every difference is corrected.

use serde_json::{Value, json};

use crate::facts::{Facts, PodFact};
use crate::host::HostName;
use crate::layout;

/// The annotation by which kubeadm marks the ConfigMap of a component as generated. Its value is the digest of the ConfigMap's data.
const GENERATED: &str = "kubeadm.kubernetes.io/component-config.hash";

/// Whether the host was adopted and its static pod of the component does not have to be replaced by `manifest`: the manifest on the host means the
/// same, and the running process has the same image and command.
pub(super) fn pod(host: &HostName, facts: &Facts, component: &str, manifest: &str) -> bool {
    let f = facts.host(host);
    let path = format!("{}/{component}.yaml", layout::MANIFESTS_DIR);
    let (Some(now), true) = (f.text(&path).and_then(runs), f.files.contains_key(layout::ADOPTED)) else { return false };
    let Some(running) = f.pods.get(component) else { return false };
    runs(manifest).is_some_and(|wanted| wanted == now && wanted["image"] == *running.image && wanted["command"] == command(running))
}

/// The part of a static pod manifest that decides what the pod runs, in a form that can be compared: lists whose order has no meaning are sorted.
/// `None` if the manifest is not YAML.
fn runs(manifest: &str) -> Option<Value> {
    let pod: Value = serde_yaml::from_str(manifest).ok()?;
    let container = &pod["spec"]["containers"][0];
    let sorted = |list: &Value, key: &str| {
        let mut items: Vec<String> = list.as_array().into_iter().flatten().map(|i| format!("{} {}", i[key], ordered(i))).collect();
        items.sort();
        items
    };
    let argv = container["command"].as_array().into_iter().chain(container["args"].as_array()).flatten();
    let argv = argv.filter_map(|a| a.as_str().map(String::from)).collect();
    Some(json!({
        "image": container["image"],
        "command": command(&PodFact { image: String::new(), argv }),
        "env": sorted(&container["env"], "name"),
        "mounts": sorted(&container["volumeMounts"], "mountPath"),
        "volumes": sorted(&pod["spec"]["volumes"], "name"),
        "hostNetwork": pod["spec"]["hostNetwork"],
        "containers": pod["spec"]["containers"].as_array().map(Vec::len),
    }))
}

/// The program and its flags; the flags are sorted, because their order has no meaning.
fn command(pod: &PodFact) -> Value {
    let mut flags = pod.argv.clone();
    if !flags.is_empty() {
        flags[1..].sort();
    }
    json!(flags)
}

/// A copy of a value in which the keys of maps are sorted and fields that mean the same as unset ones are left out; see [`is_zero`].
fn ordered(value: &Value) -> Value {
    let Value::Object(map) = value else { return value.clone() };
    let mut fields: Vec<(&String, &Value)> = map.iter().filter(|(_, v)| !is_zero(v)).collect();
    fields.sort_by_key(|(k, _)| *k);
    fields.into_iter().map(|(k, v)| (k.clone(), ordered(v))).collect::<serde_json::Map<_, _>>().into()
}

/// Whether the cluster was adopted and its ConfigMap `now` means the same as `wanted`, so that it does not have to be replaced. `now` has been
/// reduced to the fields of `wanted`. The result is false for objects of other kinds.
pub(super) fn object(facts: &Facts, wanted: &Value, mut now: Value) -> bool {
    if wanted["kind"] != "ConfigMap" || !facts.hosts.values().any(|f| f.files.contains_key(layout::ADOPTED)) {
        return false;
    }
    let (Some(ours), Some(theirs)) = (wanted["data"].as_object(), now["data"].as_object_mut()) else { return false };
    for (key, text) in theirs.iter_mut() {
        if let (Some(our_text), Some(their_text)) = (ours.get(key), text.as_str())
            && our_text.as_str().is_some_and(|o| text_says(o, their_text))
        {
            *text = our_text.clone();
        }
    }
    // The annotation in the cluster has the digest of the text in the cluster. This text is kept, so the annotation counts as equal.
    if wanted["data"] == now["data"] && wanted["metadata"]["annotations"][GENERATED].is_string() {
        now["metadata"]["annotations"] = wanted["metadata"]["annotations"].clone();
    }
    now == *wanted
}

/// Whether `theirs` means the same as `ours`: the same text, or YAML of the same meaning.
pub fn text_says(ours: &str, theirs: &str) -> bool {
    let yaml = |text: &str| serde_yaml::from_str::<Value>(text).ok().filter(|v| v.is_object() || v.is_array());
    ours == theirs || yaml(ours).zip(yaml(theirs)).is_some_and(|(o, t)| says(&o, &t))
}

/// Whether `theirs` has all fields of `ours` with the same values, where an empty field may be missing, and no other fields except those with the
/// zero values that Go writes for unset fields.
fn says(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(o), Value::Object(t)) => {
            let stated = o.iter().all(|(k, v)| t.get(k).map_or_else(|| says_nothing(v), |theirs| says(v, theirs)));
            stated && t.iter().all(|(k, v)| o.contains_key(k) || is_zero(v))
        }
        (Value::Array(o), Value::Array(t)) => o.len() == t.len() && o.iter().zip(t).all(|(o, t)| says(o, t)),
        _ => ours == theirs || (ours.is_null() && is_zero(theirs)),
    }
}

/// Whether a value is an empty map, an empty list or null, which mean the same as no field.
fn says_nothing(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(|m| m.values().all(says_nothing)) || value.as_array().is_some_and(Vec::is_empty)
}

/// Whether a value is a zero value that Go writes for an unset field, such as false, 0, an empty string or `0s`.
pub fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => ["", "0", "0s"].contains(&s.as_str()),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(is_zero),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_and_unset_fields_mean_nothing() {
        assert!(text_says("a: 1\nb: \"0%\"\n", "b: 0%\nc: 0s\nd: {e: null}\na: 1\n"));
        assert!(text_says("same", "same"));
        for theirs in ["a: 1\n", "a: 1\nb: 0%\nc: 5s\n", "a: 2\nb: 0%\n", "text"] {
            assert!(!text_says("a: 1\nb: \"0%\"\n", theirs), "{theirs}");
        }
    }

    #[test]
    fn what_is_said_as_zero_has_to_be_said() {
        assert!(!text_says("conntrack: {maxPerCore: 0}\n", "conntrack: {maxPerCore: 5}\n"));
        assert!(!text_says("conntrack: {maxPerCore: 0}\n", "conntrack: {maxPerCore: null}\n"));
        assert!(!text_says("a: 1\nfailSwapOn: false\n", "a: 1\n") && text_says("a: 1\ndns: {}\n", "a: 1\n"));
        assert!(text_says("conntrack: {maxPerCore: 0}\n", "conntrack: {maxPerCore: 0, min: null}\n"));
    }

    #[test]
    fn a_manifest_is_what_it_runs() {
        let pod = |flags: &str, more: &str| {
            format!(
                "spec:\n  hostNetwork: true\n  containers:\n  - image: a:1\n    command: [etcd, {flags}]\n{more}  volumes:\n  - name: x\n    hostPath: {{path: /x}}\n"
            )
        };
        let plain = runs(&pod("--a=1, --b=2", "")).expect("it is readable");
        assert_eq!(Some(&plain), runs(&pod("--b=2, --a=1", "    resources: {requests: {cpu: 1m}}\n")).as_ref());
        assert_ne!(Some(&plain), runs(&pod("--a=1", "")).as_ref());
        assert_ne!(Some(&plain), runs(&pod("--a=1, --b=2", "    volumeMounts: [{name: x, mountPath: /x}]\n")).as_ref());
    }
}
