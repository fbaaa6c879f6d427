//! Typed facts about hosts and the cluster. This module collects facts and makes no decisions.
//!
//! `host` contains the command that observes one host and the parser of its output; `cluster` contains the same for the API.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::Value;

use crate::host::{HostName, Secret};
use ledger::Ledger;

mod answers;
pub mod cluster;
pub mod etcd;
pub mod evictions;
pub mod host;
pub mod kubeadm;
pub mod ledger;
mod packed;
pub mod project;
pub mod reach;
pub mod rehearsal;
pub mod restore;
pub mod snapshot;
pub mod sources;
pub mod status;
pub mod upgrade;

/// An address as it is written in a URL: an IPv6 address has brackets.
pub fn url_host(address: IpAddr) -> String {
    match address {
        IpAddr::V6(a) => format!("[{a}]"),
        IpAddr::V4(a) => a.to_string(),
    }
}

/// Everything observed at one moment.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub hosts: BTreeMap<HostName, HostFacts>,
    /// `None` while no API server answers.
    pub cluster: Option<ClusterFacts>,
    /// The steps that a plan predicts as done and that cannot be observed; empty after an observation.
    pub ledger: Ledger,
}

/// The facts about one host.
#[derive(Clone, Debug, Default)]
pub struct HostFacts {
    /// `ID` of os-release, such as `debian`.
    pub os_id: String,
    /// `PRETTY_NAME` of os-release.
    pub os_name: String,
    /// The output of `uname -m`.
    pub machine: String,
    pub hostname: String,
    pub machine_id: String,
    /// The host's clock when it was observed, in Unix seconds; the operator's clock if the host did not report it.
    pub clock: f64,
    /// Host clock minus the operator's clock, seconds; positive when the host is ahead. Half the round trip is its uncertainty.
    pub clock_offset: f64,
    pub cpus: u64,
    pub memory_kib: u64,
    pub swap: bool,
    /// File system of /sys/fs/cgroup: `cgroup2fs` is version 2.
    pub cgroup_fs: String,
    /// Kernel features by name: `overlay`, `br_netfilter`.
    pub features: BTreeSet<String>,
    pub sysctls: BTreeMap<String, String>,
    /// Kernel settings, by name, in files that systemd reads at boot after the files of clusterctl, so that they override clusterctl's values: the
    /// last value, and the file that sets it.
    pub boot_sysctls: BTreeMap<String, (String, String)>,
    /// The policy in the state file of the kubelet's CPU manager and memory manager, by `cpu` and `memory`; absent if the host has no such file. A
    /// kubelet does not start with another policy than the one in this file.
    pub kubelet_policies: BTreeMap<String, String>,
    /// Free bytes by mount point.
    pub disk_free: BTreeMap<String, u64>,
    /// The addresses of the host, with the name of the interface.
    pub addresses: BTreeMap<IpAddr, String>,
    pub listeners: Vec<Listener>,
    /// Every managed path that exists. The file of the kubelet's client certificate also contains the key. On hosts without a control plane, only the
    /// certificate is read from this file, and never the key.
    pub files: BTreeMap<String, FileFact>,
    /// The URL or the image reference from which clusterctl placed each binary, by the path of the binary. A binary that has changed since then is
    /// absent.
    pub binaries: BTreeMap<String, String>,
    /// The installed packages, of those that clusterctl uses.
    pub packages: BTreeSet<String>,
    /// The namespaces of containerd, other than `k8s.io`, in which containers run: Docker's are in `moby`.
    pub other_containers: BTreeSet<String>,
    pub units: BTreeMap<String, UnitFact>,
    /// How long the kubelet of a control-plane host has been active, in seconds; `None` while the kubelet is not active.
    pub kubelet_age: Option<u64>,
    /// Image references in the runtime's `k8s.io` namespace.
    pub images: BTreeSet<String>,
    /// Digests of images by reference, on hosts that run a control plane.
    pub image_digests: BTreeMap<String, String>,
    /// Running control-plane processes by component.
    pub pods: BTreeMap<String, PodFact>,
    /// Components that were started before their kubeconfig changed. A component reads its kubeconfig only at its start.
    pub outdated: BTreeSet<String>,
    /// Whether a transaction that replaces a static pod is running on the host.
    pub swapping: bool,
    /// Components whose new process the host still watches, with the old manifest kept for a rollback.
    pub unsettled: BTreeSet<String>,
    /// The etcd members as this host's member lists them; `None` if the member does not answer.
    pub members: Option<Vec<MemberFact>>,
    /// The raft term of the host's own etcd member; `None` if the member does not answer.
    pub raft_term: Option<u64>,
    /// What the host's etcd member says about itself; `None` unless the verb asks for it, as those of `etcd` do.
    pub etcd: Option<etcd::MemberAnswer>,
    /// How values are stored, as the host's etcd member has counted them; `None` unless this member was asked.
    pub stored: Option<Stored>,
    /// The version of the host's own API server; `None` while it is not ready.
    pub api_version: Option<String>,
    /// Whether the API is ready at the cluster's endpoint as seen from this host; `false` also if the endpoint was not tried.
    pub endpoint_ready: bool,
    /// The ID of the run that last changed this host.
    pub last_run: String,
    /// What Kubernetes has left on the host and `reset` removes: containers, mounts, network links, iptables chains and folders with data.
    pub leftovers: Vec<String>,
    /// Mount points below folders that `reset` empties, without the volumes of pods. A host with such a mount point is neither reset nor removed.
    pub mounts: Vec<String>,
    /// The folders of [`crate::layout::CA_DIRS`] that exist on the host. The API server and the controller manager mount them.
    pub ca_dirs: Vec<String>,
}

