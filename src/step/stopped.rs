//! Stops and disables a systemd unit.

use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, StepError, carry_out};
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Cmd, Host, HostName};

/// A unit that must not run, neither now nor after a boot.
#[derive(Clone, Debug)]
pub struct Stopped {
    /// The name of the unit without `.service`.
    pub name: &'static str,
}

#[async_trait]
impl Answers for Stopped {
    fn title(&self) -> String {
        format!("stop {}", self.name)
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        let running =
            facts.host(host).units.get(self.name).is_some_and(|u| u.enabled == "enabled" || !matches!(u.active.as_str(), "inactive" | ""));
        running.then(|| self.clone())
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        facts.host_mut(host).units.remove(self.name);
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        carry_out(host, Cmd::script(fenced!("steps/unit_stop.sh")).arg("run", run).arg("unit", self.name).timeout(Duration::from_secs(120)))
            .await
    }
}
