//! What a service runs as now, kept aside before it changes, so that the host can put it back by itself.

use async_trait::async_trait;

use super::{Answers, Step, StepError, carry_out, fenced};
use crate::facts::Facts;
use crate::host::{Cmd, Host, HostName};

/// The program and the files of etcd's service, where it serves with them. Nothing on the host tells whether that is still to be done: it
/// is done whenever the service is about to change.
#[derive(Clone, Debug)]
pub struct Spare;

/// What the facts call it.
const KEPT: &str = "spare";

impl From<Spare> for Step {
    fn from(step: Spare) -> Self {
        Step::Spare(step)
    }
}

#[async_trait]
impl Answers for Spare {
    fn title(&self) -> String {
        "keep etcd's program and files as they are, to be put back".into()
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        (!facts.host(host).done_once.contains(KEPT)).then_some(Spare)
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        facts.host_mut(host).done_once.insert(KEPT.into());
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        carry_out(host, Cmd::script(fenced!("spare.sh"), [run])).await
    }
}
