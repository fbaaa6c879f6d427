//! Waits until a host serves with the certificates that were written to it.

use std::time::Duration;

use super::Condition;
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Cmd, HostName};

/// After the host got new certificates: its etcd member is healthy and its API server is ready, both with certificates that are valid. True if the host
/// got no new certificates in this plan.
#[derive(Clone, Debug)]
pub struct Serves {
    /// The address (`host:port`) of the host's API server; `None` if it has none.
    pub api: Option<String>,
    /// Whether the host has an etcd member.
    pub etcd: bool,
}

impl Condition for Serves {
    fn title(&self) -> String {
        let who = match (self.etcd, self.api.is_some()) {
            (true, true) => "etcd and the API server of this host serve",
            (true, false) => "etcd of this host serves",
            (false, _) => "the API server of this host serves",
        };
        format!("wait until {who} with valid certificates")
    }

    fn holds(&self, host: &HostName, facts: &Facts) -> bool {
        !facts.ledger.host(host).new_certificates
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        facts.ledger.host_mut(host).new_certificates = false;
        if self.api.is_some() {
            facts.cluster.get_or_insert_default();
        }
    }

    fn command(&self, whole: Duration) -> Cmd {
        Cmd::script(fenced!("lib/etcdctl.sh", "lib/serving.sh", "waits/wait_serves.sh"))
            .arg("limit", whole.as_secs())
            .arg("api", self.api.as_deref().unwrap_or_default())
            .arg("etcd", if self.etcd { "member" } else { "" })
    }
}
