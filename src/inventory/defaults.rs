//! The default values of the inventory. The comments name the source of each number.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::options::{Artifacts, CgroupDriver, Containerd, CoreDns, KeyAlgorithm, KubeProxy, Kubelet, LeaderElection, PkiOptions, Ssh};
use super::types::{Cni, CniKind, LoadBalancer, LoadBalancerKind, Network};

const DAY: Duration = Duration::from_secs(86_400);

/// Default prefix length of a node's pod subnet if pods have IPv6 addresses. It is the default of kube-controller-manager
/// (`node-cidr-mask-size-ipv6`).
pub(super) const NODE_CIDR_MASK_IPV6: u8 = 64;

impl Default for Network {
    /// `service_cidr` and `dns_domain` are kubeadm's defaults, `node_cidr_mask` is the default of kube-controller-manager, and `pod_cidr` is the
    /// range in Flannel's own manifest.
    fn default() -> Self {
        Network {
            pod_cidr: net([10, 244, 0, 0], 16),
            service_cidr: net([10, 96, 0, 0], 12),
            dns_domain: "cluster.local".into(),
            node_cidr_mask: 24,
            cni: Cni { kind: CniKind::Bridge, manifests: Vec::new() },
        }
    }
}

fn net(octets: [u8; 4], prefix: u8) -> IpNet {
    IpNet::new_assert(IpAddr::from(octets), prefix)
}

impl Default for LoadBalancer {
    /// The virtual router ID 51 is the one in keepalived's own examples.
    fn default() -> Self {
        LoadBalancer { kind: LoadBalancerKind::None, vip: None, virtual_router_id: 51, check_interval: Duration::from_secs(1) }
    }
}

impl Default for LeaderElection {
    /// The defaults of kube-controller-manager and kube-scheduler (package `component-base` of Kubernetes).
    fn default() -> Self {
        LeaderElection {
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

impl Default for KubeProxy {
    fn default() -> Self {
        KubeProxy { enabled: true, config: serde_json::Map::new() }
    }
}

impl Default for CoreDns {
    fn default() -> Self {
        CoreDns { enabled: true, image_tag: None, wait: true, corefile: None, replicas: None }
    }
}

impl Default for Containerd {
    /// The systemd driver is kubeadm's default since 1.22. It is right on every host whose init system is systemd.
    fn default() -> Self {
        Containerd { cgroup_driver: CgroupDriver::Systemd, restrict_oom_score_adj: false }
    }
}

impl Default for Artifacts {
    fn default() -> Self {
        Artifacts { binaries: "https://dl.k8s.io".into(), image_repository: None, registry_mirrors: BTreeMap::new(), packages: true }
    }
}

impl Default for PkiOptions {
    /// The algorithm and the lifetimes are kubeadm's defaults. `renew_before` is about a quarter of the lifetime of a certificate.
    fn default() -> Self {
        PkiOptions {
            existing: None,
            algorithm: KeyAlgorithm::Rsa2048,
            certificate_validity: 365 * DAY,
            ca_validity: 3650 * DAY,
            renew_before: 90 * DAY,
        }
    }
}

impl Kubelet {
    /// Whether no field is set.
    pub fn is_default(&self) -> bool {
        *self == Kubelet::default()
    }
}

impl Ssh {
    /// Whether no field is set.
    pub fn is_default(&self) -> bool {
        *self == Ssh::default()
    }
}
