//! `clusterctl status`.

use std::collections::BTreeMap;

use futures::future::join;

use super::Call;
use super::session::{Observed, Reach, Session};
use crate::error::{Exit, Failure};
use crate::facts::status::{self, HostStatus};
use crate::host::HostName;

mod checks;
mod control_plane;
mod judge;
mod model;
#[cfg(test)]
mod tests;
mod view;

use model::Status;

/// Show how the cluster is
///
/// Nodes, versions, the health of every control-plane component, who leads scheduler, controller manager and etcd, etcd's quorum, the
/// certificates that expire first, and load balancers. Works while hosts are unreachable and without any API server. Exit code 0 if all
/// is well, 1 if something is wrong. Touches nothing.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl status -i prod.yaml\n  clusterctl status -i prod.yaml --output json | jq .problems")]
pub struct Args {}

/// Everything that was found out.
struct Seen {
    observed: Observed,
    /// Hosts that answered the checks.
    checks: BTreeMap<HostName, HostStatus>,
    unreachable: Vec<Failure>,
}

/// Runs the verb.
pub async fn run(call: &Call, _args: &Args) -> Exit {
    let session = match Session::open(call, Reach::Everyone).await {
        Ok(session) => session,
        Err(exit) => return exit,
    };
    let seen = look(&session).await;
    let status = Status::of(&session.inventory, &seen, session.report.now());
    session.report.result(&status, view::text(&status));
    if status.healthy { Exit::Done } else { Exit::Failed }
}

async fn look(session: &Session) -> Seen {
    let commands = checks::of(&session.inventory).into_iter().map(|(host, checks)| (host, status::request(checks))).collect();
    let (observed, answers) = join(session.observe(&[], &[model::LEASES]), session.each(commands)).await;
    // A host that fails here fails the observation too, which tells why.
    let checks = answers.into_iter().filter_map(|(host, answer)| Some((host, status::parse(&answer.ok()?.stdout)))).collect();
    Seen { observed, checks, unreachable: session.unreachable() }
}
