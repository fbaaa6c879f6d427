//! The common part of the commands that change etcd: what they observe, and what they refuse.

use futures_util::future::join;

use super::answers;
use crate::cli::session::Session;
use crate::cli::stop::Stop;
use crate::error::{Exit, Failure, chain};
use crate::facts::Facts;
use crate::host::HostName;
use crate::plan::refusals::{self, Refusal};

/// Observes the hosts, and asks the etcd members for their own state. Returns the facts, and why some hosts are not among them. Fails if no etcd host
/// answers, if a host belongs to another cluster, or if etcd has no leader.
pub(super) async fn observe(session: &Session) -> Result<(Facts, Vec<Failure>), Stop> {
    let (observed, (answers, mut failures)) = join(session.observe(&[], &[]), answers(session)).await;
    let mut facts = observed.facts;
    for failure in observed.failures.into_iter().filter(|f| !facts.hosts.contains_key(&f.host)) {
        if !failures.iter().any(|known| known.host == failure.host) {
            failures.push(failure);
        }
    }
    if answers.is_empty() {
        return Err(Stop::failed(failures));
    }
    for (host, answer) in answers {
        if let Some(f) = facts.hosts.get_mut(&host) {
            f.etcd = Some(answer);
        }
    }
    let hosts: Vec<HostName> = facts.hosts.keys().cloned().collect();
    let foreign = refusals::foreign(&session.inventory, &facts, &hosts);
    if !foreign.is_empty() {
        return Err(refused(failures, foreign));
    }
    match refusals::etcd::without_leader(&facts) {
        Some(refusal) => Err(refused(failures, vec![refusal])),
        None => Ok((facts, failures)),
    }
}

/// The stop because of refusals, of which hosts that were not observed may be the cause.
pub(super) fn refused(failures: Vec<Failure>, refusals: Vec<Refusal>) -> Stop {
    Stop::with(Exit::Refused).failures(failures).refusals(refusals)
}

/// The stop of a change that needs a healthy voting member, while none is healthy.
pub(super) fn unhealthy(failures: Vec<Failure>) -> Stop {
    refused(failures, vec![refusals::etcd::without_healthy_member()])
}

/// Warns of hosts that were not observed and are not needed for the change.
pub(super) fn warn(session: &Session, failures: &[Failure]) {
    for f in failures {
        session.report.warning(format!("{}: {}; the run goes on without this host", f.host, chain(&f.source)));
    }
}
