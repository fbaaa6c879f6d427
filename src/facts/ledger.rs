//! Records which steps a plan predicts as done although an observation cannot show them, such as a drain or a command. An observation returns an
//! empty ledger.

use std::collections::{BTreeMap, BTreeSet};

use super::PodFact;
use crate::host::HostName;

/// The predicted steps that leave nothing on a host by which an observation could recognize them.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Whether a snapshot of etcd was taken.
    pub snapshot_taken: bool,
    /// The nodes whose kubelet was changed to another version.
    pub changed: BTreeSet<String>,
    /// The nodes that were drained.
    pub drained: BTreeSet<String>,
    /// The resources whose stored values were rewritten while etcd was not asked since then how they are stored.
    pub unchecked_values: BTreeSet<String>,
    hosts: BTreeMap<HostName, HostLedger>,
}

/// The part of the ledger that concerns one host.
#[derive(Clone, Debug, Default)]
pub struct HostLedger {
    /// The components for which [`crate::step::CheckFlags`] has checked that the program accepts its flags, with the image and the arguments that
    /// were checked.
    pub accepted: BTreeMap<String, PodFact>,
    /// The load balancers that send requests to this host's API server again after the replacement of the API server.
    pub taken_back: BTreeSet<HostName>,
    /// Whether the quorum was checked by an earlier step of the same host in the same phase.
    pub quorum_checked: bool,
    /// Whether certificates in the PKI folder were replaced, and the components that read them were not asked since then.
    pub new_certificates: bool,
    /// Steps without an observable result that were done before, such as commands and reboots.
    pub done_once: BTreeSet<String>,
}

impl Ledger {
    /// The part that concerns this host; an empty one if there is none.
    pub fn host(&self, name: &str) -> &HostLedger {
        static NONE: std::sync::OnceLock<HostLedger> = std::sync::OnceLock::new();
        self.hosts.get(name).unwrap_or_else(|| NONE.get_or_init(HostLedger::default))
    }

    /// The part that concerns this host, to be changed by a prediction.
    pub fn host_mut(&mut self, name: &str) -> &mut HostLedger {
        self.hosts.entry(name.to_string()).or_default()
    }
}
