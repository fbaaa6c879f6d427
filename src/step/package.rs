//! Packages by the host's package manager.

use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, Step, StepError, carry_out, fenced};
use crate::facts::Facts;
use crate::host::{Cmd, Host, HostName};

/// Packages that must be installed, any version.
#[derive(Clone, Debug)]
pub struct Package {
    pub names: Vec<String>,
}

impl From<Package> for Step {
    fn from(step: Package) -> Self {
        Step::Package(step)
    }
}

#[async_trait]
impl Answers for Package {
    fn title(&self) -> String {
        format!("install {}", self.names.join(" "))
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        let names: Vec<String> = self.names.iter().filter(|n| !facts.host(host).packages.contains(*n)).cloned().collect();
        (!names.is_empty()).then_some(Package { names })
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        facts.host_mut(host).packages.extend(self.names.iter().cloned());
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let args = std::iter::once(run.to_string()).chain(self.names.clone());
        carry_out(host, Cmd::script(fenced!("packages.sh"), args).timeout(Duration::from_secs(900))).await
    }
}
