//! Finds what an inventory must contain in addition so that clusterctl would write the configuration that the cluster has already: compares this
//! configuration with the one that clusterctl would write without the additions.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::read::Found;
use crate::facts::kubeadm::{kubelet_flags, tells};
use crate::facts::{Facts, ObjectRef};
use crate::inventory::Inventory;
use crate::plan::{Plan, adopt, desired};
use crate::step::kept::is_zero;
use crate::step::{Object, Step};
use crate::{layout, versions};

/// Fields of the kubelet's configuration that are not copied into `kubelet.config` of the inventory, because they have their own place in the
/// inventory or differ from node to node.
const ELSEWHERE: [&str; 3] = ["cgroupDriver", "clusterDomain", "containerRuntimeEndpoint"];

/// The name of a section of the inventory, and a remark that explains the section's content.
pub(super) type Remark = (&'static str, String);

/// The Kubernetes objects that clusterctl would write for the inventory.
pub(super) fn objects(inv: &Inventory, v: &'static versions::Minor) -> Vec<Value> {
    desired::all_objects(inv, v, "", &[])
}

/// Adds the settings of the kubelets and of kube-proxy that the cluster has and that clusterctl would not write by itself.
pub(super) fn with_components(mut fields: Map<String, Value>, found: &Found) -> Map<String, Value> {
    // Fields that are not a valid inventory are returned unchanged. The caller parses them again and reports the faults.
    let Ok(inv) = serde_json::from_value::<Inventory>(Value::Object(fields.clone())) else { return fields };
    let all = objects(&inv, found.v);
    let ours = |name: &str, key: &str| {
        let text = all.iter().find(|o| o["kind"] == "ConfigMap" && o["metadata"]["name"] == name).and_then(|o| o["data"][key].as_str());
        text.and_then(|t| serde_yaml::from_str::<Value>(t).ok()).unwrap_or_else(|| json!({}))
    };
    let mut kubelet = patch(&ours(found.v.kubelet_config, "kubelet"), &found.kubelet, "", &unset_in_kubelet);
    kubelet.retain(|key, _| !ELSEWHERE.contains(&key.as_str()));
    if !kubelet.is_empty() {
        fields.insert("kubelet".into(), json!({ "config": kubelet }));
    }
    if let Some(theirs) = &found.proxy {
        let proxy = patch(&ours("kube-proxy", "config.conf"), theirs, "", &unset_in_proxy);
        if !proxy.is_empty() {
            fields.entry("addons").or_insert_with(|| json!({}))["kubeProxy"] = json!({ "config": proxy });
        }
    }
    fields
}

/// The fields that, merged over `ours`, give `theirs`, without values that mean an unset field. Fields that only `ours` has are left out; the plan of
/// `apply` shows them as changes.
fn patch(ours: &Value, theirs: &Value, path: &str, unset: &dyn Fn(&str, &Value) -> bool) -> Map<String, Value> {
    let mut out = Map::new();
    let (none, Value::Object(theirs)) = (Map::new(), theirs) else { return out };
    let ours = ours.as_object().unwrap_or(&none);
    for (key, value) in theirs {
        let path = format!("{path}{key}.");
        match (ours.get(key), value) {
            (Some(same), _) if same == value => {}
            (own, Value::Object(_)) if own.is_none_or(Value::is_object) => {
                let inner = patch(own.unwrap_or(&Value::Null), value, &path, unset);
                if !inner.is_empty() {
                    out.insert(key.clone(), inner.into());
                }
            }
            (None, value) if unset(path.trim_end_matches('.'), value) => {}
            (_, value) => drop(out.insert(key.clone(), value.clone())),
        }
    }
    out
}

/// Whether a value of the kubelet's configuration means an unset field. A number or a boolean is in this configuration only if it was set, so zero is
/// a set value. Only below `logging`, zero means an unset field.
fn unset_in_kubelet(path: &str, value: &Value) -> bool {
    match value {
        Value::Bool(_) | Value::Number(_) => path.starts_with("logging.") && is_zero(value),
        other => is_zero(other),
    }
}

/// Whether a value of kube-proxy's configuration means an unset field. Kubernetes writes all fields of this configuration. An unset field is zero or,
/// if zero has a meaning of its own, `null`.
fn unset_in_proxy(path: &str, value: &Value) -> bool {
    let zero_means = path == "iptables.localhostNodePorts"
        || path == "iptables.masqueradeBit"
        || (path.starts_with("conntrack.") && (value.is_number() || path.starts_with("conntrack.tcp") && value.is_string()));
    if zero_means { value.is_null() } else { is_zero(value) }
}

/// Adds what is known only after all hosts were observed: whether packages may be installed, the flags of single kubelets, and whether clusterctl
/// leaves a changed CoreDNS alone. Returns the remarks that explain these fields.
pub(super) fn with_hosts(fields: &mut Map<String, Value>, inv: &Inventory, v: &'static versions::Minor, facts: &Facts) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let reached = |h: &&str| facts.hosts.contains_key(*h);
    let nodes: Vec<&str> = inv.nodes().map(|h| h.name.as_str()).filter(reached).collect();
    let facts = Plan::of(&adopt::desired_steps(inv, facts), facts).1;
    let lacks = |h: &&str| desired::NODE_PACKAGES.iter().any(|p| !facts.host(h).packages.contains(*p));
    if let Some(host) = nodes.iter().find(|h| lacks(h)) {
        fields.entry("artifacts").or_insert_with(|| json!({}))["packages"] = false.into();
        remarks.push((
            "artifacts",
            format!("{host} has its runtime from elsewhere than Debian's packages: new hosts have to bring theirs, too."),
        ));
    }
    let differing = core_dns_differs(inv, v, &facts);
    if !differing.is_empty() {
        fields.entry("addons").or_insert_with(|| json!({}))["coreDns"] = json!({ "enabled": false });
        remarks
            .push(("addons", format!("CoreDNS was made your own ({}), and stays so: clusterctl leaves it alone.", differing.join(", "))));
    }
    for entry in fields.get_mut("hosts").and_then(Value::as_array_mut).into_iter().flatten() {
        let flags = own_flags(&facts, entry["name"].as_str().unwrap_or_default());
        if !flags.is_empty() {
            entry["kubelet"] = json!({ "extraArgs": flags });
        }
    }
    remarks
}

/// The kubelet's flags in the host's `kubeadm-flags.env`, without those that make no difference.
fn own_flags(facts: &Facts, host: &str) -> BTreeMap<String, String> {
    let env = facts.host(host).text(layout::KUBELET_FLAGS_ENV).unwrap_or_default();
    kubelet_flags(env).into_iter().filter(|(flag, _)| tells(flag)).collect()
}

/// The existing objects of CoreDNS that differ from those that clusterctl would write.
fn core_dns_differs(inv: &Inventory, v: &'static versions::Minor, facts: &Facts) -> Vec<String> {
    let mut without = inv.clone();
    without.addons.core_dns.enabled = false;
    let rest: Vec<ObjectRef> = objects(&without, v).iter().map(ObjectRef::of).collect();
    let there = |o: &Value| facts.cluster.as_ref().is_some_and(|c| c.objects.contains_key(&ObjectRef::of(o)));
    let address = IpAddr::from([127, 0, 0, 1]);
    let differs = |o: &Value| Step::from(Object { address, objects: vec![o.clone()] }).pending(&String::new(), facts).is_some();
    let own = objects(inv, v).into_iter().filter(|o| !rest.contains(&ObjectRef::of(o)));
    own.filter(|o| there(o) && differs(o)).map(|o| ObjectRef::of(&o).to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_what_differs_and_was_set() {
        let ours = json!({ "a": 1, "b": { "c": true }, "gone": "x" });
        let theirs = json!({ "a": 1, "b": { "c": true, "d": "0s" }, "failSwapOn": false, "logging": { "verbosity": 0 }, "max": 5 });
        let said = Value::Object(patch(&ours, &theirs, "", &unset_in_kubelet));
        assert_eq!(said, json!({ "failSwapOn": false, "max": 5 }));
    }

    #[test]
    fn zero_is_said_where_it_means_something() {
        let theirs = json!({ "burst": 0, "conntrack": { "maxPerCore": 0, "min": null, "tcpBeLiberal": false, "udpTimeout": "0s" }, "iptables": { "masqueradeBit": null } });
        assert_eq!(Value::Object(patch(&json!({}), &theirs, "", &unset_in_proxy)), json!({ "conntrack": { "maxPerCore": 0 } }));
    }
}
