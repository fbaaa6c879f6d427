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
    /// Name of the cluster: an RFC 1123 label. It is also the name of the context in kubeconfigs.
    #[schemars(regex(pattern = schema::LABEL), length(max = 63), example = &"production")]
    pub name: String,
    /// Kubernetes version, `vX.Y.Z`. `clusterctl upgrade` writes it when the cluster has another version.
    pub version: KubeVersion,
    /// `host[:port]` that every kubelet and kubeconfig uses; the default port is 6443. Required with several control planes or a load
    /// balancer, except with `loadBalancer.kind: local`; otherwise the default is the address of the control plane. The endpoint is part
    /// of certificates and cannot be changed later.
    #[serde(default)]
    #[schemars(example = &"k8s.example.org:6443", example = &"192.0.2.10:6443")]
    pub endpoint: Option<String>,
}

/// Addresses of pods and services, and how pods are connected.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Network {
    /// Addresses of pods, one subnet of `nodeCidrMask` for each node. They must not overlap with those of services and hosts.
    #[schemars(with = "schema::Cidr")]
    pub pod_cidr: IpNet,
    /// Addresses of services. The first one is `kubernetes`, the tenth one is the cluster DNS.
    #[schemars(with = "schema::Cidr")]
    pub service_cidr: IpNet,
    /// DNS domain of the cluster.
    #[schemars(regex(pattern = schema::SUBDOMAIN), example = &"cluster.local")]
    pub dns_domain: String,
    /// Prefix length of a node's pod subnet. With an IPv6 `podCidr` the default is 64.
    #[schemars(range(min = 1, max = 126))]
    pub node_cidr_mask: u8,
    /// How pods are connected.
    pub cni: Cni,
}

/// How pods are connected.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cni {
    /// How pods of different nodes reach each other.
    pub kind: CniKind,
    /// For the kind `manifests`: files (relative to the inventory) or URLs, applied in order.
    #[serde(default)]
    #[schemars(example = schema::list("calico.yaml"))]
    pub manifests: Vec<String>,
}

/// The CNI kinds.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum CniKind {
    /// The bridge plugin of the CNI project and routes between the nodes, without an image. Hosts must share one layer-2 network.
    Bridge,
    /// Your own manifests, such as those of Calico, Flannel or Cilium.
    Manifests,
    /// A CNI that exists already, as on an adopted cluster. It is not managed, and nodes must become Ready.
    External,
    /// No CNI. Nodes stay NotReady until you install one.
    None,
}

/// The load balancer of the API servers.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LoadBalancer {
    /// Which load balancer distributes the requests to the API servers.
    pub kind: LoadBalancerKind,
    /// Virtual IP address that keepalived moves between two or more load balancers: a free address of their network.
    #[schemars(with = "Option<schema::IpAddress>")]
    pub vip: Option<IpAddr>,
    /// VRRP ID that nobody else uses in the network of the load balancers.
    #[schemars(range(min = 1, max = 255))]
    pub virtual_router_id: u8,
    /// How often haproxy checks `/readyz` of each API server: `100ms` to `60s`. nginx makes no checks and learns from connections that fail.
    #[serde(with = "super::duration::text")]
    #[schemars(with = "schema::Duration")]
    pub check_interval: Duration,
}

/// The load-balancer kinds.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum LoadBalancerKind {
    /// haproxy on the hosts with the role `load-balancer`.
    Haproxy,
    /// nginx on the hosts with the role `load-balancer`.
    Nginx,
    /// haproxy on the loopback address of every node that is no control plane, without further machines.
    Local,
    /// Your own load balancer at the endpoint.
    External,
    /// No load balancer: there is one control plane, and the endpoint is its address.
    None,
}

/// A machine of the cluster.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostEntry {
    /// Name of the host and of its node: an RFC 1123 subdomain.
    #[schemars(regex(pattern = schema::SUBDOMAIN), length(max = 253), example = &"m1")]
    pub name: String,
    /// Address for SSH: an IP address, a DNS name, or a `Host` of ssh_config.
    #[schemars(example = &"192.0.2.11", example = &"m1.example.org")]
    pub address: String,
    /// IP address that the cluster uses between hosts. The default is `address`; required if `address` is a name.
    #[serde(default)]
    #[schemars(with = "Option<schema::IpAddress>")]
    pub private_address: Option<IpAddr>,
    /// One or more of `control-plane` (alias `master`), `worker`, `etcd`, `load-balancer`.
    #[schemars(length(min = 1))]
    pub roles: Vec<Role>,
    /// Labels of the node. A label that leaves the inventory is removed; labels that others have set are not changed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the node. An annotation that leaves the inventory is removed; annotations that others have set are not changed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Taints of the node. The default is by role: a control plane that is not a worker gets the NoSchedule taint of Kubernetes. A taint that leaves the
    /// inventory is removed; taints that others have set are not changed.
    #[serde(default)]
    pub taints: Option<Vec<Taint>>,
    /// Overrides `kubelet` for this host.
    #[serde(default, skip_serializing_if = "Kubelet::is_default")]
    pub kubelet: Kubelet,
    /// Overrides `ssh` for this host.
    #[serde(default, skip_serializing_if = "Ssh::is_default")]
    pub ssh: Ssh,
}

/// What a host is for.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = schema::add_master_alias)]
pub enum Role {
    /// Runs the API server, the controller manager, the scheduler, and etcd unless other hosts do.
    #[serde(alias = "master")]
    ControlPlane,
    /// Runs ordinary pods.
    Worker,
    /// Runs etcd as a service on a host of its own; then only these hosts have the CA key of etcd.
    Etcd,
    /// Runs the load balancer of the API servers.
    LoadBalancer,
}

/// A node taint.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Taint {
    /// Key of the taint.
    #[schemars(example = &"example.org/dedicated")]
    pub key: String,
    /// Value of the taint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What the taint does.
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
