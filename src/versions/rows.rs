//! The rows of the table of minor versions. The newest minor is written in full; an older one states how it differs from the next newer one.
//!
//! The images of CoreDNS and pause are those that `kubeadm config images list` prints for the newest patch release of a minor version. The image
//! of etcd is at least as new as the one that is printed, and new enough for the upgrade to the next minor version: etcd can be upgraded to 3.6
//! from 3.5.26 or later and to 3.7 from 3.6.11 or later (<https://etcd.io/docs/v3.6/upgrades/upgrade_3_6/>,
//! <https://etcd.io/docs/v3.7/upgrades/upgrade_3_7/>; the rule itself is in `etcd.rs`). registry.k8s.io could not be queried when this was
//! written. Therefore each tag is the newest one that was promoted to this registry and that public deployments use as well:
//!
//! - `3.5.31-0` (kubernetes/k8s.io#9558). 3.5.32 and 3.5.33 are promoted (kubernetes/k8s.io#9672, #9771), but no public deployment was found
//!   that uses their `-0` tags.
//! - `3.6.11-0` (kubernetes/k8s.io#9429), which kubeadm 1.37 deploys for 1.34 to 1.36 (kubernetes/kubernetes#138746).
//! - `3.7.0-0`, which kubeadm 1.37.1 lists.

use super::{ConfigApi, CoreDns, Etcd, Identity, Images, Kubelet, Minor, NodeMarks, Pods, Proxy};

const K8S_GCR: &str = "k8s.gcr.io";
const REGISTRY: &str = "registry.k8s.io";
const MASTERS: &str = "system:masters";
const ADMINS: &str = "kubeadm:cluster-admins";

pub(super) const ETCD_34: Etcd = Etcd { flags: &[], liveness: "/health", readiness: None, startup: "/health", ..ETCD_HEALTH };
/// The etcd pod of kubeadm before 1.31, whose probes request `/health`. Since 1.31 they request `/livez` and `/readyz`.
pub(super) const ETCD_HEALTH: Etcd = Etcd {
    flags: &[("experimental-initial-corrupt-check", "true"), ("experimental-watch-progress-notify-interval", "5s")],
    liveness: "/health?exclude=NOSPACE&serializable=true",
    readiness: None,
    startup: "/health?serializable=false",
    ephemeral_storage: false,
    learner: true,
};
pub(super) const ETCD_35: Etcd = Etcd { liveness: "/livez", readiness: Some("/readyz"), startup: "/readyz", ..ETCD_HEALTH };
/// The etcd pod for etcd 3.6 and later. etcd 3.6 removed the prefix `experimental-` from these flags. 3.7 needs no additional flags.
pub(super) const ETCD_36: Etcd =
    Etcd { flags: &[("feature-gates", "InitialCorruptCheck=true"), ("watch-progress-notify-interval", "5s")], ..ETCD_35 };

