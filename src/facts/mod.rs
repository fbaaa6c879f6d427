//! What was observed: typed facts, and nothing that decides.
//!
//! `host` asks one host and reads its answer, `cluster` does the same for the API.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::Value;

use crate::host::{HostName, Secret};

pub mod cluster;
pub mod evictions;
pub mod host;
pub mod kubeadm;
pub mod sources;
pub mod status;
pub mod upgrade;

/// Everything observed at one moment.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub hosts: BTreeMap<HostName, HostFacts>,
    /// Absent while no API server answers.
    pub cluster: Option<ClusterFacts>,
    /// Only ever predicted: a snapshot of etcd comes before.
    pub snapshot_taken: bool,
}

/// One host.
#[derive(Clone, Debug, Default)]
pub struct HostFacts {
    /// `ID` of os-release, such as `debian`.
    pub os_id: String,
    /// `PRETTY_NAME` of os-release.
    pub os_name: String,
    /// As `uname -m` says it.
    pub machine: String,
    pub hostname: String,
    pub machine_id: String,
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
    /// Free bytes by mount-worthy folder.
    pub disk_free: BTreeMap<String, u64>,
    /// Its addresses, with the name of the interface.
    pub addresses: BTreeMap<IpAddr, String>,
    pub listeners: Vec<Listener>,
    /// Every managed path that exists.
    pub files: BTreeMap<String, FileFact>,
    /// Binaries by path, with where they came from; only if unchanged since we placed them.
    pub binaries: BTreeMap<String, String>,
    /// Installed packages of those we care for.
    pub packages: BTreeSet<String>,
    pub units: BTreeMap<String, UnitFact>,
    /// Image references in the runtime's `k8s.io` namespace.
    pub images: BTreeSet<String>,
    /// Digests of images by reference, on hosts that run a control plane.
    pub image_digests: BTreeMap<String, String>,
    /// Running control-plane processes by component.
    pub pods: BTreeMap<String, PodFact>,
    /// Whether the host is in the middle of swapping a static pod by itself.
    pub swapping: bool,
    /// Components whose new manifest the host still watches, ready to put the previous one back.
    pub unsettled: BTreeSet<String>,
    /// Only ever predicted: programs that took their command line, by component.
    pub accepted: BTreeMap<String, PodFact>,
    /// Only ever predicted: balancers that send requests to this host's API server again after a swap.
    pub taken_back: BTreeSet<HostName>,
    /// etcd members as this host's member lists them.
    pub members: Option<Vec<MemberFact>>,
    /// Version the host's own API server reports while ready.
    pub api_version: Option<String>,
    /// Whether the API is ready at the cluster's endpoint, asked from here; only where that was asked.
    pub endpoint_ready: bool,
    /// Only ever predicted: a check of the quorum comes before, in the same track.
    pub quorum_checked: bool,
    /// Only ever predicted: what is done whenever it is asked for, such as a command or a reboot, and comes before.
    pub done_once: BTreeSet<String>,
    /// The run that last changed this host.
    pub last_run: String,
    /// Mounts, links and chains that Kubernetes left, for `reset`.
    pub leftovers: Vec<String>,
    /// CA folders besides /etc/ssl/certs that exist (the API server mounts them).
    pub ca_dirs: Vec<String>,
}

/// A listening TCP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub port: u16,
    /// Program name and pid, as far as the kernel tells.
    pub process: String,
}

/// One path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFact {
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// What a path is.
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
    /// Digest of the inputs it was last started with by us.
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

/// What the API server said.
#[derive(Clone, Debug, Default)]
pub struct ClusterFacts {
    /// The host that was asked.
    pub via: HostName,
    /// Objects that were asked for and exist.
    pub objects: BTreeMap<ObjectRef, Value>,
    pub nodes: BTreeMap<String, Value>,
    /// Ids of bootstrap tokens made by this program's runs.
    pub run_tokens: BTreeSet<String>,
    /// Ids of all bootstrap tokens.
    pub tokens: BTreeSet<String>,
    /// Only ever predicted: nodes whose kubelet a step before has brought to another version.
    pub changed: BTreeSet<String>,
    /// Only ever predicted: nodes that a step before has drained.
    pub drained: BTreeSet<String>,
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
    /// The identity written in an object.
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

    /// etcd's members, by the word of one of them: of one that sees a leader where there is one, for what a cut-off member lists may be old.
    pub fn members(&self) -> Option<&[MemberFact]> {
        let lists = || self.hosts.values().filter_map(|f| f.members.as_deref());
        lists().find(|list| list.iter().any(|m| m.leader)).or_else(|| lists().next())
    }

    /// The same, to predict into.
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

    /// Content behind a path, following one link.
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
    /// Whether two processes are the same. The runtime knows an image that has two names by one of them only.
    pub fn runs_same(&self, a: &PodFact, b: &PodFact) -> bool {
        let digest = |p: &PodFact| self.image_digests.get(&p.image);
        a.argv == b.argv && (a.image == b.image || (digest(a).is_some() && digest(a) == digest(b)))
    }

    /// Every regular file's content by path, links followed.
    pub fn contents(&self) -> BTreeMap<String, Secret> {
        let content = |path: &String| self.resolved(path).map(|bytes| Secret::from(bytes.to_vec()));
        self.files.keys().filter_map(|path| Some((path.clone(), content(path)?))).collect()
    }
}
