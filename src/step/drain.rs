//! A node whose pods move elsewhere, by kubectl's own rules.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, Step, StepError, carry_out, fenced, url_host};
use crate::facts::Facts;
use crate::host::{Cmd, Host, HostName};

/// No pods on the node but those that belong to it. Asked live: what ran there when facts were gathered is no ground to skip it.
#[derive(Clone, Debug)]
pub struct Drain {
    /// Address of the API server on the track's host.
    pub address: IpAddr,
    pub node: String,
    /// How long disruption budgets and grace periods may hold it up.
    pub timeout: Duration,
}

impl From<Drain> for Step {
    fn from(step: Drain) -> Self {
        Step::Drain(step)
    }
}

#[async_trait]
impl Answers for Drain {
    fn title(&self) -> String {
        format!("drain node {}", self.node)
    }

    fn pending(&self, _host: &HostName, facts: &Facts) -> Option<Self> {
        let cluster = facts.cluster.as_ref()?;
        (cluster.nodes.contains_key(&self.node) && !cluster.drained.contains(&self.node)).then(|| self.clone())
    }

    fn predict(&self, _host: &HostName, facts: &mut Facts) {
        facts.cluster.get_or_insert_default().drained.insert(self.node.clone());
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let args = [run.to_string(), url_host(self.address), self.node.clone(), self.timeout.as_secs().to_string()];
        carry_out(host, Cmd::script(fenced!("drain.sh"), args).timeout(self.timeout + Duration::from_secs(60))).await
    }
}
