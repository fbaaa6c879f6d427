//! Makes an etcd member the leader.

use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, StepError, carry_out};
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Cmd, Host, HostName};

/// How long the script repeats its request to the present leader, and waits until the member of its host leads.
const LIMIT: Duration = Duration::from_secs(30);

/// The leadership moves to the member of the step's host. The script asks the member that leads when the step runs, whichever it is then.
#[derive(Clone, Debug)]
pub struct MoveLeader;

#[async_trait]
impl Answers for MoveLeader {
    fn title(&self) -> String {
        "make its etcd member the leader".into()
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        let leads = facts.host(host).etcd.as_ref().is_some_and(|e| e.leads());
        (!leads).then(|| self.clone())
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        let own = facts.host(host).etcd.as_ref().and_then(|e| Some(e.status.as_ref()?.member.clone()));
        for status in facts.hosts.values_mut().filter_map(|f| f.etcd.as_mut()?.status.as_mut()) {
            status.leader.clone_from(&own);
        }
        for member in facts.hosts.values_mut().filter_map(|f| f.members.as_mut()).flatten() {
            member.leader = Some(&member.id) == own.as_ref();
        }
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let cmd = Cmd::script(fenced!("lib/etcdctl.sh", "steps/etcd_leader.sh")).arg("run", run).arg("limit", LIMIT.as_secs());
        carry_out(host, cmd.timeout(LIMIT + Duration::from_secs(60))).await
    }
}
