//! The kubelet: configuration, flags, systemd unit.

use serde_json::{Map, Value, json};

use super::args::{Flags, command, flags};
use super::{Component, Ctx, Node, image, templates};
use crate::inventory::{CgroupDriver, Role};
use crate::layout;
use crate::yaml;

/// `/var/lib/kubelet/config.yaml`. The fields that the inventory sets for all hosts override those of clusterctl, and the fields that it sets for one
/// host override both.
pub fn kubelet_config(ctx: &Ctx<'_>, node: &Node<'_>) -> String {
    let mut config = cluster_config(ctx);
    if ctx.v.node.instance_config {
        config["containerRuntimeEndpoint"] = format!("unix://{}", layout::CONTAINERD_SOCKET).into();
    }
    if node.systemd_resolved {
        config["resolvConf"] = layout::RESOLVED_CONF.into();
        // The operator's setting for the whole cluster takes precedence over the setting that was found on one host.
        merge(&mut config, &ctx.inv.kubelet.config);
    }
    merge(&mut config, &node.entry.kubelet.config);
    yaml::document(&config)
}

/// The configuration that all kubelets share, which is also the content of the ConfigMap with the kubelets' configuration.
pub(super) fn cluster_config(ctx: &Ctx<'_>) -> Value {
    let network = &ctx.inv.network;
    let mut config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": format!("{}/ca.crt", layout::PKI_DIR) },
        },
        "authorization": { "mode": "Webhook" },
        "cgroupDriver": match ctx.inv.containerd.cgroup_driver {
            CgroupDriver::Systemd => "systemd",
            CgroupDriver::Cgroupfs => "cgroupfs",
        },
        "clusterDNS": layout::service_address(network.service_cidr, 10).map(|ip| vec![ip.to_string()]).unwrap_or_default(),
        "clusterDomain": network.dns_domain,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": layout::KUBELET_HEALTHZ_PORT,
        "rotateCertificates": true,
        "staticPodPath": layout::MANIFESTS_DIR,
    });
    merge(&mut config, &ctx.inv.kubelet.config);
    config
}

/// `/var/lib/kubelet/kubeadm-flags.env`.
pub fn kubelet_flags_env(ctx: &Ctx<'_>, node: &Node<'_>) -> String {
    let mut extra = ctx.inv.kubelet.extra_args.clone();
    extra.extend(node.entry.kubelet.extra_args.clone());
    let args: Vec<String> = command(own_flags(ctx, node), &extra, ctx.v.config_api).iter().map(|arg| word(arg)).collect();
    format!("KUBELET_KUBEADM_ARGS=\"{}\"\n", escaped(&args.join(" "), "\\\"`$"))
}

fn own_flags(ctx: &Ctx<'_>, node: &Node<'_>) -> Flags {
    let kubelet = &ctx.v.kubelet;
    let entry = node.entry;
    let mut own = Flags::new();
    if kubelet.runtime_flag {
        own.extend(flags([("container-runtime", "remote")]));
    }
    if kubelet.endpoint_flag {
        let scheme = ctx.v.node.cri_socket_annotation.unwrap_or_default();
        own.extend(flags([("container-runtime-endpoint", format!("{scheme}{}", layout::CONTAINERD_SOCKET))]));
    }
    if kubelet.pause_flag {
        own.extend(flags([("pod-infra-container-image", image(ctx, Component::Pause))]));
    }
    if entry.name != node.hostname.to_lowercase() {
        own.extend(flags([("hostname-override", entry.name.clone())]));
    }
    if let Some(address) = entry.private_address {
        own.extend(flags([("node-ip", address.to_string())]));
    }
    // As with kubeadm, a control-plane node gets its taints after it has started. A worker registers with its taints, because it must not get a pod
    // before it has them.
    if let (false, Some(taints)) = (entry.roles.contains(&Role::ControlPlane), &entry.taints)
        && !taints.is_empty()
    {
        let show = |t: &crate::inventory::Taint| format!("{}={}:{:?}", t.key, t.value.as_deref().unwrap_or_default(), t.effect);
        own.extend(flags([("register-with-taints", taints.iter().map(show).collect::<Vec<_>>().join(","))]));
    }
    own
}

/// `/var/lib/kubelet/instance-config.yaml`. `None` for versions that do not have this file.
pub fn instance_config(ctx: &Ctx<'_>) -> Option<String> {
    ctx.v.node.instance_config.then(|| format!("containerRuntimeEndpoint: \"unix://{}\"\n", layout::CONTAINERD_SOCKET))
}

/// `kubelet.service`.
pub fn kubelet_unit() -> String {
    templates::fill("systemd/kubelet.service", json!({ "bin_dir": layout::BIN_DIR, "pki_dir": layout::KUBELET_PKI_DIR }))
}

/// `10-kubeadm.conf`.
pub fn kubelet_drop_in() -> String {
    let context = json!({
        "bin_dir": layout::BIN_DIR,
        "bootstrap_conf": layout::BOOTSTRAP_KUBELET_CONF,
        "kubelet_conf": layout::KUBELET_CONF,
        "config": layout::KUBELET_CONFIG,
        "flags_env": layout::KUBELET_FLAGS_ENV,
    });
    templates::fill("systemd/10-kubeadm.conf", context)
}

/// Merges the fields of `over` into a value: objects are merged field by field, any other value replaces the field, and `null` removes it.
pub(super) fn merge(into: &mut Value, over: &Map<String, Value>) {
    if !into.is_object() {
        *into = json!({});
    }
    let Value::Object(into) = into else { return };
    for (key, value) in over {
        match value {
            Value::Null => {
                into.shift_remove(key);
            }
            Value::Object(fields) => merge(into.entry(key).or_insert_with(|| json!({})), fields),
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

/// An argument as one word of a systemd command line.
fn word(arg: &str) -> String {
    let plain = !arg.is_empty() && arg.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:=,@+%*".contains(&b));
    if plain { arg.into() } else { format!("\"{}\"", escaped(arg, "\\\"")) }
}

/// Puts a backslash before each of these characters.
fn escaped(text: &str, special: &str) -> String {
    text.chars().flat_map(|c| special.contains(c).then_some('\\').into_iter().chain([c])).collect()
}
