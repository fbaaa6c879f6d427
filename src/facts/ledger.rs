//! What a plan predicts and nobody can observe: that a step without a trace on a host has run. After an observation, the ledger is empty.

use std::collections::{BTreeMap, BTreeSet};

use super::PodFact;
use crate::host::HostName;

/// The steps without a trace that earlier steps of a plan stand for.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Whether a snapshot of etcd was taken.
    pub snapshot_taken: bool,
    /// The nodes whose kubelet was changed to another version.
    pub changed: BTreeSet<String>,
    /// The nodes that were drained.
    pub drained: BTreeSet<String>,
    hosts: BTreeMap<HostName, HostLedger>,
}

/// The part of the ledger that concerns one host.
#[derive(Clone, Debug, Default)]
pub struct HostLedger {
    /// Components whose new binary has parsed its flags.
    pub accepted: BTreeMap<String, PodFact>,
    /// Load balancers that send requests to this host's API server again after its replacement.
    pub taken_back: BTreeSet<HostName>,
    /// Whether the quorum was checked by an earlier step of the same host in the same phase.
    pub quorum_checked: bool,
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