/// The number of stored values by resource and by the beginning of the value: `plain`, or all up to the last colon, such as
/// `k8s:enc:secretbox:v1:NAME:`.
pub type Stored = BTreeMap<String, BTreeMap<String, u64>>;

/// A listening TCP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub port: u16,
    /// Program name and PID as `ss` reports them.
    pub process: String,
}

/// The state of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFact {
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// The type of a path, with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileKind {
    File(Secret),
    Link(String),
    Directory,
}

/// A systemd unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitFact {
    /// `ActiveState`.
    pub active: String,
    /// `UnitFileState`.
    pub enabled: String,
    /// Digest of the files with which clusterctl last started the unit.
    pub stamp: String,
}

/// A running control-plane process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFact {
    pub image: String,
    pub argv: Vec<String>,
}

/// An etcd member.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MemberFact {
    pub id: String,
    pub name: String,
    pub peer_urls: Vec<String>,
    pub learner: bool,
    pub leader: bool,
}

/// The state of the cluster as one API server reports it.
#[derive(Clone, Debug, Default)]
pub struct ClusterFacts {
    /// The host whose API server was asked.
    pub via: HostName,
    /// The requested objects that exist.
    pub objects: BTreeMap<ObjectRef, Value>,
    pub nodes: BTreeMap<String, Value>,
    /// IDs of the bootstrap tokens that runs of clusterctl created.
    pub run_tokens: BTreeSet<String>,
    /// IDs of all bootstrap tokens.
    pub tokens: BTreeSet<String>,
}

/// An object's identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// API group without version; empty for core.
    pub group: String,
    pub kind: String,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    pub name: String,
}

impl ObjectRef {
    /// The identity of an object, read from its fields.
    pub fn of(object: &Value) -> Self {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_string();
        let api = text(&object["apiVersion"]);
        let group = api.split_once('/').map(|(g, _)| g.to_string()).unwrap_or_default();
        ObjectRef {
            group,
            kind: text(&object["kind"]),
            namespace: text(&object["metadata"]["namespace"]),
            name: text(&object["metadata"]["name"]),
        }
    }
}

impl std::fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

impl Facts {
    /// A host's facts; empty ones for a host that was not observed.
    pub fn host(&self, name: &str) -> &HostFacts {
        static NONE: std::sync::OnceLock<HostFacts> = std::sync::OnceLock::new();
        self.hosts.get(name).unwrap_or_else(|| NONE.get_or_init(HostFacts::default))
    }

    /// The Node of this name, if an API server answers and the Node exists.
    pub fn node(&self, name: &str) -> Option<&Value> {
        self.cluster.as_ref()?.nodes.get(name)
    }

    /// The Node of this name, to be changed by a prediction.
    pub fn node_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.cluster.as_mut()?.nodes.get_mut(name)
    }

    /// The member list of etcd as one member reports it. A member that sees a leader is preferred, because the list of a partitioned member may
    /// be stale. `None` if no member answered.
    pub fn members(&self) -> Option<&[MemberFact]> {
        let lists = || self.hosts.values().filter_map(|f| f.members.as_deref());
        lists().find(|list| list.iter().any(|m| m.leader)).or_else(|| lists().next())
    }

    /// How values are stored, as an etcd member has counted them; `None` if no member was asked, or if none has answered.
    pub fn stored(&self) -> Option<&Stored> {
        self.hosts.values().find_map(|f| f.stored.as_ref())
    }

    /// The facts of a host, for `predict` of a step, which changes them as the step would change the host.
    pub fn host_mut(&mut self, name: &str) -> &mut HostFacts {
        self.hosts.entry(name.to_string()).or_default()
    }
}

impl HostFacts {
    /// Content of a regular file.
    pub fn content(&self, path: &str) -> Option<&[u8]> {
        match &self.files.get(path)?.kind {
            FileKind::File(bytes) => Some(bytes.expose()),
            _ => None,
        }
    }

    /// Content of a regular file as text.
    pub fn text(&self, path: &str) -> Option<&str> {
        std::str::from_utf8(self.content(path)?).ok()
    }

    /// The content at a path; one link is followed.
    pub fn resolved(&self, path: &str) -> Option<&[u8]> {
        match &self.files.get(path)?.kind {
            FileKind::File(bytes) => Some(bytes.expose()),
            FileKind::Link(target) if target.starts_with('/') => self.content(target),
            FileKind::Link(target) => self.content(&format!("{}/{target}", path.rsplit_once('/')?.0)),
            FileKind::Directory => None,
        }
    }
}

impl HostFacts {
    /// Whether two static pods have the same arguments and the same image. An image can have two names, of which the runtime reports only one, so
    /// two names with the same digest count as the same image.
    pub fn runs_same(&self, a: &PodFact, b: &PodFact) -> bool {
        let digest = |p: &PodFact| self.image_digests.get(&p.image);
        a.argv == b.argv && (a.image == b.image || (digest(a).is_some() && digest(a) == digest(b)))
    }

    /// The content of every regular file by path; links are followed.
    pub fn contents(&self) -> BTreeMap<String, Secret> {
        let content = |path: &String| self.resolved(path).map(|bytes| Secret::from(bytes.to_vec()));
        self.files.keys().filter_map(|path| Some((path.clone(), content(path)?))).collect()
    }
}
