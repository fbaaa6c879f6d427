//! Facts about Kubernetes by minor version, in one table: images, API versions of configuration, names, flags, and version skew.
//!
//! `rows.rs` contains the values and their sources.

use crate::inventory::KubeVersion;
use rows::{ETCD_34, ETCD_35, ETCD_36, ETCD_HEALTH, MINORS};

pub mod etcd;
pub mod locked;
pub mod removed;
mod rows;

/// The facts about one minor version of Kubernetes.
#[derive(Debug, PartialEq, Eq)]
pub struct Minor {
    /// The minor number, such as 34 for v1.34.x.
    pub minor: u64,
    pub images: Images,
    pub config_api: ConfigApi,
    /// Whether the ConfigMap kubeadm-config also has the key `ClusterStatus`.
    pub cluster_status: bool,
    /// Name of the ConfigMap with the kubelets' configuration. The Role that may read it has the same name after the prefix `kubeadm:`.
    pub kubelet_config: &'static str,
    pub node: NodeMarks,
    pub identity: Identity,
    pub etcd: Etcd,
    pub pods: Pods,
    pub kubelet: Kubelet,
    pub core_dns: CoreDns,
    pub proxy: Proxy,
    /// How many minor versions a kubelet may be older than the control plane.
    pub kubelet_skew: u64,
    /// The API version in which kubectl asks a program of a kubeconfig for a credential.
    pub exec_credential: &'static str,
}

/// Default images.
#[derive(Debug, PartialEq, Eq)]
pub struct Images {
    pub repository: &'static str,
    pub etcd: &'static str,
    /// Path of the CoreDNS image in the repository: `coredns`, in later versions `coredns/coredns`.
    pub core_dns_path: &'static str,
    pub core_dns: &'static str,
    pub pause: &'static str,
}

/// API version of `kubeadm.k8s.io` in the ConfigMap kubeadm-config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigApi {
    V1Beta2,
    V1Beta3,
    V1Beta4,
}

/// The labels, the taint and the annotation by which kubeadm marks nodes.
#[derive(Debug, PartialEq, Eq)]
pub struct NodeMarks {
    /// Labels of a control-plane node, each with an empty value.
    pub labels: &'static [&'static str],
    /// Key of the NoSchedule taint of a control-plane node.
    pub taint: &'static str,
    /// The text before the path of the socket in the annotation `kubeadm.alpha.kubernetes.io/cri-socket`. `None` if nodes do not have the
    /// annotation.
    pub cri_socket_annotation: Option<&'static str>,
    /// Whether the file `/var/lib/kubelet/instance-config.yaml` exists, which contains the socket of the container runtime.
    pub instance_config: bool,
}

/// Groups (`O=`) in client certificates, and the bindings of clients to roles.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    /// Group in the certificate of admin.conf.
    pub admin_group: &'static str,
    /// Whether there is a super-admin.conf, and a ClusterRoleBinding for the group of admin.conf.
    pub super_admin: bool,
    /// Group in the certificate apiserver-kubelet-client. `None` if it has no group.
    pub kubelet_client_group: Option<&'static str>,
    /// Whether, in this version, a ClusterRoleBinding binds the user of the certificate `apiserver-kubelet-client` to `system:kubelet-api-admin`.
    pub kubelet_client_binding: bool,
    /// Group in the certificates etcd/healthcheck-client and apiserver-etcd-client. `None` if they have no group.
    pub etcd_client_group: Option<&'static str>,
}

/// The etcd static pod.
#[derive(Debug, PartialEq, Eq)]
pub struct Etcd {
    /// Flags in addition to those that every version has.
    pub flags: &'static [(&'static str, &'static str)],
    pub liveness: &'static str,
    pub readiness: Option<&'static str>,
    pub startup: &'static str,
    /// Whether the pod requests `ephemeral-storage: 100Mi`.
    pub ephemeral_storage: bool,
    /// Whether a joining member starts as a learner.
    pub learner: bool,
}

