//! A member of etcd: it joins as a learner, votes once it has caught up, and is removed before its data is removed.

use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, StepError, carry_out, fenced};
use crate::facts::{Facts, HostFacts, MemberFact};
use crate::host::{Cmd, Host, HostName};
use crate::layout;

/// The state that a member of the cluster is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberState {
    /// In the list without a vote, so that a slow or failed new member costs no quorum.
    Learner,
    /// In the list with a vote, which etcd grants only to a learner that is in sync.
    Voter,
    /// Not in the list.
    Gone,
    /// The other members keep their quorum without the member. This is checked before anything is stopped for the member's removal; the removal
    /// checks it again.
    Dispensable,
}

/// One member and the state that it is to have.
#[derive(Clone, Debug)]
pub struct Member {
    pub name: String,
    pub peer_url: String,
    /// Client URLs of other members, through which etcd is asked.
    pub through: Vec<String>,
    pub want: MemberState,
}

impl Member {
    fn is(&self, m: &MemberFact) -> bool {
        let leaves = matches!(self.want, MemberState::Gone | MemberState::Dispensable);
        m.peer_urls.contains(&self.peer_url) || (leaves && m.name == self.name)
    }

    fn word(&self) -> &'static str {
        match self.want {
            MemberState::Learner => "learn",
            MemberState::Voter => "vote",
            MemberState::Gone => "remove",
            MemberState::Dispensable => "check",
        }
    }
}

#[async_trait]
impl Answers for Member {
    fn title(&self) -> String {
        let name = &self.name;
        match self.want {
            MemberState::Learner => format!("add etcd member {name} as a learner"),
            MemberState::Voter => format!("let etcd member {name} vote once it is in sync"),
            MemberState::Gone => format!("remove etcd member {name}"),
            MemberState::Dispensable => format!("check that etcd keeps its quorum without member {name}"),
        }
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        let entry = facts.members().and_then(|members| members.iter().find(|m| self.is(m)));
        let has_data = facts.host(host).files.contains_key(layout::ETCD_MEMBER_DIR);
        let holds = match (self.want, entry) {
            (MemberState::Gone, entry) => entry.is_none(),
            (MemberState::Dispensable, entry) => {
                entry.is_none_or(|m| m.learner) || facts.ledger.host(host).done_once.contains(&self.title())
            }
            // A member that was started and has no data any more was lost with its machine, so it must join again.
            (MemberState::Learner, Some(m)) => m.name.is_empty() || has_data,
            (MemberState::Voter, Some(m)) => !m.learner && !m.name.is_empty(),
            (_, None) => false,
        };
        (!holds).then(|| self.clone())
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        if self.want == MemberState::Dispensable {
            facts.ledger.host_mut(host).done_once.insert(self.title());
            return;
        }
        let mut list: Vec<MemberFact> = facts.members().map(<[_]>::to_vec).unwrap_or_default();
        list.retain(|m| !self.is(m));
        if self.want != MemberState::Gone {
            let learner = self.want == MemberState::Learner;
            let name = if learner { String::new() } else { self.name.clone() };
            let id = format!("of-{}", self.name);
            list.push(MemberFact { id, name, peer_urls: vec![self.peer_url.clone()], learner, leader: false });
        }
        if facts.members().is_none() {
            facts.host_mut(host).members = Some(vec![]);
        }
        // A member votes only after it has started and has caught up, so it answers by then as well.
        let answers = |name: &HostName, f: &HostFacts| f.members.is_some() || (self.want == MemberState::Voter && *name == self.name);
        facts.hosts.iter_mut().filter(|(name, f)| answers(name, f)).for_each(|(_, f)| f.members = Some(list.clone()));
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        // A learner that has much data to catch up with needs the whole time.
        let limit = host.wait_timeout();
        let seconds = limit.as_secs().to_string();
        let args = [run, self.word(), &self.name, &self.peer_url, &self.through.join(","), &seconds];
        carry_out(host, Cmd::script(fenced!("hand_over.sh", "member.sh"), args).timeout(limit + Duration::from_secs(30))).await
    }
}
