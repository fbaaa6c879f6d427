//! Disarms the alarms of etcd.

use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, StepError, carry_out};
use crate::facts::Facts;
use crate::facts::etcd::Alarm;
use crate::fenced;
use crate::host::{Cmd, Host, HostName};

/// All alarms of all members are disarmed, because `etcdctl alarm disarm` cannot disarm a single one. The script checks directly before it that the
/// database of each member with the alarm NOSPACE is smaller than the quota.
#[derive(Clone, Debug)]
pub struct Disarm {
    /// Whether the alarm CORRUPT may be disarmed as well.
    pub corrupt: bool,
}

/// The alarms as one of the members lists them; empty if none answered.
fn alarms(facts: &Facts) -> &[Alarm] {
    facts.hosts.values().find_map(|f| f.etcd.as_ref()?.alarms.as_deref()).unwrap_or_default()
}

#[async_trait]
impl Answers for Disarm {
    fn title(&self) -> String {
        "disarm the alarms of etcd".into()
    }

    fn pending(&self, _host: &HostName, facts: &Facts) -> Option<Self> {
        (!alarms(facts).is_empty()).then(|| self.clone())
    }

    fn predict(&self, _host: &HostName, facts: &mut Facts) {
        for alarms in facts.hosts.values_mut().filter_map(|f| f.etcd.as_mut()?.alarms.as_mut()) {
            alarms.clear();
        }
    }

    fn diff(&self, _host: &HostName, facts: &Facts) -> String {
        let name = |id: &str| facts.members().and_then(|all| all.iter().find(|m| m.id == id)).map_or(id.to_string(), |m| m.name.clone());
        alarms(facts).iter().map(|a| format!("{} of {}\n", a.alarm, name(&a.member))).collect()
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let corrupt = if self.corrupt { "allowed" } else { "refused" };
        let cmd = Cmd::script(fenced!("lib/etcdctl.sh", "steps/etcd_disarm.sh")).arg("run", run).arg("corrupt", corrupt);
        carry_out(host, cmd.timeout(Duration::from_secs(90))).await
    }
}
