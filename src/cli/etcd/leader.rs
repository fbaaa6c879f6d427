//! `clusterctl etcd move-leader`.

use serde_json::json;

use super::{change, status, with_member};
use crate::cli::Call;
use crate::cli::completion;
use crate::cli::limit;
use crate::cli::operation::{Operation, Proposal};
use crate::cli::session::Session;
use crate::cli::stop::{Ended, Stop};
use crate::error::{Exit, Failure};
use crate::facts::Facts;
use crate::host::HostName;
use crate::inventory::HostEntry;
use crate::plan::{self, Plan, refusals};

/// Make the member of a host the leader
///
/// Without a host, the leadership moves to the healthy voting member whose log is up to date and whose disk stores it fastest. The command does not ask
/// for confirmation: requests that are under way are delayed by a few milliseconds, and at most a write among them fails and can be repeated.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl etcd move-leader m2\n  clusterctl etcd move-leader")]
pub struct Args {
    /// Host of the member that is to lead, by its name in the inventory
    #[arg(value_name = "HOST", add = completion::hosts())]
    host: Option<String>,
}

/// The host of the next leader, and the host of the leader before.
pub struct Aim {
    to: HostName,
    before: Option<HostName>,
}

impl Operation for Args {
    type Aim = Aim;

    async fn propose(&self, session: &Session, _call: &Call) -> Result<Proposal<Aim>, Stop> {
        let named = self.host.as_deref().map(|name| member_of(session, name)).transpose()?;
        let (facts, failures) = change::observe(session).await?;
        let to = match named {
            Some(to) => refusals::etcd::of_leader(to, &facts).map_or(Ok(to), Err),
            None => plan::etcd::next_leader(&session.inventory, &facts).ok_or_else(refusals::etcd::without_successor),
        };
        let to = match to {
            Ok(to) => to,
            Err(refusal) => return Err(change::refused(failures, vec![refusal])),
        };
        change::warn(session, &failures);
        let plan = Plan::of(&plan::etcd::move_leader(to), &facts).0;
        let aim = Aim { to: to.name.clone(), before: leader(&facts) };
        Ok(Proposal { plan, facts, failures: vec![], aim })
    }

    async fn ended(&self, session: &Session, _call: &Call, proposal: Proposal<Aim>, broken: Vec<Failure>) -> Ended {
        if !broken.is_empty() {
            return Err(Stop::broken(broken));
        }
        let Aim { to, before } = proposal.aim;
        let now = status::ask(session).await.0.members.into_iter().find(|m| m.leader).map(|m| m.name);
        if now.as_ref() != Some(&to) {
            let message = format!("{to} became the leader, and now {} leads", now.as_deref().unwrap_or("no member"));
            return Err(Stop::with(Exit::Failed).error(message, "see the members with `clusterctl etcd status`"));
        }
        let was = before.as_ref().map(|b| format!("; before it was {b}")).unwrap_or_default();
        session.report.result(&json!({"result": "done", "leader": to, "before": before}), format!("{to} is the leader of etcd{was}"));
        Ok(Exit::Done)
    }
}

/// The host of this name, which must be one with an etcd member.
fn member_of<'a>(session: &'a Session, name: &str) -> Result<&'a HostEntry, Stop> {
    limit::select(&session.inventory, &[name.to_string()])?;
    with_member(&session.inventory, name)
}

/// The host whose member leads.
fn leader(facts: &Facts) -> Option<HostName> {
    facts.hosts.iter().find(|(_, f)| f.etcd.as_ref().is_some_and(|e| e.leads())).map(|(host, _)| host.clone())
}
