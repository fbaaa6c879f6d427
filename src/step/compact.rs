//! Compacts the history of etcd.

use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, StepError, carry_out};
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Cmd, Host, HostName};

/// The time that etcd gets to remove the old revisions from the databases. It removes them in small pieces, so that requests do not have to wait.
const LIMIT: Duration = Duration::from_secs(600);

/// The revisions of all keys that are older than `revision` are removed, except the newest one of each key.
#[derive(Clone, Debug)]
pub struct Compact {
    pub revision: u64,
}

#[async_trait]
impl Answers for Compact {
    fn title(&self) -> String {
        format!("compact the history of etcd up to revision {}", self.revision)
    }

    fn pending(&self, _host: &HostName, facts: &Facts) -> Option<Self> {
        let compacted = facts.hosts.values().filter_map(|f| f.etcd.as_ref()?.compacted).max();
        (compacted.is_none_or(|c| c < self.revision)).then(|| self.clone())
    }

    fn predict(&self, _host: &HostName, facts: &mut Facts) {
        for etcd in facts.hosts.values_mut().filter_map(|f| f.etcd.as_mut()) {
            etcd.compacted = Some(self.revision);
        }
    }

    fn diff(&self, _host: &HostName, facts: &Facts) -> String {
        let answers = || facts.hosts.values().filter_map(|f| f.etcd.as_ref());
        let newest = answers().filter_map(|e| Some(e.status.as_ref()?.revision)).max().unwrap_or(0);
        let compacted = answers().filter_map(|e| e.compacted).max().map_or("unknown".into(), |c| c.to_string());
        format!("newest revision {newest}, compacted up to {compacted}\n")
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let cmd = Cmd::script(fenced!("lib/etcdctl.sh", "steps/etcd_compact.sh")).arg("run", run).arg("revision", self.revision);
        carry_out(host, cmd.arg("limit", LIMIT.as_secs()).timeout(LIMIT + Duration::from_secs(30))).await
    }
}
