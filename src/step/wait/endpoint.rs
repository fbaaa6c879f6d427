//! Waits until the API is ready at the cluster's endpoint, as seen from the host.

use std::time::Duration;

use super::Condition;
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Cmd, HostName};

/// The API is ready at the cluster's endpoint (`host:port`), as seen from the host.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub authority: String,
}

impl Condition for Endpoint {
    fn title(&self) -> String {
        format!("wait for the API at the endpoint {}", self.authority)
    }

    fn holds(&self, host: &HostName, facts: &Facts) -> bool {
        facts.host(host).endpoint_ready
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        facts.host_mut(host).endpoint_ready = true;
    }

    fn command(&self, whole: Duration) -> Cmd {
        Cmd::script(fenced!("waits/wait_endpoint.sh"))
            .arg("endpoint", &self.authority)
            .arg("server", "balancer")
            .arg("limit", (whole / 4).as_secs())
    }
}
