//! A member of etcd: it joins as a learner, votes once it has caught up, and leaves before its data does.

use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, Step, StepError, carry_out, fenced};
use crate::facts::{Facts, MemberFact};
use crate::host::{Cmd, Host, HostName};
use crate::layout;

/// What a member of the cluster is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In the list without a vote, so that a slow or dead newcomer costs no quorum.
    Learner,
    /// In the list with a vote; etcd grants it only to a learner that is in sync.
    Voter,
    /// Not in the list.
    Gone,
}

/// One member and what it is to be.
#[derive(Clone, Debug)]
pub struct Member {
    pub name: String,
    pub peer_url: String,
    /// Client URLs of other members, to ask through.
    pub through: Vec<String>,
    pub want: Standing,
}

/// A learner with much to catch up needs its time; one that takes longer than this has another trouble.
const LIMIT: Duration = Duration::from_secs(240);

impl From<Member> for Step {
    fn from(step: Member) -> Self {
        Step::Member(step)
    }
}

impl Member {
    fn is(&self, m: &MemberFact) -> bool {
        m.peer_urls.contains(&self.peer_url) || (self.want == Standing::Gone && m.name == self.name)
    }

    fn word(&self) -> &'static str {
        match self.want {
            Standing::Learner => "learn",
            Standing::Voter => "vote",
            Standing::Gone => "remove",
        }
    }
}

#[async_trait]
impl Answers for Member {
    fn title(&self) -> String {
        let name = &self.name;
        match self.want {
            Standing::Learner => format!("add etcd member {name} as a learner"),
            Standing::Voter => format!("let etcd member {name} vote once it is in sync"),
            Standing::Gone => format!("remove etcd member {name}"),
        }
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        let entry = facts.members().and_then(|members| members.iter().find(|m| self.is(m)));
        let has_data = facts.host(host).files.contains_key(layout::ETCD_MEMBER_DIR);
        let holds = match (self.want, entry) {
            (Standing::Gone, entry) => entry.is_none(),
            // A member that was started and has no data any more was lost with its machine; it has to begin anew.
            (Standing::Learner, Some(m)) => m.name.is_empty() || has_data,
            (Standing::Voter, Some(m)) => !m.learner && !m.name.is_empty(),
            (_, None) => false,
        };
        (!holds).then(|| self.clone())
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        let mut list: Vec<MemberFact> = facts.members().map(<[_]>::to_vec).unwrap_or_default();
        list.retain(|m| !self.is(m));
        if self.want != Standing::Gone {
            let learner = self.want == Standing::Learner;
            let name = if learner { String::new() } else { self.name.clone() };
            let id = format!("of-{}", self.name);
            list.push(MemberFact { id, name, peer_urls: vec![self.peer_url.clone()], learner, leader: false });
        }
        if facts.members().is_none() {
            facts.host_mut(host).members = Some(vec![]);
        }
        facts.hosts.values_mut().filter(|f| f.members.is_some()).for_each(|f| f.members = Some(list.clone()));
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let limit = LIMIT.as_secs().to_string();
        let args = [run, self.word(), &self.name, &self.peer_url, &self.through.join(","), &limit];
        carry_out(host, Cmd::script(fenced!("hand_over.sh", "member.sh"), args).timeout(LIMIT + Duration::from_secs(30))).await
    }
}
