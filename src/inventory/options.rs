//! The inventory's options: components, add-ons, runtime, software sources, PKI and SSH.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// Options of the control-plane components.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ControlPlane {
    pub api_server: ApiServer,
    pub controller_manager: Component,
    pub scheduler: Component,
    pub leader_election: LeaderElection,
}

/// kube-apiserver.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ApiServer {
    /// Flags added to or replacing ours, without leading dashes.
    #[schemars(example = schema::flags_example())]
    pub extra_args: BTreeMap<String, String>,
    /// More names and addresses in the serving certificate.
    #[serde(rename = "certSANs")]
    #[schemars(example = schema::list("k8s.example.org"))]
    pub cert_sans: Vec<String>,
}

/// Options of one static-pod component.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Component {
    /// Flags added to or replacing ours, without leading dashes.
    #[schemars(example = schema::flags_example())]
    pub extra_args: BTreeMap<String, String>,
}

/// Timings of the active-standby election of scheduler and controller-manager.
/// `leaseDuration > renewDeadline > retryPeriod`. Upstream's defaults are written as no flag at all.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LeaderElection {
    /// How long a standby waits after the leader's last renewal before it takes over.
    #[serde(with = "super::duration::text")]
    #[schemars(with = "schema::Duration")]
    pub lease_duration: Duration,
    /// How long the leader tries to renew before it gives up leading.
    #[serde(with = "super::duration::text")]
    #[schemars(with = "schema::Duration")]
    pub renew_deadline: Duration,
    /// How often leader and standbys try.
    #[serde(with = "super::duration::text")]
    #[schemars(with = "schema::Duration")]
    pub retry_period: Duration,
}

/// etcd: stacked on the control-plane hosts unless hosts have role `etcd` or `external` is given.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Etcd {
    /// Image tag in place of the one that belongs to the Kubernetes version.
    #[schemars(example = &"3.6.8-0")]
    pub image_tag: Option<String>,
    /// Flags added to or replacing ours, without leading dashes.
    pub extra_args: BTreeMap<String, String>,
    /// An etcd that someone else runs.
    pub external: Option<ExternalEtcd>,
}

/// An etcd that someone else runs.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExternalEtcd {
    /// `https://host:2379`, one or more.
    #[schemars(length(min = 1), example = schema::list("https://192.0.2.41:2379"))]
    pub endpoints: Vec<String>,
    /// Certificate authority: a file on the operator's machine, relative to the inventory.
    pub ca_file: String,
    /// Client certificate: a file on the operator's machine, relative to the inventory.
    pub cert_file: String,
    /// Its key: a file on the operator's machine, relative to the inventory.
    pub key_file: String,
}

/// The kubelet.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Kubelet {
    /// KubeletConfiguration fields merged over ours (kubelet.config.k8s.io/v1beta1).
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Command-line flags, without leading dashes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_args: BTreeMap<String, String>,
}

/// Add-ons.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Addons {
    pub kube_proxy: KubeProxy,
    pub core_dns: CoreDns,
    /// More manifests: files (relative to the inventory) or http(s) URLs, applied in order after the CNI.
    pub manifests: Vec<String>,
}

/// kube-proxy.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KubeProxy {
    /// Whether kube-proxy is installed; some CNIs take its place.
    pub enabled: bool,
    /// KubeProxyConfiguration fields merged over ours (kubeproxy.config.k8s.io/v1alpha1).
    pub config: serde_json::Map<String, serde_json::Value>,
}

/// CoreDNS.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CoreDns {
    /// Whether CoreDNS is installed.
    pub enabled: bool,
    /// Image tag in place of the one that belongs to the Kubernetes version.
    pub image_tag: Option<String>,
    /// Whether `init` waits until its pods are ready.
    pub wait: bool,
}

/// The container runtime.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Containerd {
    /// `systemd` or `cgroupfs`, for containerd and the kubelet alike.
    pub cgroup_driver: CgroupDriver,
    /// Let containers keep their parent's OOM score where lowering it is not permitted (hosts that are containers themselves).
    pub restrict_oom_score_adj: bool,
}

