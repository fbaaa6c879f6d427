//! The certificates of a cluster as one table (kubeadm's `certlist.go`), and the kubeconfigs that contain a certificate.

use std::net::IpAddr;

use super::cert::{San, Spec, Usage};
use super::{Cluster, Wants};
use crate::layout;

/// A certificate authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ca {
    Kubernetes,
    FrontProxy,
    Etcd,
}

impl Ca {
    pub const ALL: [Ca; 3] = [Ca::Kubernetes, Ca::FrontProxy, Ca::Etcd];

    /// Path of certificate and key in the PKI folder, without `.crt` and `.key`.
    pub fn base(self) -> &'static str {
        match self {
            Ca::Kubernetes => "ca",
            Ca::FrontProxy => "front-proxy-ca",
            Ca::Etcd => "etcd/ca",
        }
    }

    pub fn cn(self) -> &'static str {
        match self {
            Ca::Kubernetes => "kubernetes",
            Ca::FrontProxy => "front-proxy-ca",
            Ca::Etcd => "etcd-ca",
        }
    }
}

/// A row of the table: a certificate and its key.
pub(super) struct Row {
    /// Path in the PKI folder, without `.crt` and `.key`.
    pub base: &'static str,
    pub ca: Ca,
    pub on: On,
    spec: fn(Cluster<'_>, &str, IpAddr) -> Spec,
}

/// The hosts that get the files of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    ControlPlane,
    EtcdMember,
}

pub(super) const ROWS: [Row; 7] = [
    Row { base: "apiserver", ca: Ca::Kubernetes, on: On::ControlPlane, spec: api_server },
    Row {
        base: "apiserver-kubelet-client",
        ca: Ca::Kubernetes,
        on: On::ControlPlane,
        spec: |c, _, _| client("kube-apiserver-kubelet-client", c.v.identity.kubelet_client_group),
    },
    Row { base: "front-proxy-client", ca: Ca::FrontProxy, on: On::ControlPlane, spec: |_, _, _| client("front-proxy-client", None) },
    Row {
        base: "apiserver-etcd-client",
        ca: Ca::Etcd,
        on: On::ControlPlane,
        spec: |c, _, _| client("kube-apiserver-etcd-client", c.v.identity.etcd_client_group),
    },
    Row { base: "etcd/server", ca: Ca::Etcd, on: On::EtcdMember, spec: |_, name, ip| etcd_member(name, ip) },
    Row { base: "etcd/peer", ca: Ca::Etcd, on: On::EtcdMember, spec: |_, name, ip| etcd_member(name, ip) },
    Row {
        base: "etcd/healthcheck-client",
        ca: Ca::Etcd,
        on: On::EtcdMember,
        spec: |c, _, _| client("kube-etcd-healthcheck-client", c.v.identity.etcd_client_group),
    },
];

impl Row {
    /// The name of the certificate, as kubeadm has it.
    pub fn name(&self) -> String {
        self.base.replace('/', "-")
    }

    pub fn spec(&self, cluster: Cluster<'_>, name: &str, address: IpAddr) -> Spec {
        (self.spec)(cluster, name, address)
    }

    pub fn wanted(&self, wants: Wants) -> bool {
        match self.on {
            On::ControlPlane => wants.control_plane,
            On::EtcdMember => wants.etcd_member,
        }
    }
}

/// A kubeconfig with a client certificate inside.
pub(super) struct Conf {
    pub path: &'static str,
    pub user: &'static str,
    pub group: Option<&'static str>,
    pub server: Server,
}

/// Which API server a kubeconfig names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    Endpoint,
    /// The API server on the same host.
    Local,
}

/// The kubeconfigs of a control-plane host except that of the kubelet.
pub(super) fn confs(cluster: Cluster<'_>, wants: Wants) -> Vec<Conf> {
    let identity = &cluster.v.identity;
    let conf = |path, user, group, server| Conf { path, user, group, server };
    let mut out = vec![
        conf(layout::ADMIN_CONF, "kubernetes-admin", Some(identity.admin_group), Server::Endpoint),
        conf(layout::CONTROLLER_MANAGER_CONF, "system:kube-controller-manager", None, Server::Local),
        conf(layout::SCHEDULER_CONF, "system:kube-scheduler", None, Server::Local),
    ];
    if wants.super_admin && identity.super_admin {
        out.push(conf(layout::SUPER_ADMIN_CONF, "kubernetes-super-admin", Some("system:masters"), Server::Endpoint));
    }
    out
}

/// The specification of a client certificate.
pub(super) fn client(cn: &str, org: Option<&str>) -> Spec {
    Spec { cn: cn.into(), orgs: org.map(Into::into).into_iter().collect(), usage: Usage::Client, sans: Vec::new() }
}

/// The specification of the kubelet's client certificate.
pub(super) fn kubelet(name: &str) -> Spec {
    client(&format!("system:node:{name}"), Some("system:nodes"))
}

fn api_server(cluster: Cluster<'_>, name: &str, address: IpAddr) -> Spec {
    let network = &cluster.inv.network;
    let mut sans = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"].map(dns).to_vec();
    sans.push(dns(&format!("kubernetes.default.svc.{}", network.dns_domain)));
    sans.push(dns(name));
    sans.extend(layout::service_address(network.service_cidr, 1).map(San::Ip));
    sans.push(San::Ip(address));
    sans.push(either(layout::host_of(cluster.endpoint)));
    sans.extend(cluster.inv.control_plane.api_server.cert_sans.iter().map(|name| either(name)));
    Spec { cn: "kube-apiserver".into(), orgs: vec![], usage: Usage::Server, sans: in_kubeadms_order(sans) }
}

fn etcd_member(name: &str, address: IpAddr) -> Spec {
    let local = [IpAddr::from([127, 0, 0, 1]), std::net::Ipv6Addr::LOCALHOST.into()].map(San::Ip);
    let mut sans = vec![dns("localhost"), dns(name), San::Ip(address)];
    sans.extend(local);
    Spec { cn: name.into(), orgs: vec![], usage: Usage::Peer, sans: in_kubeadms_order(sans) }
}

/// Returns the names in sorted order, then the addresses in the given order, without duplicates.
fn in_kubeadms_order(sans: Vec<San>) -> Vec<San> {
    let (mut names, addresses): (Vec<San>, Vec<San>) = sans.into_iter().partition(|s| matches!(s, San::Dns(_)));
    names.sort();
    let mut out: Vec<San> = Vec::new();
    for san in names.into_iter().chain(addresses) {
        if !out.contains(&san) {
            out.push(san);
        }
    }
    out
}

fn dns(name: &str) -> San {
    San::Dns(name.into())
}

fn either(name: &str) -> San {
    name.parse().map_or_else(|_| dns(name), San::Ip)
}
