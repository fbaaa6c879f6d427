//! Removes paths from a host.

use async_trait::async_trait;

use super::{Answers, StepError, carry_out, missing};
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Cmd, Host, HostName};

/// Paths to remove, with everything below them.
#[derive(Clone, Debug)]
pub struct Absent {
    pub paths: Vec<String>,
    /// Whether the step runs even if the facts do not contain the paths, because the run has created its lock below them.
    pub locked: bool,
    /// Why the paths are removed, which is shown to the operator. Empty if the paths make it obvious.
    pub why: String,
}

fn exists(path: &String, host: &HostName, facts: &Facts) -> bool {
    let f = facts.host(host);
    f.files.contains_key(path) || f.binaries.contains_key(path)
}

#[async_trait]
impl Answers for Absent {
    fn title(&self) -> String {
        format!("remove {}", self.paths.join(" "))
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        let gone = |path: &String| !self.locked && !exists(path, host, facts);
        missing(&self.paths, gone).map(|paths| Absent { paths, ..self.clone() })
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        facts.host_mut(host).binaries.retain(|path, _| !self.paths.contains(path));
        facts.host_mut(host).files.retain(|path, _| !self.paths.iter().any(|p| path == p || path.starts_with(&format!("{p}/"))));
    }

    fn diff(&self, _host: &HostName, _facts: &Facts) -> String {
        self.why.clone()
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        carry_out(host, Cmd::script(fenced!("lib/mounts.sh", "steps/absent.sh")).arg("run", run).words(&self.paths)).await
    }
}