/// Who manages cgroups.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum CgroupDriver {
    Systemd,
    Cgroupfs,
}

/// Where software comes from.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Artifacts {
    /// Root of the official download site's layout: `<root>/release/vX.Y.Z/bin/linux/<arch>/kubelet` with `.sha256` beside.
    /// http(s) URL, or a folder on the operator's machine (relative to the inventory): then binaries are uploaded over SSH.
    #[schemars(example = &"https://dl.k8s.io", example = &"/srv/mirror")]
    pub binaries: String,
    /// Registry (and path) of the control-plane images; by default upstream's of that version.
    #[schemars(example = &"registry.example.org:5000/kubernetes")]
    pub image_repository: Option<String>,
    /// Registries reached by plain HTTP or through a mirror: registry name to mirror URLs, tried in order.
    #[schemars(example = schema::mirrors_example())]
    pub registry_mirrors: BTreeMap<String, Vec<String>>,
    /// Whether packages (containerd, runc, CNI plugins, haproxy, ...) are installed by the host's package manager.
    /// With false they must be there already.
    pub packages: bool,
}

/// An existing PKI, and lifetimes.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PkiOptions {
    /// Folder on the operator's machine (relative to the inventory) holding any of ca.crt/ca.key, front-proxy-ca.crt/.key,
    /// etcd/ca.crt/.key, sa.key/.pub.
    pub existing: Option<String>,
    /// Key algorithm of new keys.
    pub algorithm: KeyAlgorithm,
    /// Lifetime of leaf certificates.
    #[serde(with = "super::duration::text")]
    #[schemars(with = "schema::Duration")]
    pub certificate_validity: Duration,
    /// Lifetime of new certificate authorities.
    #[serde(with = "super::duration::text")]
    #[schemars(with = "schema::Duration")]
    pub ca_validity: Duration,
    /// Leaf certificates with less than this left are renewed by any converging verb.
    #[serde(with = "super::duration::text")]
    #[schemars(with = "schema::Duration")]
    pub renew_before: Duration,
}

/// Key algorithms, by kubeadm's names.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
pub enum KeyAlgorithm {
    #[serde(rename = "RSA-2048")]
    Rsa2048,
    #[serde(rename = "RSA-3072")]
    Rsa3072,
    #[serde(rename = "RSA-4096")]
    Rsa4096,
    #[serde(rename = "ECDSA-P256")]
    EcdsaP256,
    #[serde(rename = "ECDSA-P384")]
    EcdsaP384,
}

/// How hosts are reached; each field may be overridden per host. What is absent comes from `~/.ssh/config`, then OpenSSH's defaults.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Ssh {
    /// Login user.
    #[schemars(example = &"admin")]
    pub user: Option<String>,
    /// sshd's port.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// Private key files, `~` allowed, relative to the inventory.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = schema::list("~/.ssh/id_ed25519"))]
    pub identity_files: Vec<String>,
    /// Whether keys of a running agent are tried.
    pub agent: Option<bool>,
    /// Jump hosts in order, `[user@]host[:port]`. `[none]` on a host: reach it directly although `ssh.jump` says otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = schema::list("admin@bastion.example.org:22"))]
    pub jump: Vec<String>,
    /// known_hosts files, `~` allowed, relative to the inventory; by default OpenSSH's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub known_hosts: Vec<String>,
    /// How root is reached: `auto` tries being root, then sudo without a password; `password` asks the operator once (or reads
    /// `CLUSTERCTL_SUDO_PASSWORD_FILE`); `none` means the user must be root.
    pub sudo: Option<Sudo>,
    /// Limit for TCP connect, key exchange and authentication together.
    #[serde(with = "super::duration::optional")]
    #[schemars(with = "Option<schema::Duration>")]
    pub connect_timeout: Option<Duration>,
}

/// How root is reached.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Sudo {
    Auto,
    Password,
    None,
}
