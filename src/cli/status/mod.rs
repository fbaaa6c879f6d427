//! `clusterctl status`.

use std::collections::BTreeMap;

use futures_util::future::join;

use super::Call;
use super::session::{Observed, Reach, Session};
use super::stop::Ended;
use crate::error::{Exit, Failure};
use crate::facts::evictions::ALL_PODS;
use crate::facts::status::{self, HostStatus};
use crate::host::HostName;

mod add_ons;
mod checks;
mod control_plane;
mod judge;
mod model;
mod pods;
#[cfg(test)]
mod tests;
mod view;

use model::Status;

/// Show the state of the cluster
///
/// Shows the nodes, the versions, the health of every control-plane component, the leaders of the scheduler, the controller manager and
/// etcd, etcd's quorum, the certificates that expire first, and the load balancers. Works also while hosts are unreachable or no API server
/// answers. The exit code is 0 if the cluster is healthy and 1 otherwise. Changes nothing.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  clusterctl status -i prod.yaml\n  clusterctl status -i prod.yaml --pods\n  clusterctl status -i prod.yaml --output json | jq .problems"
)]
pub struct Args {
    /// Also show all pods by node, as `kubectl get pods --all-namespaces -o wide` does
    #[arg(long)]
    pods: bool,
}

/// Everything that was observed.
struct Seen {
    observed: Observed,
    /// The results of the checks, by the host that answered them.
    checks: BTreeMap<HostName, HostStatus>,
    unreachable: Vec<Failure>,
}

/// Runs the verb.
pub async fn run(call: &Call, args: &Args) -> Ended {
    let session = Session::open_to_look(call, Reach::Everyone).await?;
    let seen = look(&session, args.pods).await;
    let status = Status::of(&session.inventory, &seen, session.report.now());
    session.report.result(&status, view::text(&status, args.pods, session.report.now()));
    Ok(if status.healthy { Exit::Done } else { Exit::Failed })
}

async fn look(session: &Session, pods: bool) -> Seen {
    let commands = checks::of(&session.inventory).into_iter().map(|(host, checks)| (host, status::request(checks))).collect();
    let pods = pods.then_some(ALL_PODS);
    let lists: Vec<String> =
        [model::LEASES, add_ons::DEPLOYMENTS, add_ons::DAEMON_SETS].into_iter().chain(pods).map(String::from).collect();
    let (observed, answers) = join(session.observe(&[], &lists), session.each(commands)).await;
    // A host whose checks could not be run is skipped: its observation fails as well and reports the reason.
    let checks = answers.into_iter().filter_map(|(host, answer)| Some((host, status::parse(&answer.ok()?.stdout)))).collect();
    Seen { observed, checks, unreachable: session.unreachable() }
}
