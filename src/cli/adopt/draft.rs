//! Converts what was found in a cluster of kubeadm into the fields of an inventory; fields with their default value are left out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::read::{Found, Login};
use crate::inventory::{self, merge, show_duration};
use crate::layout;

type Fields = Map<String, Value>;

/// A flag of the API server, and the value that kubeadm itself wrote into its configuration before v1beta4. The inventory does not contain the flag
/// with this value, because the operator did not set it.
const AUTHORIZATION: (&str, &str) = ("authorization-mode", "Node,RBAC");

/// The fields of the inventory, without those that the module `refine` adds.
pub(super) fn inventory(found: &Found, login: &Login, balancer: Option<&(String, String)>) -> Fields {
    let c = &found.config;
    let mut cluster = json!({ "name": c.cluster_name, "version": found.version.to_string() });
    if !c.endpoint.is_empty() {
        cluster["endpoint"] = json!(c.endpoint);
    }
    let mut out = Fields::new();
    out.insert("cluster".into(), cluster);
    out.insert("network".into(), network(found));
    let masters: Vec<(&String, &Value)> = masters(found);
    let alone = masters.len() == 1 && (c.endpoint.is_empty() || layout::host_of(&c.endpoint) == internal_ip(masters[0].1));
    match balancer {
        Some(_) => drop(out.insert("loadBalancer".into(), json!({ "kind": "haproxy" }))),
        None if alone => {}
        None => drop(out.insert("loadBalancer".into(), json!({ "kind": "external" }))),
    }
    put(&mut out, "controlPlane", control_plane(found));
    put(&mut out, "etcd", etcd(found));
    put(&mut out, "addons", addons(found));
    let driver = found.kubelet["cgroupDriver"].as_str().unwrap_or("cgroupfs");
    if driver != "systemd" {
        out.insert("containerd".into(), json!({ "cgroupDriver": driver }));
    }
    if c.image_repository != found.v.images.repository && !c.image_repository.is_empty() {
        out.insert("artifacts".into(), json!({ "imageRepository": c.image_repository }));
    }
    put(&mut out, "pki", pki(found));
    let mut hosts: Vec<Value> = masters.into_iter().map(|(name, node)| host(found, login, name, node, true)).collect();
    hosts.extend(found.nodes.iter().filter(|(_, n)| !is_master(n)).map(|(name, node)| host(found, login, name, node, false)));
    hosts.extend(balancer.map(|(name, address)| json!({ "name": name, "address": address, "roles": ["load-balancer"] })));
    out.insert("hosts".into(), hosts.into());
    out
}

/// Overrides the fields with the fields that the operator gave; hosts are matched by their names.
pub(super) fn with_given(mut fields: Fields, given: &Fields) -> Fields {
    let mut rest = given.clone();
    let hosts = rest.shift_remove("hosts");
    let before = fields.shift_remove("hosts");
    merge(&mut fields, &rest);
    let mut list = before.and_then(|h| h.as_array().cloned()).unwrap_or_default();
    for host in hosts.as_ref().and_then(Value::as_array).into_iter().flatten() {
        match (list.iter_mut().find(|h| h["name"] == host["name"]).and_then(Value::as_object_mut), host.as_object()) {
            (Some(known), Some(more)) => merge(known, more),
            _ => list.push(host.clone()),
        }
    }
    fields.insert("hosts".into(), list.into());
    fields
}

fn put(out: &mut Fields, key: &str, fields: Fields) {
    if !fields.is_empty() {
        out.insert(key.into(), fields.into());
    }
}

fn network(found: &Found) -> Value {
    let c = &found.config;
    let mut out = json!({ "podCidr": c.pod_subnet, "serviceCidr": c.service_subnet, "dnsDomain": c.dns_domain });
    let args = &c.extra_args["controllerManager"];
    let mask = ["node-cidr-mask-size", "node-cidr-mask-size-ipv4", "node-cidr-mask-size-ipv6"]
        .iter()
        .find_map(|f| args.get(*f)?.parse::<u8>().ok());
    if let Some(mask) = mask {
        out["nodeCidrMask"] = mask.into();
    }
    out["cni"] = json!({ "kind": "external" });
    out
}

