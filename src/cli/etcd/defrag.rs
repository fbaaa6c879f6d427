//! `clusterctl etcd defrag`.

use serde::Serialize;
use serde_json::json;

use super::members::Etcd;
use super::{change, status};
use crate::cli::Call;
use crate::cli::operation::{Operation, Proposal};
use crate::cli::report::table;
use crate::cli::session::Session;
use crate::cli::stop::{Ended, Stop};
use crate::error::{Exit, Failure};
use crate::facts::Facts;
use crate::facts::etcd::{MemberStatus, mebibytes};
use crate::host::HostName;
use crate::plan::{self, Plan, refusals};
use crate::step::defrag::little_gain;

/// Defragment the databases of the members, one after another
///
/// The file of a database does not shrink by itself: space that became free is only used again. A defragmentation gives it back to the disk. The member
/// answers no request meanwhile (10 to 30 seconds for a GiB), so each member is defragmented only while all other voting members are healthy, and the
/// leader comes last. The API server on the host of a member waits for it. Databases that are smaller than 32 MiB, or of which more than 80 % are in
/// use, are left as they are. `--limit` chooses members by their hosts.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl etcd defrag\n  clusterctl etcd defrag --limit m1 --all --yes")]
pub struct Args {
    /// Also defragment databases that would hardly shrink
    #[arg(long)]
    all: bool,
}

/// The size of a member's database before and after the run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    member: HostName,
    defragmented: bool,
    before_bytes: u64,
    /// `null` if the member did not answer afterwards.
    after_bytes: Option<u64>,
}

impl Operation for Args {
    type Aim = ();

    async fn propose(&self, session: &Session, _call: &Call) -> Result<Proposal<()>, Stop> {
        let (facts, failures) = change::observe(session).await?;
        let refused = refusals::etcd::of_defrag(&session.inventory, &facts);
        if !refused.is_empty() {
            return Err(change::refused(failures, refused));
        }
        change::warn(session, &failures);
        for host in voters(session, &facts).filter(|_| !self.all) {
            if let Some(why) = database(&facts, &host).and_then(little_gain) {
                session.report.note(format!("{host} is left as it is: {why}; `--all` defragments it nevertheless"));
            }
        }
        let desired = plan::etcd::defrag(&session.inventory, &facts, &session.selected, self.all);
        Ok(Proposal { plan: Plan::of(&desired, &facts).0, facts, failures: vec![], aim: () })
    }

    fn agreed(&self, session: &Session, _call: &Call, proposal: &Proposal<()>) -> Result<bool, Stop> {
        session.report.say(&proposal.plan);
        let question = match plan::etcd::voters(&session.inventory, &proposal.facts).len() {
            1 => "defragment the database of the only etcd member? The API stands still until that has ended.",
            _ => "defragment these databases? A member answers no request meanwhile, and the API server on its host waits.",
        };
        session.report.confirm(question)
    }

    async fn ended(&self, session: &Session, _call: &Call, proposal: Proposal<()>, broken: Vec<Failure>) -> Ended {
        if !broken.is_empty() {
            return Err(Stop::broken(broken));
        }
        let (after, _) = status::ask(session).await;
        let rows: Vec<Row> = voters(session, &proposal.facts).map(|host| row(host, &proposal, &after)).collect();
        session.report.result(&json!({"result": "done", "members": rows}), text(&rows));
        Ok(Exit::Done)
    }
}

/// The selected hosts with a voting member.
fn voters(session: &Session, facts: &Facts) -> impl Iterator<Item = HostName> {
    let voters = plan::etcd::voters(&session.inventory, facts).into_iter().map(|h| h.name.clone());
    voters.filter(|name| session.selected.contains(name))
}

fn database<'a>(facts: &'a Facts, host: &str) -> Option<&'a MemberStatus> {
    facts.host(host).etcd.as_ref()?.status.as_ref()
}

fn row(member: HostName, proposal: &Proposal<()>, after: &Etcd) -> Row {
    Row {
        defragmented: proposal.plan.hosts().contains(&member),
        before_bytes: database(&proposal.facts, &member).map_or(0, |s| s.database),
        after_bytes: after.members.iter().find(|m| m.name == member).and_then(|m| Some(m.own.as_ref()?.database_bytes)),
        member,
    }
}

fn text(rows: &[Row]) -> String {
    let shown = rows.iter().map(|r| {
        let after = match (r.after_bytes, r.defragmented) {
            (_, false) => "left as it is".into(),
            (Some(bytes), true) => mebibytes(bytes),
            (None, true) => "-".into(),
        };
        vec![r.member.clone(), mebibytes(r.before_bytes), after]
    });
    table(&["MEMBER", "BEFORE", "AFTER"], shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_are_shown_before_and_after() {
        let row =
            |member: &str, defragmented, after_bytes| Row { member: member.into(), defragmented, before_bytes: 100 << 20, after_bytes };
        let rows = [row("m1", true, Some(40 << 20)), row("m2", false, Some(100 << 20)), row("m3", true, None)];
        let shown: Vec<String> = text(&rows).lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(shown, ["MEMBER BEFORE AFTER", "m1 100.0 MiB 40.0 MiB", "m2 100.0 MiB left as it is", "m3 100.0 MiB -"]);
    }
}
