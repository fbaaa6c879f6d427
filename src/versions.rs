//! Kubernetes facts by minor version: images, config kinds, names, flags, skew. One table.
//!
//! Images are what `kubeadm config images list` of the minor's newest patch release says, except that etcd never goes
//! down from one minor to the next.

use crate::inventory::KubeVersion;

pub mod removed;

/// What is particular to one minor version of Kubernetes.
#[derive(Debug, PartialEq, Eq)]
pub struct Minor {
    /// 34 of v1.34.x.
    pub minor: u64,
    pub images: Images,
    pub config_api: ConfigApi,
    /// Whether kubeadm-config has a `ClusterStatus` key too.
    pub cluster_status: bool,
    /// Name of the ConfigMap, and after `kubeadm:` of the Role, that hold the kubelets' configuration.
    pub kubelet_config: &'static str,
    pub node: NodeMarks,
    pub identity: Identity,
    pub etcd: Etcd,
    pub pods: Pods,
    pub kubelet: Kubelet,
    pub core_dns: CoreDns,
    pub proxy: Proxy,
    /// Oldest minor of a kubelet beside this control plane.
    pub oldest_kubelet: u64,
}

/// Default images.
#[derive(Debug, PartialEq, Eq)]
pub struct Images {
    pub repository: &'static str,
    pub etcd: &'static str,
    /// Path under the repository: `coredns`, later `coredns/coredns`.
    pub core_dns_path: &'static str,
    pub core_dns: &'static str,
    pub pause: &'static str,
}

/// Version of `kubeadm.k8s.io` in kubeadm-config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigApi {
    V1Beta2,
    V1Beta3,
    V1Beta4,
}

/// What marks a control-plane node.
#[derive(Debug, PartialEq, Eq)]
pub struct NodeMarks {
    /// Labels, each with an empty value.
    pub labels: &'static [&'static str],
    /// Key of the NoSchedule taint.
    pub taint: &'static str,
    /// What stands before the socket's path in the annotation `kubeadm.alpha.kubernetes.io/cri-socket`, where nodes carry it.
    pub cri_socket_annotation: Option<&'static str>,
    /// Whether the socket is in `/var/lib/kubelet/instance-config.yaml`.
    pub instance_config: bool,
}

/// Groups (`O=`) in client certificates.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    /// Of admin.conf.
    pub admin_group: &'static str,
    /// Whether there is a super-admin.conf, and a binding for the admin group.
    pub super_admin: bool,
    /// Of apiserver-kubelet-client.
    pub kubelet_client_group: Option<&'static str>,
    /// Whether apiserver-kubelet-client is bound to `system:kubelet-api-admin` by name.
    pub kubelet_client_binding: bool,
    /// Of etcd/healthcheck-client and apiserver-etcd-client.
    pub etcd_client_group: Option<&'static str>,
}

/// The etcd static pod.
#[derive(Debug, PartialEq, Eq)]
pub struct Etcd {
    /// Flags beyond those every version has.
    pub flags: &'static [(&'static str, &'static str)],
    pub liveness: &'static str,
    pub readiness: Option<&'static str>,
    pub startup: &'static str,
    /// Whether the pod asks for `ephemeral-storage: 100Mi`.
    pub ephemeral_storage: bool,
    /// Whether a joining member starts as a learner.
    pub learner: bool,
}

/// The other static pods.
#[derive(Debug, PartialEq, Eq)]
pub struct Pods {
    /// `--insecure-port=0` for the API server, `--port=0` for the other two.
    pub insecure_port_flags: bool,
    /// `/livez` with `/readyz` beside it, or `/healthz` alone.
    pub scheduler_readyz: bool,
    /// Pod-level seccomp profile RuntimeDefault.
    pub seccomp: bool,
    /// The number of the priority class beside its name.
    pub priority: bool,
    /// Probes name the port `probe-port` in place of its number.
    pub named_ports: bool,
    /// The controller manager mounts the flexvolume folder.
    pub flexvolume: bool,
}

/// The kubelet.
#[derive(Debug, PartialEq, Eq)]
pub struct Kubelet {
    /// `--container-runtime=remote` and the cgroup driver by flag.
    pub runtime_flag: bool,
    /// `--container-runtime-endpoint` by flag; else it is in the configuration.
    pub endpoint_flag: bool,
    /// `--pod-infra-container-image` by flag.
    pub pause_flag: bool,
    /// A master's kubelet speaks to the API server beside it, never to an older one behind the balancer in an upgrade.
    pub local_server: bool,
}

