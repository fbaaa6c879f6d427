//! Rules about the fields of each host: name, address, roles, labels, annotations, taints.

use std::collections::HashMap;
use std::net::IpAddr;

use super::super::path::{Path, at};
use super::super::words::quoted;
use super::super::{HostEntry, Role};
use super::review::Review;
use super::shape::{as_subdomain, is_broken_ipv4, is_host_name, is_label_value, is_qualified_key, is_subdomain};

/// The largest size of all annotations of a node in bytes (apimachinery, `TotalAnnotationSizeLimitB`).
const MAX_ANNOTATIONS: usize = 256 << 10;

/// Labels whose values follow from other fields of the inventory, so that `labels` must not contain them. The second text names the field, for the
/// message.
const OWN_LABELS: [(&str, &str); 4] = [
    ("node-role.kubernetes.io/control-plane", "it follows from the role `control-plane`"),
    ("node-role.kubernetes.io/master", "it follows from the role `control-plane`"),
    ("kubernetes.io/hostname", "it is the host's `name`"),
    ("node.kubernetes.io/exclude-from-external-load-balancers", "it follows from the role `control-plane`"),
];

pub(super) fn check(review: &mut Review) {
    let hosts = &review.inventory.hosts;
    if hosts.is_empty() {
        review.fault(at!["hosts"], "there is no host", "name at least one host with the role `control-plane`");
    }
    let mut names: HashMap<&str, usize> = HashMap::new();
    for (i, host) in hosts.iter().enumerate() {
        check_name(review, i, host);
        if let Some(first) = names.get(host.name.as_str())
            && review.intact(&at!["hosts", *first, "name"])
        {
            let message = format!("the host name {} is taken by `hosts[{first}]`", quoted(&host.name));
            review.fault(at!["hosts", i, "name"], message, "give each host a name of its own");
        } else {
            names.insert(&host.name, i);
        }
        check_address(review, i, host);
        check_roles(review, i, host);
        check_labels(review, i, host);
        check_taints(review, i, host);
        check_node_only(review, i, host);
    }
}

/// The longest value of the label `kubernetes.io/hostname` in characters. Every Node has this label, and the value is the name of the node.
const MAX_NAME: usize = 63;

fn check_name(review: &mut Review, i: usize, host: &HostEntry) {
    if is_subdomain(&host.name) {
        if host.name.len() > MAX_NAME {
            let message = format!("the host name has {} characters, and the API takes {MAX_NAME} at most", host.name.len());
            review.fault(at!["hosts", i, "name"], message, "choose a shorter name, such as the part before the first dot");
        }
        return;
    }
    let hint = match as_subdomain(&host.name) {
        Some(near) => format!("did you mean {}?", quoted(&near)),
        None => "use lower-case letters, digits, dashes and dots, a letter or digit at both ends".into(),
    };
    review.fault(at!["hosts", i, "name"], format!("the host name {} is not an RFC 1123 name", quoted(&host.name)), hint);
}

fn check_address(review: &mut Review, i: usize, host: &HostEntry) {
    let path = at!["hosts", i, "address"];
    let shown = || quoted(&host.address);
    if host.address.parse::<IpAddr>().is_err() {
        if is_broken_ipv4(&host.address) {
            review.fault(path, format!("the address {} is not an IPv4 address", shown()), "four numbers from 0 to 255 with dots between");
            return;
        }
        if !is_host_name(&host.address) {
            let hint = match &host.address {
                a if a.contains('@') => "the user goes into `ssh.user`",
                a if a.contains(':') => "the port goes into `ssh.port`",
                _ => "letters, digits, `.`, `-` and `_`, no leading dash",
            };
            review.fault(path, format!("the address {} is neither an IP address nor a DNS name", shown()), hint);
            return;
        }
        if host.private_address.is_none() && review.intact(&at!["hosts", i, "privateAddress"]) {
            let message = format!("{} has no `privateAddress`, and its address {} is a name", quoted(&host.name), shown());
            review.fault(path, message, "add `privateAddress`, the IP address that the other hosts reach it by");
        }
    }
    let Some(ip) = host.private_address else { return };
    let of = if review.written_in_host(i, "privateAddress") { at!["hosts", i, "privateAddress"] } else { at!["hosts", i, "address"] };
    let kind = match ip {
        ip if ip.is_loopback() => "a loopback address",
        ip if ip.is_unspecified() => "the unspecified address",
        ip if ip.is_multicast() => "a multicast address",
        IpAddr::V4(v4) if v4.is_broadcast() => "the broadcast address",
        IpAddr::V4(v4) if v4.is_link_local() => "a link-local address",
        IpAddr::V6(v6) if v6.is_unicast_link_local() => "a link-local address",
        _ => return,
    };
    review.fault(
        of,
        format!("`{ip}` is {kind}, which the other hosts cannot reach"),
        "set `privateAddress` to the host's address in the cluster's network",
    );
}

