//! kube-proxy and CoreDNS.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::config::{config_map, mark_generated};
use super::rbac::{Subject, reader};
use crate::layout;
use crate::render::{Component, Ctx, image, kubelet, templates};
use crate::yaml;

/// The objects of kube-proxy: its service account and the permissions of that account, its configuration, and last its DaemonSet.
pub(super) fn kube_proxy(ctx: &Ctx<'_>) -> Vec<Value> {
    let context = json!({ "image": image(ctx, Component::Proxy), "critical_toleration": ctx.v.proxy.critical_toleration });
    let mut out = documents(&templates::fill("addons/kube-proxy.yaml", context));
    let before_daemon_set = out.len() - 1;
    let mut config = kube_proxy_config(ctx);
    if ctx.inv.addons.kube_proxy.config.is_empty() {
        mark_generated(&mut config);
    }
    let rest = reader("kube-system", "kube-proxy", "kube-proxy", &[Subject::Joining]).into_iter().chain([config]);
    out.splice(before_daemon_set..before_daemon_set, rest);
    out
}

fn kube_proxy_config(ctx: &Ctx<'_>) -> Value {
    let pods = ctx.inv.network.pod_cidr;
    let mut config = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "bindAddress": if pods.addr().is_ipv4() { "0.0.0.0" } else { "::" },
        "clientConnection": { "kubeconfig": "/var/lib/kube-proxy/kubeconfig.conf" },
        "clusterCIDR": pods.to_string(),
    });
    if let Some(mode) = ctx.v.proxy.mode {
        config["mode"] = mode.into();
    }
    kubelet::merge(&mut config, &ctx.inv.addons.kube_proxy.config);
    let account = "/var/run/secrets/kubernetes.io/serviceaccount";
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "default",
            "cluster": { "certificate-authority": format!("{account}/ca.crt"), "server": format!("https://{}", ctx.endpoint) },
        }],
        "contexts": [{ "name": "default", "context": { "cluster": "default", "namespace": "default", "user": "default" } }],
        "current-context": "default",
        "users": [{ "name": "default", "user": { "tokenFile": format!("{account}/token") } }],
    });
    let data = [("config.conf", config), ("kubeconfig.conf", kubeconfig)];
    let data: Map<String, Value> = data.into_iter().map(|(key, value)| (key.into(), yaml::document(&value).into())).collect();
    let mut map = config_map("kube-system", "kube-proxy", data);
    map["metadata"]["labels"] = json!({ "app": "kube-proxy" });
    map
}

/// The number of pods of CoreDNS that kubeadm deploys.
const REPLICAS: u32 = 2;

/// The Corefiles that Kubernetes' versions have for this domain.
pub fn stock_corefiles(domain: &str) -> [String; 2] {
    [true, false].map(|cache_outside_only| corefile(domain, cache_outside_only))
}

fn corefile(domain: &str, cache_outside_only: bool) -> String {
    templates::fill("addons/Corefile", json!({ "domain": domain, "cache_outside_only": cache_outside_only }))
}

/// The objects of CoreDNS: its service account and the permissions of that account, its configuration, its Deployment and its Service.
pub(super) fn core_dns(ctx: &Ctx<'_>) -> Vec<Value> {
    let shape = &ctx.v.core_dns;
    let ports = if shape.named_ports { ["liveness-probe", "readiness-probe"] } else { ["8080", "8181"] };
    // The taints that CoreDNS tolerates have the names of the role labels. Older versions of Kubernetes also tolerate the older name, which is
    // the first in the list.
    let taints: Vec<&str> = ctx.v.node.labels.iter().rev().copied().filter(|label| label.starts_with("node-role.")).collect();
    let options = &ctx.inv.addons.core_dns;
    let corefile = options.corefile.clone().unwrap_or_else(|| corefile(&ctx.inv.network.dns_domain, shape.cache_outside_only));
    let context = json!({
        "image": image(ctx, Component::CoreDns),
        "corefile": corefile,
        "replicas": options.replicas.unwrap_or(REPLICAS),
        "cluster_ip": layout::service_address(ctx.inv.network.service_cidr, 10).map(|ip| ip.to_string()).unwrap_or_default(),
        "endpoint_slices": shape.endpoint_slices,
        "anti_affinity": shape.anti_affinity,
        "named_ports": shape.named_ports,
        "liveness_port": ports[0],
        "readiness_port": ports[1],
        "drop": shape.drop,
        "service_name": shape.service_name,
        "taints": taints,
    });
    documents(&templates::fill("addons/coredns.yaml", context))
}

/// The YAML documents of a filled template.
fn documents(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text).map(|doc| Value::deserialize(doc).expect("templates are constant and tested")).collect()
}
