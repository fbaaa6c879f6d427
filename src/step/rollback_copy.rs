//! Copies etcd's program and files before the etcd service changes, so that the host can restore them by itself if the new etcd fails.

use async_trait::async_trait;

use super::{Answers, StepError, carry_out, earlier};
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Cmd, Host, HostName};

/// Copies the etcd program, its environment file and its unit file, if the running etcd was started with them and answers requests. Otherwise nothing
/// is copied. The facts do not show whether a copy exists, so the step runs whenever the service is about to change.
#[derive(Clone, Debug)]
pub struct RollbackCopy;

/// The entry for the copy in `done_once` of the host's ledger.
const KEPT: &str = "spare";

#[async_trait]
impl Answers for RollbackCopy {
    fn title(&self) -> String {
        "keep etcd's program and files as they are, to be put back".into()
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        (!facts.ledger.host(host).done_once.contains(KEPT)).then_some(RollbackCopy)
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        facts.ledger.host_mut(host).done_once.insert(KEPT.into());
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let limit = (host.wait_timeout() * 5 / 4).as_secs();
        let cmd = Cmd::script(fenced!("steps/rollback_copy.sh")).arg("run", run).arg("limit", limit);
        carry_out(host, cmd.timeout(earlier(host))).await
    }
}
