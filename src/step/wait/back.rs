//! Waits until a host is back in service after maintenance.

use std::time::Duration;

use super::{Condition, wanted};
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Cmd, HostName};

/// The host is back in service after maintenance: its etcd member answers, its API server answers at its own address (`host:port`), and its node is
/// Ready as reported by the kubelet that runs now. Checked each time.
#[derive(Clone, Debug)]
pub struct Back {
    pub node: Option<String>,
    /// The URL of an API server that is asked for the node.
    pub server: String,
    /// Whether the node must be Ready, or only registered.
    pub ready: bool,
    pub api: Option<String>,
    pub etcd: bool,
}

/// The entry in `done_once` of the ledger of a host that is back in service.
const BACK: &str = "back";

impl Condition for Back {
    fn title(&self) -> String {
        let what = if self.ready { "Ready" } else { "registered" };
        let node = self.node.as_ref().map(|n| format!("node {n} {what}"));
        let parts = [self.etcd.then(|| "its etcd member".to_string()), self.api.as_ref().map(|a| format!("the API at {a}")), node];
        format!("wait until the host is back in service: {}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }

    fn holds(&self, host: &HostName, facts: &Facts) -> bool {
        facts.ledger.host(host).done_once.contains(BACK)
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        facts.ledger.host_mut(host).done_once.insert(BACK.into());
    }

    fn command(&self, whole: Duration) -> Cmd {
        Cmd::script(fenced!("lib/etcdctl.sh", "lib/serving.sh", "lib/node_ready.sh", "waits/wait_back.sh"))
            .arg("limit", whole.as_secs())
            .arg("node", self.node.as_deref().unwrap_or_default())
            .arg("server", &self.server)
            .arg("want", wanted(self.ready))
            .arg("api", self.api.as_deref().unwrap_or_default())
            .arg("etcd", if self.etcd { "member" } else { "" })
    }
}
