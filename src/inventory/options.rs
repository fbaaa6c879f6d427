//! The inventory's options: components, add-ons, runtime, software sources, PKI and SSH.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::encryption::Encryption;
use super::files::{ControlPlaneFile, ExtraVolume};
use super::registries::{self, RegistryMirrors, Written};
use super::schema;

/// Options of the control-plane components.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ControlPlane {
    pub api_server: ApiServer,
    pub controller_manager: Component,
    pub scheduler: Component,
    pub leader_election: LeaderElection,
    /// Files that clusterctl writes on every control-plane host, such as an audit policy. A component sees a file through `extraVolumes`, and
    /// restarts when the file changes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ControlPlaneFile>,
    /// Encryption of what API servers store in etcd, with keys that clusterctl makes on control-plane hosts. Without it, nothing is encrypted, unless
    /// the operator's own flags say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
}

/// kube-apiserver.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ApiServer {
    /// Flags without dashes, values as text. Flags that clusterctl sets itself are refused with the reason.
    #[schemars(example = schema::flags_example())]
    pub extra_args: BTreeMap<String, String>,
    /// Additional names and addresses in the serving certificate.
    #[serde(rename = "certSANs")]
    #[schemars(example = schema::list("k8s.example.org"))]
    pub cert_sans: Vec<String>,
    /// Files and folders of the host that the static pod mounts in addition to its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_volumes: Vec<ExtraVolume>,
}

/// Options of one static-pod component.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Component {
    /// Flags without dashes, values as text. Flags that clusterctl sets itself are refused with the reason.
    #[schemars(example = schema::flags_example())]
    pub extra_args: BTreeMap<String, String>,
    /// Files and folders of the host that the static pod mounts in addition to its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_volumes: Vec<ExtraVolume>,
}

/// Timings of the leader election of schedulers and controller managers.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LeaderElection {
    /// How long another instance waits before it takes over; longer than `renewDeadline`.
    #[serde(with = "super::duration::text")]
    #[schemars(with = "schema::Duration")]
    pub lease_duration: Duration,
    /// How long the leader tries to renew; longer than 1.2 × `retryPeriod`.
    #[serde(with = "super::duration::text")]
    #[schemars(with = "schema::Duration")]
    pub renew_deadline: Duration,
    /// How often all instances try to become or stay the leader.
    #[serde(with = "super::duration::text")]
    #[schemars(with = "schema::Duration")]
    pub retry_period: Duration,
}

/// etcd. It runs on the control planes, unless hosts have the role `etcd` or `etcd.external` is set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Etcd {
    /// Image tag of etcd; the default belongs to the Kubernetes version.
    #[schemars(example = &"3.6.8-0")]
    pub image_tag: Option<String>,
    /// Flags without dashes, values as text.
    pub extra_args: BTreeMap<String, String>,
    /// An etcd that clusterctl does not manage.
    pub external: Option<ExternalEtcd>,
}

/// An etcd that clusterctl does not manage.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExternalEtcd {
    /// URLs of the members.
    #[schemars(length(min = 1), example = schema::list("https://192.0.2.41:2379"))]
    pub endpoints: Vec<String>,
    /// Certificate authority: a file on this machine, relative to the inventory.
    pub ca_file: String,
    /// Client certificate: a file on this machine, relative to the inventory.
    pub cert_file: String,
    /// Key of the client certificate: a file on this machine, relative to the inventory.
    pub key_file: String,
}

/// Options of all kubelets.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Kubelet {
    /// KubeletConfiguration fields that override those of clusterctl; `null` removes a field.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Flags without dashes; values have no spaces and quotes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_args: BTreeMap<String, String>,
}

/// What is installed in the cluster besides the control plane.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Addons {
    pub kube_proxy: KubeProxy,
    pub core_dns: CoreDns,
    /// Additional manifests: files (relative to the inventory) or URLs, applied in order after the CNI. An object that leaves them is deleted, but not a
    /// Namespace, a CustomResourceDefinition, a PersistentVolume or a PersistentVolumeClaim.
    pub manifests: Vec<String>,
}

/// kube-proxy.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KubeProxy {
    /// Whether kube-proxy is installed; some CNIs replace it.
    pub enabled: bool,
    /// KubeProxyConfiguration fields that override those of clusterctl.
    pub config: serde_json::Map<String, serde_json::Value>,
}

