//! `clusterctl etcd compact`.

use serde_json::json;

use super::change;
use crate::cli::Call;
use crate::cli::operation::{Operation, Proposal};
use crate::cli::session::Session;
use crate::cli::stop::{Ended, Stop};
use crate::error::{Exit, Failure};
use crate::facts::Facts;
use crate::plan::{self, Plan};

/// Remove old revisions of keys
///
/// API servers compact the history every 5 minutes by themselves (`--etcd-compaction-interval`), so this command is needed only where no API server
/// runs, or where a database has reached its quota. The newest value of each key always stays. Watches and lists of clients that began before the
/// revision must begin again. The database shrinks only by `etcd defrag` afterwards.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  clusterctl etcd compact\n  clusterctl etcd compact --keep 1000 --yes\n  clusterctl etcd compact --revision 812345"
)]
pub struct Args {
    /// Remove what is older than this revision
    #[arg(long, value_name = "N", conflicts_with = "keep", value_parser = clap::value_parser!(u64).range(1..))]
    revision: Option<u64>,
    /// Keep this many of the newest revisions
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    keep: u64,
}

/// The newest revision, and the revision up to which the history is removed.
pub struct Aim {
    newest: u64,
    revision: u64,
}

impl Operation for Args {
    type Aim = Aim;

    async fn propose(&self, session: &Session, _call: &Call) -> Result<Proposal<Aim>, Stop> {
        let (facts, failures) = change::observe(session).await?;
        let Some(through) = plan::etcd::through(&session.inventory, &facts) else { return Err(change::unhealthy(failures)) };
        change::warn(session, &failures);
        let newest = newest(&facts);
        let revision = self.revision.unwrap_or(newest.saturating_sub(self.keep));
        if revision > newest {
            let message = format!("etcd has no revision {revision}: the newest one is {newest}");
            return Err(Stop::with(Exit::Usage).error(message, "choose an older revision, or leave `--revision` out"));
        }
        let desired = match revision {
            0 => {
                session.report.note(format!("etcd has only {newest} revisions, and {} are kept; see `--keep`", self.keep));
                vec![]
            }
            _ => plan::etcd::compact(through, revision),
        };
        Ok(Proposal { plan: Plan::of(&desired, &facts).0, facts, failures: vec![], aim: Aim { newest, revision } })
    }

    fn agreed(&self, session: &Session, _call: &Call, proposal: &Proposal<Aim>) -> Result<bool, Stop> {
        session.report.say(&proposal.plan);
        let Aim { newest, revision } = proposal.aim;
        session.report.confirm(&format!(
            "remove what is older than revision {revision} (the newest one is {newest})? API servers do this every 5 minutes by themselves."
        ))
    }

    async fn ended(&self, session: &Session, _call: &Call, proposal: Proposal<Aim>, broken: Vec<Failure>) -> Ended {
        if !broken.is_empty() {
            return Err(Stop::broken(broken));
        }
        let Aim { newest, revision } = proposal.aim;
        let value = json!({"result": "done", "revision": revision, "newest": newest});
        let text =
            format!("the history of etcd begins with revision {revision}; `clusterctl etcd defrag` gives the space back to the disks");
        session.report.result(&value, text);
        Ok(Exit::Done)
    }
}

/// The newest revision that a member has.
fn newest(facts: &Facts) -> u64 {
    let revisions = facts.hosts.values().filter_map(|f| Some(f.etcd.as_ref()?.status.as_ref()?.revision));
    revisions.max().unwrap_or(0)
}
