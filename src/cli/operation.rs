//! The one flow of every verb that changes hosts: observe the hosts, make a plan, show it, ask for consent, run it, observe the hosts again. Each
//! verb implements `Operation`.

use std::sync::Arc;

use super::lock::{self, LockError};
use super::session::{Observed, Reach, Session};
use super::stop::{Ended, Stop};
use super::{Call, random};
use crate::error::{Exit, Failure, chain};
use crate::facts::Facts;
use crate::host::HostName;
use crate::plan::{Plan, refusals};
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

    /// Shows the plan and returns the exit code if the verb ends here: in a dry run, or if the plan is empty. `None` if the plan is to be run.
    fn shown(&self, session: &Session, call: &Call, proposal: &Proposal<Self::Aim>) -> Option<Exit> {
        shown(session, call, proposal)
    }

    /// Asks the operator for consent to the plan; with `false`, the verb ends without a change. Most verbs do not ask and always return `true`.
    fn agreed(&self, _session: &Session, _call: &Call, _proposal: &Proposal<Self::Aim>) -> Result<bool, Stop> {
        Ok(true)
    }

    /// Reports how the run ended; `broken` has the failures of its steps.
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

/// Shows the plan and returns the exit code in a dry run, or if the plan is empty. Otherwise shows nothing and returns `None`.
pub fn shown<Aim>(session: &Session, call: &Call, proposal: &Proposal<Aim>) -> Option<Exit> {
    if !call.global.dry_run && !proposal.plan.is_empty() {
        return None;
    }
    session.report.failures(&proposal.failures);
    let result = if proposal.plan.is_empty() { "nothing to do" } else { "dry run" };
    session.report.result(&serde_json::json!({"result": result, "plan": proposal.plan}), &proposal.plan);
    Some(Exit::of(&proposal.failures))
}

/// Observes the connected hosts, which must include the control-plane hosts, and the cluster through the API. `lists` are API paths of lists to
/// request in addition to the nodes and the bootstrap tokens. Fails with the reason if no API server answers.
pub async fn observe_api(session: &Session, lists: &[String]) -> Result<Observed, Stop> {
    let observed = session.observe(&[], lists).await;
    if observed.facts.cluster.is_some() {
        return Ok(observed);
    }
    let unreachable = session.unreachable();
    if session.hosts.is_empty() {
        return Err(Stop::failed(unreachable));
    }
    // Some verbs connect only to control-plane hosts. A lost quorum of etcd is reported only if every etcd host was asked, because a host that was
    // not asked would count as lost.
    let was_asked = |name: &HostName| session.hosts.contains_key(name) || unreachable.iter().any(|f| f.host == *name);
    let members_were_asked = session.inventory.etcd_hosts().iter().all(|h| was_asked(&h.name));
    // Expired certificates are reported before a lost quorum, because they are its cause.
    let lost = refusals::quorum_lost(&session.inventory, &observed.facts).filter(|_| members_were_asked);
    let stop = Stop::with(Exit::Failed).failures(unreachable).failures(observed.failures);
    Err(match refusals::api_expired(&session.inventory, &observed.facts).or(lost) {
        Some(lost) => stop.then(Stop::refused(vec![lost])),
        None if observed.api_failed => stop,
        None => stop.then(api_away()),
    })
}

/// The stop of a verb that needs the API, if no API server answers.
pub fn api_away() -> Stop {
    Stop::with(Exit::Failed).error("no API server of the cluster answers", "see `clusterctl status`")
}

/// Locks the hosts, runs the plan, and unlocks the hosts. Returns the failures of steps. Fails if the run did not get its locks, lost one, or was
/// stopped by the operator.
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
    // The run has ended. Its last events are shown before any other message is printed.
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

/// The stop of a run that did not get its locks: the reason, the exit code, and a hint about what to do next.
pub(super) fn not_locked(e: &LockError) -> Stop {
    let (exit, hint) = match e {
        LockError::Held { .. } | LockError::Changed { .. } | LockError::Overtaken { .. } => (
            Exit::Locked,
            "wait until that run has ended, then run the same command again; a run whose operator is gone is given up after 30 s, and `clusterctl unlock` frees a lock that lasts",
        ),
        LockError::Host { .. } | LockError::Refused { .. } => (Exit::Failed, "mend the cause on the host, then run the same command again"),
    };
    Stop::with(exit).error(chain(e), hint)
}
