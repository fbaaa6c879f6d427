//! A copy of the files with which a service runs now, made before the service changes, so that the host can restore them by itself.

use async_trait::async_trait;

use super::{Answers, StepError, carry_out, earlier, fenced};
use crate::facts::Facts;
use crate::host::{Cmd, Host, HostName};

/// The program and the files of etcd's service, if the service serves with them. Nothing on the host shows whether the copy was made already, so
/// it is made whenever the service is about to change.
#[derive(Clone, Debug)]
pub struct RollbackCopy;

/// The name of the copy in the facts.
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
        let seconds = (host.wait_timeout() * 5 / 4).as_secs().to_string();
        carry_out(host, Cmd::script(fenced!("rollback_copy.sh"), [run, &seconds]).timeout(earlier(host))).await
    }
}
