//! The flow of every command that changes the cluster by a plan: observe, plan, show, run, observe again.

use std::sync::Arc;

use jiff::Timestamp;

mod budgets;
mod look;
mod repair;
pub(super) mod run_inputs;
mod sources;
pub mod upgrade;

pub(super) use look::look;

use super::report::Blocked;
use super::session::{Observed, Reach, Session};
use super::upgrade::record::version as record_version;
use super::{Call, limit, lock};
use crate::error::{Exit, Failure, chain};
use crate::facts::Facts;
use crate::facts::evictions::{self, PODS};
use crate::plan::blockers::{self, Blocker};
use crate::plan::cluster::{self, PageError};
use crate::plan::goal::Goal;
use crate::plan::upgrade::Running;
use crate::plan::{Plan, Planning, RunInputs, WholeRun, whole_run};
use crate::run::Run;
use crate::step::Step;

/// Plans what reaches the goal, shows it, runs it, and tells how that ended.
pub async fn converge(call: &Call, goal: Goal) -> Exit {
    reach(call, &goal, false).await
}

/// Shows what would reach the goal, and changes nothing.
pub async fn preview(call: &Call, goal: Goal) -> Exit {
    reach(call, &goal, true).await
}

async fn reach(call: &Call, goal: &Goal, shows_only: bool) -> Exit {
    let session = match Session::open(call, Reach::Everyone).await {
        Ok(session) => session,
        Err(exit) => return exit,
    };
    match flow(&session, call, goal, shows_only).await {
        Ok(exit) | Err(exit) => exit,
    }
}

async fn flow(session: &Session, call: &Call, goal: &Goal, shows_only: bool) -> Result<Exit, Exit> {
    let report = &session.report;
    if let Err(fault) = limit::select(&session.inventory, &goal.named()) {
        report.error(fault.message, Some(&fault.hint));
        return Err(Exit::Usage);
    }
    let run_inputs = run_inputs::pack(session, call).await?;
    let lists = if goal.upgrade().is_some() { evictions::lists(&[PODS.into()]) } else { vec![] };
    let mut observed = look(session, &run_inputs, goal, &lists).await;
    if !observed.api_failed
        && let Some(repair) = repair::planned(session, &run_inputs, &observed.facts, goal)?
    {
        if let Some(exit) = repair::carried_out(session, call, shows_only, &repair, &observed).await? {
            return Ok(exit);
        }
        observed = look(session, &run_inputs, goal, &lists).await;
    }
    if observed.api_failed {
        // Without these facts of the API no plan would be right; the failure names the question.
        session.report.failures(&observed.failures);
        return Err(worst(&observed.failures));
    }
    let mut failures: Vec<Failure> = std::mem::take(&mut observed.failures).into_iter().chain(session.unreachable()).collect();
    // It is no failure that a machine which is gone for good does not answer.
    failures.retain(|f| !goal.leaving().is_some_and(|l| l.dead && l.hosts.contains(&f.host)));
    let chosen;
    let goal = match goal {
        Goal::Upgrade(u) => {
            chosen = Goal::Upgrade(Box::new(upgrade::with_offers(u, session, &observed.facts).await));
            &chosen
        }
        other => other,
    };
    let WholeRun { refusals: mut found, plan, .. } = planned(session, &run_inputs, &observed.facts, goal)?;
    if let Some(u) = goal.upgrade() {
        let findings = upgrade::judged(session, &observed, u).await;
        findings.warnings.iter().for_each(|(host, message)| report.warning(format!("{host}: {message}")));
        found.extend(findings.blockers);
    }
    if !found.is_empty() {
        report.failures(&failures);
        refuse(session, &found);
        let away = found.iter().all(|b| b.name == blockers::UNREACHABLE_MASTER);
        return Err(if away { Exit::Unreachable } else { Exit::Refused });
    }
    let facts = observed.facts;
    let found = sources::missing(session, &plan).await;
    if !found.is_empty() {
        report.failures(&failures);
        refuse(session, &found);
        return Err(Exit::Refused);
    }
    if shows_only {
        report.failures(&failures);
        report.result(&serde_json::json!({"plan": &plan}), &plan);
        return Ok(match (failures.is_empty(), plan.is_empty()) {
            (false, _) => worst(&failures),
            (true, false) => Exit::ChangesRemain,
            (true, true) => Exit::Done,
        });
    }
    if plan.is_empty() && goal.upgrade().is_some() {
        record(session, call, &facts);
    }
    if let Some(exit) = shown(session, call, &plan, &failures) {
        return Ok(exit);
    }
    if *goal == Goal::Found && cluster::established(&facts) {
        refuse(session, &[Blocker::finished(&session.inventory, &plan)]);
        return Err(Exit::Refused);
    }
    if let Some(leaving) = goal.leaving() {
        report.say(&plan);
        if !report.confirm(&leaving.question(&session.inventory.cluster.name))? {
            report.note("nothing was changed");
            return Ok(Exit::Interrupted);
        }
    }
    let away = !failures.is_empty();
    let broken = carry_out(session, call, &plan, &facts).await?;
    let all_ran = broken.is_empty();
    failures.extend(broken);
    if !failures.is_empty() {
        report.failures(&failures);
        if all_ran && goal.upgrade().is_some() {
            verify(session, call, &run_inputs, goal).await?;
        }
        // The others are done, so it is a failure of the run, not of the network alone.
        return Ok(if away { Exit::Failed } else { worst(&failures) });
    }
    verify(session, call, &run_inputs, goal).await
}