fn check_roles(review: &mut Review, i: usize, host: &HostEntry) {
    if host.roles.is_empty() {
        let names: Vec<&str> = Role::ALL.iter().map(|r| r.name()).collect();
        let hint = format!("choose one or more of `{}`", names.join("`, `"));
        review.fault(at!["hosts", i, "roles"], format!("{} has no role", quoted(&host.name)), hint);
    }
    for (j, role) in host.roles.iter().enumerate() {
        if host.roles[..j].contains(role) {
            let message = format!("the role `{role}` is written twice");
            review.fault(at!["hosts", i, "roles", j], message, "remove one; `master` means `control-plane`");
        }
    }
}

fn check_labels(review: &mut Review, i: usize, host: &HostEntry) {
    for (key, value) in &host.labels {
        let path = at!["hosts", i, "labels", key];
        check_key(review, &path, "label", key);
        if let Some((_, why)) = OWN_LABELS.iter().find(|(own, _)| own == key) {
            review.key_fault(path.clone(), format!("the label {} is set by clusterctl", quoted(key)), *why);
        }
        if !is_label_value(value) {
            review.fault(
                path,
                format!("{} is not a label value", quoted(value)),
                "63 letters, digits, `-`, `_` and `.` at most, a letter or digit at both ends",
            );
        }
    }
    for key in host.annotations.keys() {
        check_key(review, &at!["hosts", i, "annotations", key], "annotation", key);
    }
    let size: usize = host.annotations.iter().map(|(k, v)| k.len() + v.len()).sum();
    if size > MAX_ANNOTATIONS {
        let message = format!("the annotations of {} have {size} bytes; a node may have {MAX_ANNOTATIONS}", quoted(&host.name));
        review.key_fault(at!["hosts", i, "annotations"], message, "");
    }
}

fn check_taints(review: &mut Review, i: usize, host: &HostEntry) {
    let taints = host.taints.as_deref().unwrap_or_default();
    for (j, taint) in taints.iter().enumerate() {
        let path = at!["hosts", i, "taints", j];
        check_key(review, &path.join("key"), "taint", &taint.key);
        let value = taint.value.as_deref().unwrap_or_default();
        if !is_label_value(value) {
            review.fault(
                path.join("value"),
                format!("{} is not a taint value", quoted(value)),
                "63 letters, digits, `-`, `_` and `.` at most",
            );
        }
        if taints[..j].iter().any(|t| t.key == taint.key && t.effect == taint.effect) {
            let message = format!("the taint {} with effect `{:?}` is written twice", quoted(&taint.key), taint.effect);
            review.fault(path, message, "a node has one taint for a key and effect");
        }
    }
}

fn check_key(review: &mut Review, path: &Path, what: &str, key: &str) {
    if is_qualified_key(key) {
        return;
    }
    let hint = "write `name` or `prefix.example.org/name`: letters, digits, `-`, `_` and `.`, 63 at most";
    let message = format!("{} is not a {what} key", quoted(key)).replace("a annotation", "an annotation");
    if what == "taint" { review.fault(path.clone(), message, hint) } else { review.key_fault(path.clone(), message, hint) }
}

/// Refuses `labels`, `annotations`, `taints` and `kubelet` for a host that does not become a Kubernetes Node.
fn check_node_only(review: &mut Review, i: usize, host: &HostEntry) {
    if host.is_node() || !review.intact(&at!["hosts", i, "roles"]) {
        return;
    }
    let written = [
        ("labels", !host.labels.is_empty()),
        ("annotations", !host.annotations.is_empty()),
        ("taints", host.taints.is_some()),
        ("kubelet", !host.kubelet.is_default()),
    ];
    for (field, _) in written.iter().filter(|(_, written)| *written) {
        let message = format!("`{field}` is for Kubernetes nodes, and {} is none", quoted(&host.name));
        review.key_fault(at!["hosts", i, *field], message, "only hosts with the role `control-plane` or `worker` are");
    }
}
