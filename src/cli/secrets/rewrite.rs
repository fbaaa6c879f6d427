//! `clusterctl secrets rewrite`.

use serde_json::json;

use crate::cli::Call;
use crate::cli::converge::stored_values;
use crate::cli::operation::{self, Operation, Proposal};
use crate::cli::session::Session;
use crate::cli::stop::{Ended, Stop};
use crate::error::{Exit, Failure};
use crate::facts::Facts;
use crate::host::HostName;
use crate::plan::Plan;
use crate::plan::encryption::rewrite;
use crate::plan::refusals::{self, Refusal};

/// Write everything that is encrypted again, with the first key
///
/// Reads the objects of the encrypted resources page by page and writes them again without a change, through an API server and on its host, so that
/// they are stored with the first key. An object that somebody else changes meanwhile is left alone, because that write has stored it already.
/// Afterwards, etcd is asked whether any value is stored in another way. `apply` and `secrets rotate-key` do this by themselves where it is needed.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl secrets rewrite --dry-run\n  clusterctl secrets rewrite")]
pub struct Args {}

impl Operation for Args {
    type Aim = ();

    async fn propose(&self, session: &Session, _call: &Call) -> Result<Proposal<()>, Stop> {
        let mut observed = operation::observe_api(session, &[]).await?;
        stored_values(session, &mut observed).await;
        let facts: Facts = observed.facts;
        let hosts: Vec<HostName> = facts.hosts.keys().cloned().collect();
        let foreign = refusals::foreign(&session.inventory, &facts, &hosts);
        if !foreign.is_empty() {
            return Err(Stop::refused(foreign));
        }
        let desired = rewrite::desired_steps(&session.inventory, &facts).map_err(|faults| Stop::refused(Refusal::encryption(faults)))?;
        let failures: Vec<Failure> = session.unreachable();
        Ok(Proposal { plan: Plan::of(&desired, &facts).0, facts, failures, aim: () })
    }

    async fn ended(&self, session: &Session, _call: &Call, proposal: Proposal<()>, broken: Vec<Failure>) -> Ended {
        let failures: Vec<Failure> = proposal.failures.into_iter().chain(broken).collect();
        if !failures.is_empty() {
            return Err(Stop::broken(failures));
        }
        session.report.result(&json!({"result": "done"}), "everything that is encrypted has been written again with the first key");
        Ok(Exit::Done)
    }
}