/// CoreDNS.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CoreDns {
    /// Whether CoreDNS is installed.
    pub enabled: bool,
    /// Image tag of CoreDNS; the default belongs to the Kubernetes version.
    pub image_tag: Option<String>,
    /// Whether a run waits until the pods of CoreDNS are ready.
    pub wait: bool,
    /// The configuration of CoreDNS; the default is that of kubeadm. If it is not set, a Corefile that somebody has changed in the cluster is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &".:53 {\n    errors\n    kubernetes cluster.local in-addr.arpa ip6.arpa\n    forward . 192.0.2.53\n    reload\n}\n")]
    pub corefile: Option<String>,
    /// The number of pods; the default is 2. If it is not set, a number that somebody has set in the cluster is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub replicas: Option<u32>,
}

/// The container runtime.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Containerd {
    /// Cgroup driver of containerd and the kubelet.
    pub cgroup_driver: CgroupDriver,
    /// Whether the OOM score of containers is limited to that of containerd, which hosts need that are containers themselves.
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
    /// URL of the download site or of a mirror with its layout, `release/vX.Y.Z/bin/linux/<arch>/kubelet` with `.sha256` beside it.
    /// `validate` also accepts a folder, which this version does not implement.
    #[schemars(example = &"https://dl.k8s.io", example = &"/srv/mirror")]
    pub binaries: String,
    /// Registry and path of all Kubernetes images; the default is that of the Kubernetes project.
    #[schemars(example = &"registry.example.org:5000/kubernetes")]
    pub image_repository: Option<String>,
    /// For each registry, the places where containerd looks for its images, in this order; the registry itself comes last. An entry is a URL or a
    /// mapping with the fields below. The name `_default` stands for all registries without an entry. What leaves this map is removed from the hosts.
    #[serde(with = "registries::written")]
    #[schemars(with = "BTreeMap<String, Vec<Written>>", example = schema::mirrors_example())]
    pub registry_mirrors: RegistryMirrors,
    /// Whether packages are installed by apt. If `false`, they must be installed already, with the CNI plugins in `/opt/cni/bin`.
    pub packages: bool,
}

/// An existing PKI, the algorithm of keys, and the lifetime of certificates.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PkiOptions {
    /// Folder on this machine, relative to the inventory, with any of `ca`, `front-proxy-ca`, `etcd/ca` (`.crt` and `.key`) and `sa.key`,
    /// `sa.pub`.
    pub existing: Option<String>,
    /// Algorithm of new keys.
    pub algorithm: KeyAlgorithm,
    /// Lifetime of new certificates.
    #[serde(with = "super::duration::text")]
    #[schemars(with = "schema::Duration")]
    pub certificate_validity: Duration,
    /// Lifetime of new certificate authorities.
    #[serde(with = "super::duration::text")]
    #[schemars(with = "schema::Duration")]
    pub ca_validity: Duration,
    /// Certificates that expire within this time are renewed, but not before two thirds of their lifetime are over.
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

/// How hosts are reached. Every field can also be set for a single host. The default of most fields is what ssh_config says.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Ssh {
    /// User to log in as; the default is that of ssh_config, else `$USER`.
    #[schemars(example = &"admin")]
    pub user: Option<String>,
    /// Port of sshd; the default is that of ssh_config, else 22.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// Private keys, relative to the inventory; the default is that of ssh_config, else `~/.ssh/id_{rsa,ecdsa,ed25519}`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = schema::list("~/.ssh/id_ed25519"))]
    pub identity_files: Vec<String>,
    /// Whether the keys of the agent are tried; the default is `true`.
    pub agent: Option<bool>,
    /// Jump hosts in order, each `[user@]host[:port]`; the default is that of ssh_config. `[none]` is for a host without a jump host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = schema::list("admin@bastion.example.org:22"))]
    pub jump: Vec<String>,
    /// known_hosts files, relative to the inventory; the default is that of ssh_config, else OpenSSH's files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub known_hosts: Vec<String>,
    /// How commands become root; the default is `auto`.
    pub sudo: Option<Sudo>,
    /// Time limit for the TCP connection, the key exchange and the authentication together, `1s` to `10m`; the default is that of ssh_config,
    /// else 10 s.
    #[serde(with = "super::duration::optional")]
    #[schemars(with = "Option<schema::Duration>")]
    pub connect_timeout: Option<Duration>,
}

/// How root is reached.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Sudo {
    /// The user is root, or sudo needs no password.
    Auto,
    /// sudo with a password, which is asked for once or read from `CLUSTERCTL_SUDO_PASSWORD_FILE`.
    Password,
    /// The user must be root.
    None,
}
