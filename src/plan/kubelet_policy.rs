//! How a stage treats kubelets and their nodes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Parallelism;
use crate::host::HostName;
use crate::inventory::KubeVersion;
use crate::step::command::Place;
use crate::step::drain;

/// How kubelets are treated in a stage of an existing cluster.
#[derive(Clone, Debug, Default)]
pub struct KubeletPolicy {
    /// Whether this stage changes kubelets to another version.
    pub changes_version: bool,
    /// Versions of the kubelets that are not changed while the control plane is upgraded, by node.
    pub held: BTreeMap<HostName, KubeVersion>,
    /// The version that the kubelets in `held` get in a later stage. The kubelet of this version is downloaded to the hosts before anything
    /// changes. `None` if no later stage changes kubelets.
    pub next: Option<KubeVersion>,
    /// Versions of the control plane after later stages. Their images are pulled now, so that an upgrade over several minor versions cannot
    /// get stuck on an image that is missing.
    pub later: Vec<KubeVersion>,
    pub nodes: NodeChange,
    /// The file on the operator's machine for a snapshot of etcd before the API servers are changed; `None`: no snapshot is taken.
    pub snapshot: Option<PathBuf>,
}

/// How nodes are changed, one after another or several at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeChange {
    /// How a node is drained before its kubelet is changed; `None`: nodes are not drained.
    pub drain: Option<drain::DrainOptions>,
    /// How many workers in service may be changed at once.
    pub at_once: Parallelism,
    /// The operator's commands before and after the change of each node.
    pub hooks: Vec<Hook>,
}

/// A shell command of the operator before or after the change of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    pub command: String,
    pub place: Place,
    /// If true, the command runs when the node is Ready and before it is uncordoned; if false, before the node is drained.
    pub after: bool,
}

/// The default share of the workers in service that are changed at once: one in a small cluster, several in a large one.
pub const AT_ONCE: Parallelism = Parallelism::Percent(10);

impl Default for NodeChange {
    fn default() -> Self {
        NodeChange { drain: None, at_once: AT_ONCE, hooks: vec![] }
    }
}