fn control_plane(found: &Found) -> Fields {
    let c = &found.config;
    let mut out = Fields::new();
    let mut api = Fields::new();
    let mut args = c.extra_args["apiServer"].clone();
    if args.get(AUTHORIZATION.0).map(String::as_str) == Some(AUTHORIZATION.1) {
        args.remove(AUTHORIZATION.0);
    }
    put_args(&mut api, &args);
    if !c.cert_sans.is_empty() {
        api.insert("certSANs".into(), json!(c.cert_sans));
    }
    put_volumes(&mut api, &c.extra_volumes["apiServer"]);
    put(&mut out, "apiServer", api);
    let mut election = Fields::new();
    for component in ["controllerManager", "scheduler"] {
        let mut args = c.extra_args[component].clone();
        for (flag, field) in [("lease-duration", "leaseDuration"), ("renew-deadline", "renewDeadline"), ("retry-period", "retryPeriod")] {
            if let Some(time) = args.remove(&format!("leader-elect-{flag}")).as_deref().and_then(go_duration) {
                election.insert(field.into(), show_duration(time).into());
            }
        }
        args.retain(|flag, _| !flag.starts_with("node-cidr-mask-size"));
        let mut fields = Fields::new();
        put_args(&mut fields, &args);
        put_volumes(&mut fields, &c.extra_volumes[component]);
        put(&mut out, component, fields);
    }
    put(&mut out, "leaderElection", election);
    out
}

fn put_args(out: &mut Fields, args: &BTreeMap<String, String>) {
    if !args.is_empty() {
        out.insert("extraArgs".into(), json!(args));
    }
}

fn put_volumes(out: &mut Fields, volumes: &[Value]) {
    if !volumes.is_empty() {
        out.insert("extraVolumes".into(), json!(volumes));
    }
}

fn etcd(found: &Found) -> Fields {
    let c = &found.config;
    let mut out = Fields::new();
    let running = found.etcd.as_deref().and_then(tag);
    if let Some(tag) = Some(c.etcd_image_tag.as_str()).filter(|t| !t.is_empty()).or(running.filter(|t| *t != found.v.images.etcd)) {
        out.insert("imageTag".into(), tag.into());
    }
    put_args(&mut out, &c.extra_args["etcd"]);
    out
}

fn addons(found: &Found) -> Fields {
    let mut out = Fields::new();
    if found.proxy.is_none() {
        out.insert("kubeProxy".into(), json!({ "enabled": false }));
    }
    let configured = Some(found.config.core_dns_image_tag.as_str()).filter(|t| !t.is_empty());
    match &found.core_dns {
        None => drop(out.insert("coreDns".into(), json!({ "enabled": false }))),
        Some(image) => {
            if let Some(tag) = configured.or(tag(image).filter(|t| *t != found.v.images.core_dns)) {
                out.insert("coreDns".into(), json!({ "imageTag": tag }));
            }
        }
    }
    out
}

fn pki(found: &Found) -> Fields {
    let c = &found.config;
    let mut out = Fields::new();
    if !c.algorithm.is_empty() && c.algorithm != "RSA-2048" {
        out.insert("algorithm".into(), json!(c.algorithm));
    }
    let day = Duration::from_secs(86400);
    for (field, text, default) in [("certificateValidity", &c.certificate_validity, day * 365), ("caValidity", &c.ca_validity, day * 3650)]
    {
        if let Some(time) = go_duration(text).filter(|t| *t != default) {
            out.insert(field.into(), show_duration(time).into());
        }
    }
    out
}