/// CoreDNS.
#[derive(Debug, PartialEq, Eq)]
pub struct CoreDns {
    /// Named probe ports.
    pub named_ports: bool,
    /// Reads EndpointSlices; before, Endpoints and Nodes.
    pub endpoint_slices: bool,
    /// Two replicas prefer different hosts.
    pub anti_affinity: bool,
    /// `cache` without success and denial of the cluster's own domain.
    pub cache_outside_only: bool,
    /// `all` or `ALL` in the dropped capabilities.
    pub drop: &'static str,
    pub service_name: &'static str,
}

/// kube-proxy.
#[derive(Debug, PartialEq, Eq)]
pub struct Proxy {
    /// The toleration of `CriticalAddonsOnly` beside the one of everything.
    pub critical_toleration: bool,
}

impl Minor {
    /// The shape of the etcd pod: the minor's, or the one that goes with the operator's own image tag.
    pub fn etcd(&self, tag: Option<&str>) -> &Etcd {
        let Some(version) = tag.and_then(|tag| semver::Version::parse(tag.trim_start_matches('v')).ok()) else { return &self.etcd };
        match (version.major, version.minor, version.patch) {
            (3, ..5, _) => &ETCD_34,
            (3, 5, ..11) => &ETCD_HEALTH,
            (3, 5, _) => &ETCD_35,
            _ => &ETCD_36,
        }
    }
}

/// The facts of a version's minor; `None` when that minor is not supported.
pub fn of(version: &KubeVersion) -> Option<&'static Minor> {
    MINORS.iter().find(|m| version.0.major == 1 && m.minor == version.minor())
}

/// Every supported minor up to this one, oldest first.
pub fn up_to(minor: u64) -> impl Iterator<Item = &'static Minor> {
    MINORS.iter().filter(move |m| m.minor <= minor)
}

/// The supported minors, for messages: `v1.20 to v1.21, v1.28 to v1.36`.
pub fn supported() -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for m in MINORS {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == m.minor => *last = m.minor,
            _ => runs.push((m.minor, m.minor)),
        }
    }
    let show = |(first, last): &(u64, u64)| if first == last { format!("v1.{first}") } else { format!("v1.{first} to v1.{last}") };
    runs.iter().map(show).collect::<Vec<_>>().join(", ")
}

const K8S_GCR: &str = "k8s.gcr.io";
const REGISTRY: &str = "registry.k8s.io";
const MASTERS: &str = "system:masters";
const ADMINS: &str = "kubeadm:cluster-admins";

const ETCD_34: Etcd = Etcd { flags: &[], liveness: "/health", readiness: None, startup: "/health", ..ETCD_HEALTH };
/// Probes of the etcd pod before kubeadm 1.31, which has `/livez` and `/readyz`.
const ETCD_HEALTH: Etcd = Etcd {
    flags: &[("experimental-initial-corrupt-check", "true"), ("experimental-watch-progress-notify-interval", "5s")],
    liveness: "/health?exclude=NOSPACE&serializable=true",
    readiness: None,
    startup: "/health?serializable=false",
    ephemeral_storage: false,
    learner: true,
};
const ETCD_35: Etcd = Etcd { liveness: "/livez", readiness: Some("/readyz"), startup: "/readyz", ..ETCD_HEALTH };
const ETCD_36: Etcd = Etcd { flags: &[("feature-gates", "InitialCorruptCheck=true"), ("watch-progress-notify-interval", "5s")], ..ETCD_35 };

