//! The inventory's types: the cluster and its hosts, in resolved form with defaults filled in.
//!
//! Field names are camelCase in YAML. Every type refuses unknown fields. Doc comments are the JSON Schema's descriptions.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::options::{Addons, Artifacts, Containerd, ControlPlane, Etcd, Kubelet, PkiOptions, Ssh};
use super::schema;
use super::version::KubeVersion;

/// A whole inventory: one cluster and the hosts it is made of.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Inventory {
    pub cluster: Cluster,
    #[serde(default)]
    pub network: Network,
    #[serde(default)]
    pub load_balancer: LoadBalancer,
    #[serde(default)]
    pub control_plane: ControlPlane,
    #[serde(default)]
    pub etcd: Etcd,
    #[serde(default)]
    pub kubelet: Kubelet,
    #[serde(default)]
    pub addons: Addons,
    #[serde(default)]
    pub containerd: Containerd,
    #[serde(default)]
    pub artifacts: Artifacts,
    #[serde(default)]
    pub pki: PkiOptions,
    #[serde(default)]
    pub ssh: Ssh,
    /// The machines, one entry each.
    #[schemars(length(min = 1))]
    pub hosts: Vec<HostEntry>,
}

/// What the cluster is: its name, version and address.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cluster {
    /// RFC 1123 label. Written into kubeadm-config as `clusterName` and into kubeconfig contexts.
    #[schemars(regex(pattern = schema::LABEL), length(max = 63), example = &"production")]
    pub name: String,
    /// Kubernetes version, `vX.Y.Z`.
    pub version: KubeVersion,
    /// Control-plane endpoint `host:port` (port 6443 if absent): the address every kubelet and kubeconfig uses.
    /// May be left out with a single control-plane host: then that host's address is used. With `loadBalancer.kind: local` it is
    /// `127.0.0.1:6443`, each node's own.
    #[serde(default)]
    #[schemars(example = &"k8s.example.org:6443", example = &"192.0.2.10:6443")]
    pub endpoint: Option<String>,
}

/// Cluster networking.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Network {
    /// Pods' addresses, one subnet of `nodeCidrMask` per node.
    #[schemars(with = "schema::Cidr")]
    pub pod_cidr: IpNet,
    /// Services' addresses. The first is `kubernetes`, the tenth is cluster DNS.
    #[schemars(with = "schema::Cidr")]
    pub service_cidr: IpNet,
    /// Cluster DNS domain.
    #[schemars(regex(pattern = schema::SUBDOMAIN), example = &"cluster.local")]
    pub dns_domain: String,
    /// Prefix length of a node's pod subnet. 24 for IPv4, 64 for IPv6.
    #[schemars(range(min = 1, max = 126))]
    pub node_cidr_mask: u8,
    /// How pods are connected.
    pub cni: Cni,
}

/// How pods are connected.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cni {
    pub kind: CniKind,
    /// With kind `manifests`: files (relative to the inventory) or http(s) URLs, applied in order.
    #[serde(default)]
    #[schemars(example = schema::list("calico.yaml"))]
    pub manifests: Vec<String>,
}

/// The CNI kinds.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum CniKind {
    /// The standard bridge plugin, a pod subnet per node, and routes between hosts. Hosts must share one layer-2 network. Needs no image.
    Bridge,
    /// The operator's manifests: Calico, Flannel, Cilium and the like.
    Manifests,
    /// One that is there already, as on a cluster that was adopted: left alone, and a node without it counts as broken.
    External,
    /// Nothing: the operator installs one later. Nodes stay NotReady until then.
    None,
}

/// The load balancer before the API servers.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LoadBalancer {
    pub kind: LoadBalancerKind,
    /// Virtual IP held by keepalived when there are two or more load-balancer hosts.
    #[schemars(with = "Option<schema::IpAddress>")]
    pub vip: Option<IpAddr>,
    /// VRRP virtual router id, 1 to 255, unique in the layer-2 network.
    #[schemars(range(min = 1, max = 255))]
    pub virtual_router_id: u8,
    /// How often haproxy asks a backend's `/readyz`. nginx asks nothing and learns from connections that fail.
    #[serde(with = "super::duration::text")]
    #[schemars(with = "schema::Duration")]
    pub check_interval: Duration,
}

/// The load-balancer kinds.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum LoadBalancerKind {
    /// haproxy on the hosts with role `load-balancer`.
    Haproxy,
    /// nginx (stream) on the hosts with role `load-balancer`.
    Nginx,
    /// haproxy on the loopback address of every node that is no control plane; no extra machines.
    Local,
    /// The operator's own balancer at the endpoint.
    External,
    /// No balancer: one control-plane host, the endpoint is its address.
    None,
}

/// One machine.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostEntry {
    /// Name in this inventory and of its Kubernetes Node, RFC 1123.
    #[schemars(regex(pattern = schema::SUBDOMAIN), length(max = 253), example = &"m1")]
    pub name: String,
    /// Where SSH connects: IP address or DNS name (a `Host` of `~/.ssh/config` is fine).
    #[schemars(example = &"192.0.2.11", example = &"m1.example.org")]
    pub address: String,
    /// Address the cluster uses between hosts; `address` if absent (it must be an IP address then). Always present once parsed.
    #[serde(default)]
    #[schemars(with = "Option<schema::IpAddress>")]
    pub private_address: Option<IpAddr>,
    /// One or more of `control-plane` (alias `master`), `worker`, `etcd`, `load-balancer`.
    #[schemars(length(min = 1))]
    pub roles: Vec<Role>,
    /// Labels of the Node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the Node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Taints in place of the role's own. A control-plane host without this gets upstream's NoSchedule taint, unless it is a worker too.
    #[serde(default)]
    pub taints: Option<Vec<Taint>>,
    /// Overrides of the kubelet's options on this host.
    #[serde(default, skip_serializing_if = "Kubelet::is_default")]
    pub kubelet: Kubelet,
    /// Overrides of `ssh` for this host.
    #[serde(default, skip_serializing_if = "Ssh::is_default")]
    pub ssh: Ssh,
}

/// What a host is for.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = schema::add_master_alias)]
pub enum Role {
    /// Runs the API server, controller-manager and scheduler, and etcd unless that is elsewhere.
    #[serde(alias = "master")]
    ControlPlane,
    /// Runs ordinary pods.
    Worker,
    /// Runs an etcd member; without any such host the control planes do.
    Etcd,
    /// Runs the load balancer before the API servers.
    LoadBalancer,
}

/// A node taint.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Taint {
    /// What it is about.
    #[schemars(example = &"example.org/dedicated")]
    pub key: String,
    /// A value that a toleration can ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    pub effect: TaintEffect,
}

/// What a taint does.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaintEffect {
    /// New pods that do not tolerate it are not scheduled here.
    NoSchedule,
    /// The scheduler avoids the node where it can.
    PreferNoSchedule,
    /// Running pods that do not tolerate it are evicted.
    NoExecute,
}
