//! Waits until the host's own API server is ready at a version.

use std::net::IpAddr;
use std::time::Duration;

use super::Condition;
use crate::facts::{Facts, url_host};
use crate::fenced;
use crate::host::{Cmd, HostName};

/// The API server of the host, at this address, is ready at this version.
#[derive(Clone, Debug)]
pub struct Api {
    pub address: IpAddr,
    pub version: String,
}

impl Condition for Api {
    fn title(&self) -> String {
        format!("wait for the API server at {}", self.version)
    }

    fn holds(&self, host: &HostName, facts: &Facts) -> bool {
        facts.host(host).api_version.as_ref() == Some(&self.version)
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        facts.host_mut(host).api_version = Some(self.version.clone());
        facts.cluster.get_or_insert_default();
    }

    fn command(&self, whole: Duration) -> Cmd {
        Cmd::script(fenced!("lib/report_rollbacks.sh", "waits/wait_api.sh"))
            .arg("address", url_host(self.address))
            .arg("version", &self.version)
            .arg("limit", whole.as_secs())
    }
}