/// 1.36: what the newest minor looks like; older ones are written as changes to the next newer one.
const V36: Minor = Minor {
    minor: 36,
    images: images("3.6.8-0", "v1.14.2", "3.10.2"),
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
    kubelet: Kubelet { runtime_flag: false, endpoint_flag: false, pause_flag: false, local_server: true },
    core_dns: CoreDns {
        named_ports: true,
        endpoint_slices: true,
        anti_affinity: true,
        cache_outside_only: true,
        drop: "ALL",
        service_name: "CoreDNS",
    },
    proxy: Proxy { critical_toleration: false },
    oldest_kubelet: 33,
};
const V35: Minor = Minor {
    minor: 35,
    images: images("3.6.6-0", "v1.13.1", "3.10.1"),
    identity: Identity { kubelet_client_group: Some(ADMINS), kubelet_client_binding: false, ..V36.identity },
    pods: Pods { flexvolume: true, ..V36.pods },
    oldest_kubelet: 32,
    ..V36
};
const V34: Minor = Minor {
    minor: 34,
    images: images("3.6.5-0", "v1.12.1", "3.10.1"),
    kubelet: Kubelet { pause_flag: true, ..V35.kubelet },
    oldest_kubelet: 31,
    ..V35
};
const V33: Minor = Minor {
    minor: 33,
    images: images("3.5.24-0", "v1.12.0", "3.10"),
    node: NodeMarks { cri_socket_annotation: Some("unix://"), instance_config: false, ..V34.node },
    etcd: ETCD_35,
    pods: Pods { named_ports: false, ..V34.pods },
    kubelet: Kubelet { endpoint_flag: true, ..V34.kubelet },
    core_dns: CoreDns { named_ports: false, ..V34.core_dns },
    oldest_kubelet: 30,
    ..V34
};
const V32: Minor = Minor {
    minor: 32,
    images: images("3.5.24-0", "v1.11.3", "3.10"),
    kubelet: Kubelet { local_server: false, ..V33.kubelet },
    oldest_kubelet: 29,
    ..V33
};
const V31: Minor = Minor {
    minor: 31,
    pods: Pods { scheduler_readyz: false, ..V32.pods },
    core_dns: CoreDns { cache_outside_only: false, ..V32.core_dns },
    oldest_kubelet: 28,
    ..V32
};
const V30: Minor = Minor {
    minor: 30,
    images: images("3.5.24-0", "v1.11.3", "3.9"),
    config_api: ConfigApi::V1Beta3,
    etcd: ETCD_HEALTH,
    oldest_kubelet: 27,
    ..V31
};
const V29: Minor = Minor { minor: 29, images: images("3.5.16-0", "v1.11.1", "3.9"), oldest_kubelet: 26, ..V30 };
/// Skew of three minors between kubelet and control plane began with 1.28.
const V28: Minor = Minor {
    minor: 28,
    images: images("3.5.15-0", "v1.10.1", "3.9"),
    identity: Identity {
        admin_group: MASTERS,
        super_admin: false,
        kubelet_client_group: Some(MASTERS),
        kubelet_client_binding: false,
        etcd_client_group: Some(MASTERS),
    },
    oldest_kubelet: 25,
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
    kubelet: Kubelet { runtime_flag: true, endpoint_flag: true, pause_flag: false, local_server: false },
    core_dns: CoreDns {
        named_ports: false,
        endpoint_slices: false,
        anti_affinity: false,
        cache_outside_only: false,
        drop: "all",
        service_name: "KubeDNS",
    },
    proxy: Proxy { critical_toleration: true },
    oldest_kubelet: 18,
    ..V28
};

/// 1.21 changes little: what an upgrade from 1.20 is rehearsed with.
const V21: Minor = Minor {
    minor: 21,
    images: Images { repository: K8S_GCR, etcd: "3.4.13-0", core_dns_path: "coredns/coredns", core_dns: "v1.8.0", pause: "3.4.1" },
    kubelet_config: "kubelet-config-1.21",
    oldest_kubelet: 19,
    ..V20
};

const MINORS: &[Minor] = &[V20, V21, V28, V29, V30, V31, V32, V33, V34, V35, V36];

const fn images(etcd: &'static str, core_dns: &'static str, pause: &'static str) -> Images {
    Images { repository: REGISTRY, etcd, core_dns_path: "coredns/coredns", core_dns, pause }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(version: &str) -> Option<&'static Minor> {
        of(&version.parse().expect("a version"))
    }

    #[test]
    fn supported_minors() {
        assert_eq!(supported(), "v1.20 to v1.21, v1.28 to v1.36");
        for (version, known) in [("v1.20.2", true), ("v1.27.1", false), ("v1.28.0", true), ("v1.37.0", false), ("v2.30.0", false)] {
            assert_eq!(at(version).is_some(), known, "{version}");
        }
    }

    #[test]
    fn rows_are_in_order_and_etcd_never_goes_back() {
        assert!(MINORS.is_sorted_by_key(|m| m.minor));
        let versions: Vec<semver::Version> = MINORS.iter().map(|m| m.images.etcd.parse().expect("a version")).collect();
        assert!(versions.is_sorted(), "{versions:?}");
    }

    #[test]
    fn etcd_takes_the_shape_of_its_image() {
        let v36 = at("v1.36.0").expect("supported");
        assert_eq!(v36.etcd(None).flags, ETCD_36.flags);
        assert_eq!(v36.etcd(Some("3.5.24-0")), &ETCD_35);
        assert_eq!(v36.etcd(Some("3.5.9-0")), &ETCD_HEALTH);
        assert_eq!(v36.etcd(Some("3.4.13-0")), &ETCD_34);
        assert_eq!(v36.etcd(Some("nightly")), &ETCD_36);
    }
}