/// The static pods of the API server, the controller manager and the scheduler.
#[derive(Debug, PartialEq, Eq)]
pub struct Pods {
    /// Whether the API server has the flag `--insecure-port=0`, and the controller manager and the scheduler have `--port=0`.
    pub insecure_port_flags: bool,
    /// Whether the probes of the scheduler request `/livez` and `/readyz`. Otherwise they request `/healthz` only.
    pub scheduler_readyz: bool,
    /// Whether the pods have the seccomp profile RuntimeDefault.
    pub seccomp: bool,
    /// Whether the pods have the number of their priority class in addition to its name.
    pub priority: bool,
    /// Whether the probes refer to their port by the name `probe-port`. Otherwise they have its number.
    pub named_ports: bool,
    /// Whether the controller manager mounts the flexvolume folder.
    pub flexvolume: bool,
}

/// The kubelet.
#[derive(Debug, PartialEq, Eq)]
pub struct Kubelet {
    /// Whether the kubelet has the flag `--container-runtime=remote`.
    pub runtime_flag: bool,
    /// Whether the kubelet has the flag `--container-runtime-endpoint`. Otherwise the endpoint is in its configuration.
    pub endpoint_flag: bool,
    /// Whether the kubelet has the flag `--pod-infra-container-image`.
    pub pause_flag: bool,
    /// Whether the kubelet of a control plane connects to the API server on its own host, because the load balancer could lead it to an older
    /// API server during an upgrade.
    pub local_server: bool,
    /// Whether the kubelet starts on a host with cgroup v1 unless its configuration forbids it. Later kubelets start there only with
    /// `failCgroupV1: false`.
    pub cgroup_v1: bool,
}

/// CoreDNS.
#[derive(Debug, PartialEq, Eq)]
pub struct CoreDns {
    /// Whether the probes refer to their ports by name.
    pub named_ports: bool,
    /// Whether CoreDNS reads EndpointSlices. Earlier versions read Endpoints and Nodes.
    pub endpoint_slices: bool,
    /// Whether the two replicas prefer different hosts.
    pub anti_affinity: bool,
    /// Whether the plugin `cache` ignores the cluster's own domain: it caches neither success nor denial for it.
    pub cache_outside_only: bool,
    /// The entry in the list of dropped capabilities: `all` or `ALL`.
    pub drop: &'static str,
    pub service_name: &'static str,
}

/// kube-proxy.
#[derive(Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Whether kube-proxy has a toleration of `CriticalAddonsOnly` in addition to the toleration of every taint.
    pub critical_toleration: bool,
    /// The mode that kubeadm writes; `None` if it writes none. Without a mode, kube-proxy 1.37 warns, because a later version changes the
    /// default mode.
    pub mode: Option<&'static str>,
}

impl Minor {
    /// The oldest minor version of a kubelet that may connect to a control plane of this minor version.
    pub fn oldest_kubelet(&self) -> u64 {
        self.minor - self.kubelet_skew
    }

    /// The flags and probes of the etcd pod: those for the etcd version in the operator's image tag `tag`, or those of this minor version of
    /// Kubernetes if there is no tag or the tag does not begin with a version.
    pub fn etcd(&self, tag: Option<&str>) -> &Etcd {
        let Some(version) = tag.and_then(etcd::version) else { return &self.etcd };
        match version {
            (3, ..5, _) => &ETCD_34,
            (3, 5, ..11) => &ETCD_HEALTH,
            (3, 5, _) => &ETCD_35,
            _ => &ETCD_36,
        }
    }
}

/// Why a version is not supported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// The minor version is older than the supported ones, or between two of them.
    #[error("Kubernetes `{0}` is not supported; choose one of {all}", all = supported())]
    TooOld(KubeVersion),
    #[error("Kubernetes `{0}` is newer than this clusterctl, which knows {all}; choose one of these, or use a newer clusterctl", all = supported())]
    TooNew(KubeVersion),
}

/// The facts about the minor version of `version`; `None` if this minor version is not supported.
pub fn of(version: &KubeVersion) -> Option<&'static Minor> {
    lookup(version).ok()
}

