//! Checks that the API server of another host answers.

use std::time::Duration;

use super::Condition;
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Cmd, HostName};

/// The API server of another host is ready at `authority` (`host:port`), as seen from this host. It is asked each time, because old facts are no
/// sufficient reason to stop the API server of this host for good.
#[derive(Clone, Debug)]
pub struct OtherApi {
    pub authority: String,
}

impl Condition for OtherApi {
    fn title(&self) -> String {
        format!("check that the API server at {} answers", self.authority)
    }

    fn holds(&self, host: &HostName, facts: &Facts) -> bool {
        facts.ledger.host(host).done_once.contains(&self.title())
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        facts.ledger.host_mut(host).done_once.insert(self.title());
    }

    fn command(&self, whole: Duration) -> Cmd {
        Cmd::script(fenced!("waits/wait_endpoint.sh"))
            .arg("endpoint", &self.authority)
            .arg("server", "api-server")
            .arg("limit", (whole / 4).as_secs())
    }
}
