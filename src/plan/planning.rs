//! The inputs from which the plan of a whole run is made, besides the goal and the facts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::desired::JoinToken;
use super::files::ControlPlaneFile;
use super::registries::Registry;
use crate::facts::Facts;
use crate::host::{HostName, Secret};
use crate::inventory::Inventory;
use crate::pki;

/// The inputs of a run besides the inventory and the facts. Every plan that the run makes uses the same inputs.
pub struct RunInputs {
    pub token: JoinToken,
    /// PKI files that the operator gave, by path below the PKI folder.
    pub given: BTreeMap<String, Secret>,
    /// CNI and add-on manifests that the operator gave, in order.
    pub manifests: Vec<Value>,
    /// The files of `controlPlane.files` with their contents.
    pub files: Vec<ControlPlaneFile>,
    /// The registries of `artifacts.registryMirrors` with the contents of their files.
    pub registries: Vec<Registry>,
    /// The client certificate files for an external etcd; `None` if clusterctl manages etcd.
    pub external_etcd: Option<pki::ExternalEtcdFiles>,
    pub keys: pki::Keys,
    /// The key for the encryption of stored values, if the run needs a new one: random bytes.
    pub encryption_key: Secret,
}

/// The inputs of one plan besides the goal and the facts.
pub struct Planning<'a> {
    pub inv: &'a Inventory,
    /// The hosts that the run may change: those of `--limit`, or all.
    pub selected: &'a [HostName],
    pub inputs: &'a RunInputs,
    /// The time at which the validity of certificates is checked and new certificates are created.
    pub now: Timestamp,
}

impl Planning<'_> {
    /// The selected hosts that answered.
    pub(super) fn touchable(&self, facts: &Facts) -> Vec<HostName> {
        self.selected.iter().filter(|h| facts.hosts.contains_key(*h)).cloned().collect()
    }
}
