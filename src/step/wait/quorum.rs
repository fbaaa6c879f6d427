//! Checks that etcd keeps its quorum without this host's member.

use std::time::Duration;

use super::Condition;
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Cmd, HostName};

/// etcd keeps its quorum without this host's member. The members are asked each time, because old facts are no sufficient reason to stop a member.
#[derive(Clone, Debug)]
pub struct Quorum;

impl Condition for Quorum {
    fn title(&self) -> String {
        "check that etcd has its quorum without this host".into()
    }

    fn holds(&self, host: &HostName, facts: &Facts) -> bool {
        facts.ledger.host(host).quorum_checked
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        facts.ledger.host_mut(host).quorum_checked = true;
    }

    fn command(&self, whole: Duration) -> Cmd {
        Cmd::script(fenced!("lib/quorum.sh", "waits/wait_quorum.sh")).arg("limit", (whole / 4).as_secs())
    }
}
