//! Removes what Kubernetes leaves on a host that leaves its cluster: containers, mounts, network links, iptables chains, routes and data.

use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, StepError, carry_out};
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Cmd, Host, HostName};
use crate::layout;

/// The limit of the step, and the shorter one after which the script begins nothing more. The script's last command, which has a limit of 60 s, ends
/// between the two, so that no script goes on after the run has given it up.
const LIMIT: Duration = Duration::from_secs(300);
const OF_SCRIPT: Duration = Duration::from_secs(220);

/// After this step, nothing is left on the host that Kubernetes made at run time.
#[derive(Clone, Debug)]
pub struct Clean {
    /// Whether container images are removed as well.
    pub images: bool,
    /// What the step will find on the host, which is shown to the operator; `pending` fills it in from the facts.
    pub found: Vec<String>,
}

#[async_trait]
impl Answers for Clean {
    fn title(&self) -> String {
        format!("remove containers, mounts, links, chains and data ({} found)", self.found.len())
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        let f = facts.host(host);
        let mut found = f.leftovers.clone();
        if self.images {
            found.extend(f.images.iter().map(|i| format!("image {i}")));
        }
        (!found.is_empty()).then_some(Clean { found, ..*self })
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        let f = facts.host_mut(host);
        f.leftovers.clear();
        f.pods.clear();
        let emptied = [layout::KUBERNETES_DIR, layout::KUBELET_DIR, layout::ETCD_DATA_DIR];
        f.files.retain(|path, _| !emptied.iter().any(|d| path.strip_prefix(d).is_some_and(|rest| rest.starts_with('/'))));
        if self.images {
            f.images.clear();
        }
    }

    fn diff(&self, _host: &HostName, _facts: &Facts) -> String {
        self.found.iter().map(|f| format!("{f}\n")).collect()
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let images = if self.images { "remove" } else { "keep" };
        let cmd = Cmd::script(fenced!("lib/mounts.sh", "lib/in_use.sh", "steps/clean.sh")).arg("run", run).arg("images", images);
        carry_out(host, cmd.arg("limit", OF_SCRIPT.as_secs()).timeout(LIMIT)).await
    }
}