/// The facts about the minor version of `version`, or why this version is not supported.
pub fn lookup(version: &KubeVersion) -> Result<&'static Minor, Unsupported> {
    let row = MINORS.iter().find(|m| version.0.major == 1 && m.minor == version.minor());
    row.ok_or_else(|| match (version.0.major, version.minor()) > (1, newest()) {
        true => Unsupported::TooNew(version.clone()),
        false => Unsupported::TooOld(version.clone()),
    })
}

/// The newest supported minor version, such as 37 for v1.37.
pub fn newest() -> u64 {
    MINORS.iter().map(|m| m.minor).max().unwrap_or_default()
}

/// Every supported minor version up to this one, oldest first.
pub fn up_to(minor: u64) -> impl Iterator<Item = &'static Minor> {
    MINORS.iter().filter(move |m| m.minor <= minor)
}

/// The supported minor versions as text for messages: `v1.20 to v1.21, v1.28 to v1.37`.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(version: &str) -> Option<&'static Minor> {
        of(&version.parse().expect("a version"))
    }

    #[test]
    fn supported_minors() {
        assert_eq!(supported(), "v1.20 to v1.21, v1.28 to v1.37");
        for (version, known) in
            [("v1.20.2", true), ("v1.27.1", false), ("v1.28.0", true), ("v1.37.0", true), ("v1.38.0", false), ("v2.30.0", false)]
        {
            assert_eq!(at(version).is_some(), known, "{version}");
        }
    }

    #[test]
    fn a_version_that_is_too_new_is_told_from_one_that_is_too_old() {
        let why = |text: &str| lookup(&text.parse().expect("a version")).expect_err("it is not supported");
        for old in ["v1.19.1", "v1.27.1", "v0.40.0"] {
            assert!(matches!(why(old), Unsupported::TooOld(_)), "{old}");
        }
        for new in ["v1.38.0", "v2.0.0"] {
            assert!(matches!(why(new), Unsupported::TooNew(_)), "{new}");
        }
        assert!(why("v1.27.1").to_string().contains("choose one of v1.20 to v1.21, v1.28 to v1.37"));
        assert!(why("v1.38.0").to_string().contains("use a newer clusterctl"));
    }

    #[test]
    fn the_newest_minor_is_the_last_row() {
        assert_eq!(Some(newest()), MINORS.last().map(|m| m.minor));
        assert_eq!(at("v1.37.1").expect("supported").images.etcd, "3.7.0-0");
        assert_eq!(at("v1.37.1").expect("supported").proxy.mode, Some("iptables"));
        assert_eq!(at("v1.36.1").expect("supported").proxy.mode, None);
    }

    /// kubeadm removed the group from the certificate apiserver-kubelet-client in patch releases of 1.33, 1.34 and 1.35. An adopted cluster of a
    /// newer patch release must not get the group back.
    #[test]
    fn the_kubelet_client_is_no_administrator_from_1_33() {
        for minor in 33..=newest() {
            let identity = &at(&format!("v1.{minor}.0")).expect("supported").identity;
            assert_eq!((identity.kubelet_client_group, identity.kubelet_client_binding), (None, true), "v1.{minor}");
        }
        let identity = &at("v1.32.0").expect("supported").identity;
        assert_eq!((identity.kubelet_client_group, identity.kubelet_client_binding), (Some("kubeadm:cluster-admins"), false));
    }

    /// A cluster with the default images can be upgraded to each next minor version without an additional upgrade of etcd.
    #[test]
    fn the_default_etcd_of_each_minor_may_go_to_that_of_the_next() {
        for pair in MINORS.windows(2).filter(|pair| pair[1].minor == pair[0].minor + 1) {
            let version = |m: &Minor| etcd::version(m.images.etcd).expect("a version");
            assert_eq!(etcd::floor(version(&pair[0]), version(&pair[1])), None, "v1.{} to v1.{}", pair[0].minor, pair[1].minor);
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
        assert_eq!(v36.etcd(Some("v3.7.1-0")), &ETCD_36);
        assert_eq!(v36.etcd(Some("3.5.9-0")), &ETCD_HEALTH);
        assert_eq!(v36.etcd(Some("3.4.13-0")), &ETCD_34);
        assert_eq!(v36.etcd(Some("nightly")), &ETCD_36);
    }
}
