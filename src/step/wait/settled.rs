//! Waits until the host has watched its new static pods for long enough.

use std::time::Duration;

use super::Condition;
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Cmd, HostName};

/// The new static pods have not crashed. The host itself watches them and restores the previous manifest if they do.
#[derive(Clone, Debug)]
pub struct Settled;

impl Condition for Settled {
    fn title(&self) -> String {
        "watch the new static pods".into()
    }

    fn holds(&self, host: &HostName, facts: &Facts) -> bool {
        facts.host(host).unsettled.is_empty()
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        facts.host_mut(host).unsettled.clear();
        facts.ledger.host_mut(host).taken_back.clear();
    }

    fn command(&self, whole: Duration) -> Cmd {
        Cmd::script(fenced!("lib/report_rollbacks.sh", "waits/wait_settled.sh")).arg("limit", whole.as_secs())
    }
}