/// Ends a dry run, and a run with nothing to do.
pub fn shown(session: &Session, call: &Call, plan: &Plan, failures: &[Failure]) -> Option<Exit> {
    if !call.global.dry_run && !plan.is_empty() {
        return None;
    }
    session.report.failures(failures);
    let result = if plan.is_empty() { "nothing to do" } else { "dry run" };
    session.report.result(&serde_json::json!({"result": result, "plan": plan}), plan);
    Some(worst(failures))
}

/// Locks, runs, unlocks.
pub async fn carry_out(session: &Session, call: &Call, plan: &Plan, facts: &Facts) -> Result<Vec<Failure>, Exit> {
    let run = random_text(8, b"0123456789abcdef");
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

/// The plan after another look at the hosts.
async fn remains(session: &Session, run_inputs: &RunInputs, goal: &Goal) -> Result<(Facts, Vec<Failure>, Plan), Exit> {
    let Observed { facts, failures, .. } = look(session, run_inputs, goal, &[]).await;
    let WholeRun { refusals, plan: left, .. } = planned(session, run_inputs, &facts, goal)?;
    // The plan of a run that is refused is incomplete, so its emptiness would not mean that nothing is left.
    if failures.is_empty() && !refusals.is_empty() {
        session.report.note("what is left cannot be told, because the next run would be refused:");
        refuse(session, &refusals);
        return Err(Exit::Failed);
    }
    // The check of flags is repeated after a pause, so it does not count.
    let asks = left.steps().all(|(_, _, s)| matches!(s.step, Step::CheckFlags(_)));
    Ok((facts, failures, if asks { Plan::default() } else { left }))
}

/// Looks again after the run: it is done when the next plan is empty.
async fn verify(session: &Session, call: &Call, run_inputs: &RunInputs, goal: &Goal) -> Result<Exit, Exit> {
    let (mut facts, mut failures, mut left) = remains(session, run_inputs, goal).await?;
    // Consequences of the run may still be under way, such as a DaemonSet's pod on a new node, or a scheduler that restarts after it lost
    // its lease. They are waited for and not reported as differences.
    let settles = |s: &Step| matches!(s, Step::Wait(_) | Step::CheckFlags(_)) || !s.static_pods().is_empty();
    if failures.is_empty() && !left.is_empty() && left.steps().all(|(_, _, s)| settles(&s.step)) {
        failures = carry_out(session, call, &left, &facts).await?;
        if failures.is_empty() {
            (facts, failures, left) = remains(session, run_inputs, goal).await?;
        }
    }
    if !failures.is_empty() {
        session.report.failures(&failures);
        return Ok(worst(&failures));
    }
    let name = &session.inventory.cluster.name;
    if left.is_empty()
        && let Some(leaving) = goal.leaving()
    {
        let hosts = leaving.hosts.join(", ");
        let said = format!("{hosts} left cluster {name}; take it out of the inventory, or the next `apply` brings it in again");
        session.report.result(&serde_json::json!({"result": "done", "cluster": name, "removed": leaving.hosts}), said);
        return Ok(Exit::Done);
    }
    if goal.upgrade().is_some() {
        record(session, call, &facts);
    }
    if left.is_empty()
        && let Some(u) = goal.upgrade()
    {
        let paused = u.pause_after.is_some();
        let said = match paused {
            true => format!("paused; cluster {name} is on its way to {}: the same command without `--pause-after` goes on", u.to),
            false => format!("cluster {name} runs {}", u.to),
        };
        session.report.result(&serde_json::json!({"result": "done", "cluster": name, "version": u.to, "paused": paused}), said);
        return Ok(Exit::Done);
    }
    if left.is_empty() {
        session.report.result(&serde_json::json!({"result": "done", "cluster": name}), format!("cluster {name} is as the inventory says"));
        return Ok(Exit::Done);
    }
    session.report.note("the hosts are still not as they should be; what is left:");
    session.report.result(&serde_json::json!({"result": "changes remain", "plan": &left}), &left);
    Ok(Exit::Failed)
}

/// Writes the new version to the inventory once all API servers have it.
fn record(session: &Session, call: &Call, facts: &Facts) {
    if let Some(now) = Running::of(&session.inventory, facts).oldest().filter(|_| !call.global.dry_run) {
        record_version(call, &session.inventory.cluster.version, now);
    }
}

/// What the run would do, as it is known from these facts.
pub(super) fn planned(session: &Session, inputs: &RunInputs, facts: &Facts, goal: &Goal) -> Result<WholeRun, Exit> {
    whole_run(goal, facts, &planning(session, inputs)).map_err(|e| defect(session, &e))
}

fn planning<'a>(session: &'a Session, inputs: &'a RunInputs) -> Planning<'a> {
    Planning { inv: &session.inventory, selected: &session.selected, inputs, now: Timestamp::now() }
}

/// Reports that no plan can be made.
fn defect(session: &Session, e: &PageError) -> Exit {
    session.report.error(chain(e), Some("this is a defect of clusterctl; please report it with the inventory"));
    Exit::Failed
}

/// Reports why the run was refused.
pub fn refuse(session: &Session, blockers: &[Blocker]) {
    let blocked = |b: &Blocker| (b.host.clone(), b.name, b.message.clone(), b.fix.clone());
    let all: Vec<_> = blockers.iter().map(blocked).collect();
    session.report.blockers(all.iter().map(|(host, name, message, fix)| Blocked {
        host: (!host.is_empty()).then_some(host.as_str()),
        name,
        message: message.clone(),
        fix: fix.clone(),
    }));
}

pub(super) fn worst(failures: &[Failure]) -> Exit {
    let mut exits: Vec<Exit> = failures.iter().map(Failure::exit).collect();
    exits.sort();
    match exits.as_slice() {
        // Some hosts were done, so it is a failure of the run, not of the network alone.
        [] => Exit::Done,
        all if all.iter().all(|e| *e == all[0]) => all[0],
        _ => Exit::Failed,
    }
}

pub fn random_text(length: usize, alphabet: &[u8]) -> String {
    use rand::RngExt;
    let mut rng = rand::rng();
    (0..length).map(|_| char::from(alphabet[rng.random_range(0..alphabet.len())])).collect()
}
