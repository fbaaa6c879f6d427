//! Deletes the Node object of a host that left the cluster. The step runs on a control-plane host.

use std::net::IpAddr;

use async_trait::async_trait;

use super::{Answers, KUBECTL, StepError, carry_out, on_api};
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Host, HostName};

/// The Node with this name must not exist.
#[derive(Clone, Debug)]
pub struct NodeGone {
    /// Address of the API server on the host of the step.
    pub address: IpAddr,
    pub node: String,
}

#[async_trait]
impl Answers for NodeGone {
    fn title(&self) -> String {
        format!("delete node {}", self.node)
    }

    fn pending(&self, _host: &HostName, facts: &Facts) -> Option<Self> {
        facts.node(&self.node).map(|_| self.clone())
    }

    fn predict(&self, _host: &HostName, facts: &mut Facts) {
        if let Some(cluster) = &mut facts.cluster {
            cluster.nodes.remove(&self.node);
        }
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let cmd = on_api(fenced!("lib/kubectl.sh", "steps/delete_node.sh"), run, self.address).arg("node", &self.node);
        carry_out(host, cmd.timeout(KUBECTL)).await
    }
}
