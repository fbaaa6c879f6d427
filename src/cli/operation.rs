//! The one flow of every verb that changes hosts: observe, plan, show, ask, run, observe again. Each verb implements `Operation`.

use std::sync::Arc;

use super::lock::{self, LockError};
use super::session::{Observed, Reach, Session};
use super::stop::{Ended, Stop};
use super::{Call, random};
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

/// The parts of the flow that differ between verbs. In every method, an error ends the run at this point.
pub trait Operation {
    /// See [`Proposal::aim`].
    type Aim;

    /// Observes the hosts, refuses a run that must not begin, and makes the plan.
    async fn propose(&self, session: &Session, call: &Call) -> Result<Proposal<Self::Aim>, Stop>;

    /// Ends a dry run, and a run that has nothing to do. `None`: the run goes on.
    fn shown(&self, session: &Session, call: &Call, proposal: &Proposal<Self::Aim>) -> Option<Exit> {
        shown(session, call, proposal)
    }

    /// Whether the operator agrees to the plan. Most verbs ask no question.
    fn agreed(&self, _session: &Session, _call: &Call, _proposal: &Proposal<Self::Aim>) -> Result<bool, Stop> {
        Ok(true)
    }

    /// Reports how the run ended; `broken` are the steps that failed.
    async fn ended(&self, session: &Session, call: &Call, proposal: Proposal<Self::Aim>, broken: Vec<Failure>) -> Ended;
}

/// Connects to the hosts and runs the operation.
pub async fn run<O: Operation>(operation: &O, call: &Call, reach: Reach) -> Ended {
    operate(operation, &Session::open(call, reach).await?, call).await
}

/// Runs the operation on hosts that are connected already.
pub async fn operate<O: Operation>(operation: &O, session: &Session, call: &Call) -> Ended {
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

/// Observes the cluster through the API; the control-plane hosts must be connected. `lists` are API paths of further lists. The error tells why
/// the API does not answer.
pub async fn observe_api(session: &Session, lists: &[String]) -> Result<Observed, Stop> {
    let observed = session.observe(&[], lists).await;
    if observed.facts.cluster.is_some() {
        return Ok(observed);
    }
    let unreachable = session.unreachable();
    if session.hosts.is_empty() {
        return Err(Stop::failed(unreachable));
    }
    // Some verbs connect only to control-plane hosts, so an etcd host that was not asked does not count as unreachable.
    let was_asked = |name: &HostName| session.hosts.contains_key(name) || unreachable.iter().any(|f| f.host == *name);
    let members_were_asked = session.inventory.etcd_hosts().iter().all(|h| was_asked(&h.name));
    let lost = blockers::quorum_lost(&session.inventory, &observed.facts).filter(|_| members_were_asked);
    let stop = Stop::with(Exit::Failed).failures(unreachable).failures(observed.failures);
    Err(match lost {
        Some(lost) => stop.then(Stop::refused(vec![lost])),
        None if observed.api_failed => stop,
        None => stop.error("no API server of the cluster answers", "see `clusterctl status`"),
    })
}

/// Locks the hosts, runs the plan, and unlocks the hosts. Returns the failures of steps. An error ends a run that did not get its locks, lost one,
/// or was stopped by the operator.
pub async fn carry_out(session: &Session, call: &Call, plan: &Plan, facts: &Facts) -> Result<Vec<Failure>, Stop> {
    let run = random::text(8, random::HEX);
    let (_running, stop) = call.interrupt.run();
    let wanted = lock::Wanted::of(&session.inventory, plan.hosts(), facts);
    let locks = lock::acquire(&session.hosts, &wanted, &run, &lock::who(), facts, Arc::clone(&stop)).await.map_err(|e| not_locked(&e))?;
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
        let hint = "wait until that run has ended, then run the same command again: it goes on from here";
        return Err(Stop::with(Exit::Locked).failures(failures).error(lost, hint));
    }
    if failures.is_empty() && stop.load(std::sync::atomic::Ordering::SeqCst) {
        return Err(Stop::with(Exit::Interrupted).note("stopped between two steps; the same command goes on from here"));
    }
    Ok(failures)
}

/// Why a run does not get its locks, with the exit code and the next command.
fn not_locked(e: &LockError) -> Stop {
    let (exit, hint) = match e {
        LockError::Held { .. } | LockError::Changed { .. } | LockError::Overtaken { .. } => (
            Exit::Locked,
            "wait until that run has ended, then run the same command again; a run whose operator is gone is given up after 30 s, and `clusterctl unlock` frees a lock that lasts",
        ),
        LockError::Host { .. } | LockError::Refused { .. } => (Exit::Failed, "mend the cause on the host, then run the same command again"),
    };
    Stop::with(exit).error(chain(e), hint)
}