/// The control-plane nodes, oldest first, so that the node on which `kubeadm init` ran becomes the first control-plane host of the inventory.
fn masters(found: &Found) -> Vec<(&String, &Value)> {
    let mut all: Vec<(&String, &Value)> = found.nodes.iter().filter(|(_, n)| is_master(n)).collect();
    all.sort_by_key(|(name, n)| (n["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_string(), (*name).clone()));
    all
}

fn is_master(node: &Value) -> bool {
    ["control-plane", "master"].iter().any(|role| node["metadata"]["labels"][format!("node-role.kubernetes.io/{role}")].is_string())
}

fn internal_ip(node: &Value) -> &str {
    let all = node["status"]["addresses"].as_array().into_iter().flatten();
    all.into_iter().find(|a| a["type"] == "InternalIP").and_then(|a| a["address"].as_str()).unwrap_or_default()
}

fn host(found: &Found, login: &Login, name: &str, node: &Value, master: bool) -> Value {
    let ip = internal_ip(node);
    let mut out = json!({ "name": name, "address": ip });
    let same = login.host.parse::<IpAddr>().is_ok_and(|a| a.to_string() == ip);
    if ip == found.address && !same {
        out["address"] = json!(login.host);
        out["privateAddress"] = json!(ip);
    }
    // Taints that reflect the state of the node are temporary, so they are left out.
    let taints: Vec<&Value> =
        node["spec"]["taints"].as_array().into_iter().flatten().filter(|t| !text(&t["key"]).starts_with("node.kubernetes.io/")).collect();
    let own = |t: &&Value| text(&t["key"]) == found.v.node.taint && text(&t["effect"]) == "NoSchedule" && text(&t["value"]).is_empty();
    let usual = if master { taints.len() == 1 && taints.iter().all(own) } else { taints.is_empty() };
    out["roles"] = match (master, taints.is_empty()) {
        (true, true) => json!(["control-plane", "worker"]),
        (true, false) => json!(["control-plane"]),
        (false, _) => json!(["worker"]),
    };
    let labels: Fields = node["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(k, _)| is_own(k))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    if !labels.is_empty() {
        out["labels"] = labels.into();
    }
    if !usual && !taints.is_empty() {
        let shown = |t: &&Value| {
            let mut taint = json!({ "key": t["key"] });
            if !text(&t["value"]).is_empty() {
                taint["value"] = t["value"].clone();
            }
            taint["effect"] = t["effect"].clone();
            taint
        };
        out["taints"] = taints.iter().map(shown).collect();
    }
    out
}

/// Whether a label is the operator's own: not a label of Kubernetes, and not the role label of a control-plane node.
fn is_own(label: &str) -> bool {
    let Some((prefix, name)) = label.split_once('/') else { return true };
    let upstream = ["kubernetes.io", "k8s.io"].iter().any(|d| prefix == *d || prefix.ends_with(&format!(".{d}")));
    !upstream || (prefix == "node-role.kubernetes.io" && !["control-plane", "master"].contains(&name))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The tag of an image reference.
fn tag(image: &str) -> Option<&str> {
    image.rsplit_once(':').map(|(_, tag)| tag).filter(|t| !t.contains('/'))
}

/// Parses a duration in Go's format, such as `8760h0m0s`: a sequence of durations as in the inventory. `None` for an empty text, a fraction, or an
/// unknown unit.
fn go_duration(text: &str) -> Option<Duration> {
    let (mut total, mut rest) = (Duration::ZERO, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |n| digits + n);
        total += inventory::parse_duration(&rest[..unit])?;
        rest = &rest[unit..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_go() {
        assert_eq!(go_duration("8760h0m0s"), Some(Duration::from_secs(8760 * 3600)));
        assert_eq!(go_duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!((go_duration(""), go_duration("1.5h"), go_duration("x")), (None, None, None));
    }

    #[test]
    fn labels_that_are_the_operators() {
        for (label, own) in [
            ("rack", true),
            ("example.org/zone", true),
            ("kubernetes.io/os", false),
            ("topology.kubernetes.io/zone", false),
            ("node-role.kubernetes.io/gpu", true),
            ("node-role.kubernetes.io/master", false),
        ] {
            assert_eq!(is_own(label), own, "{label}");
        }
    }

    #[test]
    fn what_is_given_wins_and_hosts_go_by_name() {
        let map = |v: Value| v.as_object().cloned().unwrap_or_default();
        let fields = map(json!({ "a": { "b": 1 }, "hosts": [{ "name": "m1", "address": "1.1.1.1" }] }));
        let given = map(json!({ "a": { "c": 2 }, "hosts": [{ "name": "m1", "address": "2.2.2.2" }, { "name": "lb1" }] }));
        let all = Value::Object(with_given(fields, &given));
        assert_eq!(all, json!({ "a": { "b": 1, "c": 2 }, "hosts": [{ "name": "m1", "address": "2.2.2.2" }, { "name": "lb1" }] }));
    }
}