const V37: Minor = Minor {
    minor: 37,
    images: images("3.7.0-0", "v1.14.6", "3.10.2"),
    config_api: ConfigApi::V1Beta4,
    cluster_status: false,
    kubelet_config: "kubelet-config",
    node: NodeMarks {
        labels: &["node-role.kubernetes.io/control-plane", "node.kubernetes.io/exclude-from-external-load-balancers"],
        taint: "node-role.kubernetes.io/control-plane",
        cri_socket_annotation: None,
        instance_config: true,
    },
    identity: Identity {
        admin_group: ADMINS,
        super_admin: true,
        kubelet_client_group: None,
        kubelet_client_binding: true,
        etcd_client_group: None,
    },
    etcd: ETCD_36,
    pods: Pods { insecure_port_flags: false, scheduler_readyz: true, seccomp: true, priority: true, named_ports: true, flexvolume: false },
    kubelet: Kubelet { runtime_flag: false, endpoint_flag: false, pause_flag: false, local_server: true, cgroup_v1: false },
    core_dns: CoreDns {
        named_ports: true,
        endpoint_slices: true,
        anti_affinity: true,
        cache_outside_only: true,
        drop: "ALL",
        service_name: "CoreDNS",
    },
    proxy: Proxy { critical_toleration: false, mode: Some("iptables") },
    kubelet_skew: 3,
    exec_credential: "client.authentication.k8s.io/v1",
};
const V36: Minor = Minor { minor: 36, images: images("3.6.11-0", "v1.14.2", "3.10.2"), proxy: Proxy { mode: None, ..V37.proxy }, ..V37 };
const V35: Minor = Minor { minor: 35, images: images("3.6.11-0", "v1.13.1", "3.10.1"), pods: Pods { flexvolume: true, ..V36.pods }, ..V36 };
const V34: Minor = Minor {
    minor: 34,
    images: images("3.6.11-0", "v1.12.1", "3.10.1"),
    kubelet: Kubelet { pause_flag: true, cgroup_v1: true, ..V35.kubelet },
    ..V35
};
const V33: Minor = Minor {
    minor: 33,
    images: images("3.5.31-0", "v1.12.0", "3.10"),
    node: NodeMarks { cri_socket_annotation: Some("unix://"), instance_config: false, ..V34.node },
    etcd: ETCD_35,
    pods: Pods { named_ports: false, ..V34.pods },
    kubelet: Kubelet { endpoint_flag: true, ..V34.kubelet },
    core_dns: CoreDns { named_ports: false, ..V34.core_dns },
    ..V34
};
/// 1.32 is the last minor version whose kubeadm puts the certificate apiserver-kubelet-client into a group of administrators in every patch release.
/// 1.33.12, 1.34.8, 1.35.5 and 1.36.1 bind its user to `system:kubelet-api-admin` instead. That ClusterRole is built in, so the binding is safe with
/// every patch release of 1.33 to 1.35.
const V32: Minor = Minor {
    minor: 32,
    identity: Identity { kubelet_client_group: Some(ADMINS), kubelet_client_binding: false, ..V33.identity },
    images: images("3.5.31-0", "v1.11.3", "3.10"),
    kubelet: Kubelet { local_server: false, ..V33.kubelet },
    ..V33
};
const V31: Minor = Minor {
    minor: 31,
    pods: Pods { scheduler_readyz: false, ..V32.pods },
    core_dns: CoreDns { cache_outside_only: false, ..V32.core_dns },
    ..V32
};
const V30: Minor =
    Minor { minor: 30, images: images("3.5.31-0", "v1.11.3", "3.9"), config_api: ConfigApi::V1Beta3, etcd: ETCD_HEALTH, ..V31 };
const V29: Minor = Minor { minor: 29, images: images("3.5.31-0", "v1.11.1", "3.9"), ..V30 };
const V28: Minor = Minor {
    minor: 28,
    images: images("3.5.31-0", "v1.10.1", "3.9"),
    identity: Identity {
        admin_group: MASTERS,
        super_admin: false,
        kubelet_client_group: Some(MASTERS),
        kubelet_client_binding: false,
        etcd_client_group: Some(MASTERS),
    },
    ..V29
};
const V20: Minor = Minor {
    minor: 20,
    images: Images { repository: K8S_GCR, etcd: "3.4.13-0", core_dns_path: "coredns", core_dns: "1.7.0", pause: "3.2" },
    config_api: ConfigApi::V1Beta2,
    cluster_status: true,
    kubelet_config: "kubelet-config-1.20",
    node: NodeMarks {
        labels: &["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"],
        taint: "node-role.kubernetes.io/master",
        cri_socket_annotation: Some(""),
        instance_config: false,
    },
    etcd: Etcd { ephemeral_storage: true, learner: false, ..ETCD_34 },
    pods: Pods {
        insecure_port_flags: true,
        scheduler_readyz: false,
        seccomp: false,
        priority: false,
        named_ports: false,
        flexvolume: true,
    },
    kubelet: Kubelet { runtime_flag: true, endpoint_flag: true, pause_flag: false, local_server: false, cgroup_v1: true },
    core_dns: CoreDns {
        named_ports: false,
        endpoint_slices: false,
        anti_affinity: false,
        cache_outside_only: false,
        drop: "all",
        service_name: "KubeDNS",
    },
    proxy: Proxy { critical_toleration: true, mode: None },
    // Since 1.28, a kubelet may be three minor versions older than the control plane; before, two.
    kubelet_skew: 2,
    // kubectl knows `v1` since 1.22.
    exec_credential: "client.authentication.k8s.io/v1beta1",
    ..V28
};

/// 1.21 differs little from 1.20. The tests use it as the target of an upgrade from 1.20.
const V21: Minor = Minor {
    minor: 21,
    images: Images { repository: K8S_GCR, etcd: "3.4.13-0", core_dns_path: "coredns/coredns", core_dns: "v1.8.0", pause: "3.4.1" },
    kubelet_config: "kubelet-config-1.21",
    ..V20
};

pub(super) const MINORS: &[Minor] = &[V20, V21, V28, V29, V30, V31, V32, V33, V34, V35, V36, V37];

const fn images(etcd: &'static str, core_dns: &'static str, pause: &'static str) -> Images {
    Images { repository: REGISTRY, etcd, core_dns_path: "coredns/coredns", core_dns, pause }
}
