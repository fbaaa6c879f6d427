//! Loads modules into the running kernel and sets its sysctls. The files that do the same at each boot are written by another step.

use async_trait::async_trait;

use super::{Answers, StepError, carry_out};
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Cmd, Host, HostName};

/// The modules and settings that the running kernel must have.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Names of modules. A module counts as loaded if the kernel has the feature that the module provides; see [`crate::facts::HostFacts::features`].
    pub modules: Vec<String>,
    /// Settings: dotted names and values.
    pub sysctls: Vec<(String, String)>,
}

#[async_trait]
impl Answers for Kernel {
    fn title(&self) -> String {
        let sysctls = self.sysctls.iter().map(|(k, v)| format!("{k}={v}"));
        format!("set kernel {}", self.modules.iter().cloned().chain(sysctls).collect::<Vec<_>>().join(" "))
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        let f = facts.host(host);
        let modules: Vec<String> = self.modules.iter().filter(|m| !f.features.contains(*m)).cloned().collect();
        let sysctls: Vec<(String, String)> = self.sysctls.iter().filter(|(k, v)| f.sysctls.get(k) != Some(v)).cloned().collect();
        (!modules.is_empty() || !sysctls.is_empty()).then_some(Kernel { modules, sysctls })
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        let f = facts.host_mut(host);
        f.features.extend(self.modules.iter().cloned());
        f.sysctls.extend(self.sysctls.iter().cloned());
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let sysctls = self.sysctls.iter().map(|(k, v)| format!("{k}={v}"));
        let cmd = Cmd::script(fenced!("steps/kernel.sh")).arg("run", run);
        carry_out(host, cmd.words(self.modules.iter().cloned().chain(sysctls))).await
    }
}
