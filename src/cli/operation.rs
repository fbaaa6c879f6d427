//! The one flow of every verb that changes hosts: observe, plan, show, ask, run, observe again. Each verb implements `Operation`.

use std::sync::Arc;

use super::session::{Observed, Reach, Session};
use super::{Call, lock, random};
use crate::error::{Exit, Failure, chain};
use crate::facts::Facts;
use crate::host::HostName;
use crate::plan::{Plan, blockers};
use crate::run::Run;

/// The plan of a verb, and the facts from which the plan was made.
pub struct Proposal<Aim> {
    pub plan: Plan,
    pub facts: Facts,
    /// Why some hosts were not observed. The run goes on without these hosts.
    pub failures: Vec<Failure>,
    /// Data that the verb needs again after the run has ended.
    pub aim: Aim,
}

/// The parts of the flow that differ between verbs. In every method, an error is the exit code of a run that ends at this point; the method has
/// reported the reason.
pub trait Operation {
    /// See [`Proposal::aim`].
    type Aim;

    /// Observes the hosts, refuses a run that must not begin, and makes the plan.
    async fn propose(&self, session: &Session, call: &Call) -> Result<Proposal<Self::Aim>, Exit>;

    /// Ends a dry run, and a run that has nothing to do. `None`: the run goes on.
    fn shown(&self, session: &Session, call: &Call, proposal: &Proposal<Self::Aim>) -> Option<Exit> {
        shown(session, call, proposal)
    }

    /// Whether the operator agrees to the plan. Most verbs ask no question.
    fn agreed(&self, _session: &Session, _call: &Call, _proposal: &Proposal<Self::Aim>) -> Result<bool, Exit> {
        Ok(true)
    }

    /// Reports how the run ended; `broken` are the steps that failed.
    async fn ended(&self, session: &Session, call: &Call, proposal: Proposal<Self::Aim>, broken: Vec<Failure>) -> Result<Exit, Exit>;
}

/// Connects to the hosts and runs the operation.
pub async fn run<O: Operation>(operation: &O, call: &Call, reach: Reach) -> Exit {
    match Session::open(call, reach).await {
        Ok(session) => operate(operation, &session, call).await,
        Err(exit) => exit,
    }
}

/// Runs the operation on hosts that are connected already.
pub async fn operate<O: Operation>(operation: &O, session: &Session, call: &Call) -> Exit {
    flow(operation, session, call).await.unwrap_or_else(|exit| exit)
}

async fn flow<O: Operation>(operation: &O, session: &Session, call: &Call) -> Result<Exit, Exit> {
    let proposal = operation.propose(session, call).await?;
    if let Some(exit) = operation.shown(session, call, &proposal) {
        return Ok(exit);
    }
    if !operation.agreed(session, call, &proposal)? {
        session.report.note("no host was changed");
        return Ok(Exit::Interrupted);
    }
    let broken = carry_out(session, call, &proposal.plan, &proposal.facts).await?;
    operation.ended(session, call, proposal, broken).await
}

/// Ends a dry run, and a run that has nothing to do, by showing the plan.
pub fn shown<Aim>(session: &Session, call: &Call, proposal: &Proposal<Aim>) -> Option<Exit> {
    if !call.global.dry_run && !proposal.plan.is_empty() {
        return None;
    }
    session.report.failures(&proposal.failures);
    let result = if proposal.plan.is_empty() { "nothing to do" } else { "dry run" };
    session.report.result(&serde_json::json!({"result": result, "plan": proposal.plan}), &proposal.plan);
    Some(Exit::of(&proposal.failures))
}

/// Observes the cluster through the API; the control-plane hosts must be connected. `lists` are API paths of further lists. If the API does not
/// answer, the reason is reported, and the error is the exit code.
pub async fn observe_api(session: &Session, lists: &[String]) -> Result<Observed, Exit> {
    let observed = session.observe(&[], lists).await;
    if observed.facts.cluster.is_some() {
        return Ok(observed);
    }
    let (report, unreachable) = (&session.report, session.unreachable());
    report.failures(&unreachable);
    report.failures(&observed.failures);
    if session.hosts.is_empty() {
        return Err(Exit::of(&unreachable));
    }
    // Some verbs connect only to control-plane hosts, so an etcd host that was not asked does not count as unreachable.
    let was_asked = |name: &HostName| session.hosts.contains_key(name) || unreachable.iter().any(|f| f.host == *name);
    if session.inventory.etcd_hosts().iter().all(|h| was_asked(&h.name))
        && let Some(lost) = blockers::quorum_lost(&session.inventory, &observed.facts)
    {
        report.blockers(&[lost]);
        return Err(Exit::Refused);
    }
    if !observed.api_failed {
        report.error("no API server of the cluster answers", Some("see `clusterctl status`"));
    }
    Err(Exit::Failed)
}

/// Locks the hosts, runs the plan, and unlocks the hosts. Returns the failures of steps. An error is the exit code of a run that did not get its
/// locks, lost one, or was stopped by the operator; the reason has been reported.
pub async fn carry_out(session: &Session, call: &Call, plan: &Plan, facts: &Facts) -> Result<Vec<Failure>, Exit> {
    let run = random::text(8, random::HEX);
    let (_running, stop) = call.interrupt.run();
    let wanted = lock::Wanted::of(&session.inventory, plan.hosts(), facts);
    let locks = lock::acquire(&session.hosts, &wanted, &run, &lock::who(), facts, Arc::clone(&stop)).await.map_err(|e| {
        let hint = "wait until that run has ended, then run the same command again; a run whose operator is gone is given up after 30 s, and `clusterctl unlock` frees a lock that lasts";
        session.report.error(chain(&e), Some(hint));
        if matches!(e, lock::LockError::Host { .. } | lock::LockError::Refused { .. }) { Exit::Failed } else { Exit::Locked }
    })?;
    for e in locks.passed_over() {
        session.report.warning(format!("{}; this run does not change the host and goes on", chain(e)));
    }
    let (events, showing) = session.report.events();
    let failures = Run { id: &run, hosts: &session.hosts, forks: session.forks, events, stop: Arc::clone(&stop) }.run(plan).await;
    // The run has ended; its remaining events are shown before anything else.
    let _ = showing.await;
    let lost = locks.lost().map(|e| chain(e));
    locks.release().await;
    if let Some(lost) = lost {
        session.report.failures(&failures);
        session.report.error(lost, Some("wait until that run has ended, then run the same command again: it goes on from here"));
        return Err(Exit::Locked);
    }
    if failures.is_empty() && stop.load(std::sync::atomic::Ordering::SeqCst) {
        session.report.note("stopped between two steps; the same command goes on from here");
        return Err(Exit::Interrupted);
    }
    Ok(failures)
}
