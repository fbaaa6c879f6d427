//! Waits until a load balancer sends requests to an API server again.

use std::time::Duration;

use super::Condition;
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Cmd, HostName};

/// A load balancer sends requests to this API server again; checked on the load balancer's host.
#[derive(Clone, Debug)]
pub struct Backend {
    pub balancer: HostName,
    pub server: HostName,
    pub limit: Duration,
}

impl Condition for Backend {
    fn title(&self) -> String {
        format!("wait until {} sends requests to {} again", self.balancer, self.server)
    }

    /// Also true if this API server was not replaced: the step does not wait for a backend that is down for another reason.
    fn holds(&self, _host: &HostName, facts: &Facts) -> bool {
        !facts.host(&self.server).unsettled.contains("kube-apiserver")
            || facts.ledger.host(&self.server).taken_back.contains(&self.balancer)
    }

    fn predict(&self, _host: &HostName, facts: &mut Facts) {
        facts.ledger.host_mut(&self.server).taken_back.insert(self.balancer.clone());
    }

    fn command(&self, _whole: Duration) -> Cmd {
        Cmd::script(fenced!("waits/wait_backend.sh")).arg("server", &self.server).arg("limit", self.limit.as_secs())
    }
}
