//! Changes the membership of an etcd member. A new member joins as a learner and is promoted once it has caught up. A leaving member is removed from
//! the member list before its data is removed.

use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, StepError, carry_out};
use crate::facts::{Facts, HostFacts, MemberFact};
use crate::fenced;
use crate::host::{Cmd, Host, HostName};
use crate::layout;

/// The state in etcd's member list that a member is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberState {
    /// In the member list as a learner, which has no vote, so that a slow or failed new member does not cost the quorum.
    Learner,
    /// In the member list with a vote, which etcd grants only to a learner that has caught up with the leader.
    Voter,
    /// Not in the member list.
    Gone,
    /// Not changed. The step only checks, before anything is stopped for the member's removal, that the other members keep the quorum without it. The
    /// removal checks this again.
    Dispensable,
}

/// One member and the state that it is to have.
#[derive(Clone, Debug)]
pub struct Member {
    pub name: String,
    pub peer_url: String,
    /// The client URLs of other members, to which the requests about this member are sent.
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
            // A member with a name has been started before. If its host has no data, the data was lost with the machine, so the member must join
            // again.
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
        // A member gets its vote only after it has started and caught up, so from then on its host reports the member list as well.
        let answers = |name: &HostName, f: &HostFacts| f.members.is_some() || (self.want == MemberState::Voter && *name == self.name);
        facts.hosts.iter_mut().filter(|(name, f)| answers(name, f)).for_each(|(_, f)| f.members = Some(list.clone()));
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        // The script gets the whole wait timeout, because a learner may have to copy much data before it can be promoted.
        let limit = host.wait_timeout();
        let cmd = Cmd::script(fenced!("lib/etcdctl.sh", "lib/hand_over.sh", "steps/member.sh"))
            .arg("run", run)
            .arg("action", self.word())
            .arg("name", &self.name)
            .arg("peer", &self.peer_url)
            .arg("endpoints", self.through.join(","))
            .arg("limit", limit.as_secs());
        carry_out(host, cmd.timeout(limit + Duration::from_secs(30))).await
    }
}
