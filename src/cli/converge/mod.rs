//! The verbs that bring a cluster to a goal: init, apply, plan, join, remove, replace and upgrade.

use jiff::Timestamp;

mod budgets;
mod look;
mod network;
mod record;
mod repair;
pub(super) mod run_inputs;
mod sources;
pub mod upgrade;
mod verify;

pub(super) use look::{look, stored_values};

use super::operation::{self, Operation, Proposal};
use super::report::Report;
use super::session::{Observed, Reach, Session};
use super::stop::{Ended, Stop};
use super::{Call, limit};
use crate::error::{Exit, Failure, chain};
use crate::facts::Facts;
use crate::facts::evictions::{self, PODS};
use crate::layout;
use crate::plan::desired::PlanDefect;
use crate::plan::encryption;
use crate::plan::goal::Goal;
use crate::plan::refusals::{self, Refusal};
use crate::plan::situation::ClusterState;
use crate::plan::{Planning, RunInputs, WholeRun, copies, whole_run};

/// Plans the steps that reach the goal, shows them, runs them, and reports the result.
pub async fn converge(call: &Call, goal: Goal) -> Ended {
    operation::run(&Converge { goal, shows_only: false }, call, Reach::Everyone).await
}

/// Shows the steps that would reach the goal, and changes nothing.
pub async fn preview(call: &Call, goal: Goal) -> Ended {
    operation::run(&Converge { goal, shows_only: true }, call, Reach::Everyone).await
}

/// A run towards a goal.
struct Converge {
    goal: Goal,
    /// Whether the plan is only shown, as by `clusterctl plan`. The exit code is then `ChangesRemain` if the plan is not empty.
    shows_only: bool,
}

/// The goal of a run, and the other inputs of the run.
struct Aim {
    /// The goal of the run. The goal of an upgrade names the patch version of each minor version between the running version and the target.
    goal: Goal,
    run_inputs: RunInputs,
}

impl Operation for Converge {
    type Aim = Aim;

    async fn propose(&self, session: &Session, call: &Call) -> Result<Proposal<Aim>, Stop> {
        let report = &session.report;
        limit::select(&session.inventory, &self.goal.named())?;
        let run_inputs = run_inputs::pack(session, call).await?;
        if self.goal == Goal::Found {
            // The keys are made while the hosts are observed.
            run_inputs.keys.ahead_for_new_cluster(session.inventory.control_planes().count());
        }
        let mut observed = self.observe_and_repair(session, call, &run_inputs).await?;
        let mut failures: Vec<Failure> = std::mem::take(&mut observed.failures).into_iter().chain(session.unreachable()).collect();
        // A host that is removed with `--dead` does not answer, so its failure is not reported.
        failures.retain(|f| !self.goal.leaving().is_some_and(|l| l.dead && l.hosts.contains(&f.host)));
        if self.goal.renew().is_some() {
            // An API server that cannot be used is what a renewal is for.
            failures.retain(|f| !observed.facts.hosts.contains_key(&f.host));
        }
        copies::warnings(&observed.facts).iter().for_each(|(host, message)| report.warning(format!("{host}: {message}")));
        let goal = match &self.goal {
            Goal::Upgrade(u) => Goal::Upgrade(Box::new(upgrade::with_offers(u, session, &observed.facts).await)),
            Goal::RotateKey(_) => Goal::RotateKey(encryption::number_to_bring(&session.inventory, &observed.facts)),
            other => other.clone(),
        };
        let WholeRun { refusals: mut found, warnings, plan, .. } = planned(session, &run_inputs, &observed.facts, &goal)?;
        warn(report, &warnings);
        if let Some(u) = goal.upgrade() {
            let findings = upgrade::judged(session, &observed, u).await;
            findings.warnings.iter().for_each(|(host, message)| report.warning(format!("{host}: {message}")));
            found.extend(findings.refusals);
        }
        if found.is_empty() {
            let (missing, blocked) =
                tokio::join!(sources::missing(session, &run_inputs, &plan), network::blocked(session, &plan, &observed.facts));
            found = [missing, blocked].concat();
        }
        if !found.is_empty() {
            let away = found.iter().all(|b| b.name == refusals::UNREACHABLE_MASTER);
            let exit = if away { Exit::Unreachable } else { Exit::Refused };
            return Err(Stop::with(exit).failures(failures).refusals(found));
        }
        if plan.is_empty() && goal.upgrade().is_some() && !self.shows_only {
            record::oldest(session, call, &observed.facts);
        }
        Ok(Proposal { plan, facts: observed.facts, failures, aim: Aim { goal, run_inputs } })
    }

    fn shown(&self, session: &Session, call: &Call, proposal: &Proposal<Aim>) -> Option<Exit> {
        let Proposal { plan, failures, .. } = proposal;
        if !self.shows_only {
            return operation::shown(session, call, proposal);
        }
        session.report.failures(failures);
        session.report.result(&serde_json::json!({"plan": plan}), plan);
        Some(match (failures.is_empty(), plan.is_empty()) {
            (false, _) => Exit::of(failures),
            (true, false) => Exit::ChangesRemain,
            (true, true) => Exit::Done,
        })
    }

    fn agreed(&self, session: &Session, _call: &Call, proposal: &Proposal<Aim>) -> Result<bool, Stop> {
        let report = &session.report;
        if self.goal == Goal::Found && ClusterState::of(&proposal.facts).exists() {
            return Err(Stop::refused(vec![Refusal::finished(&session.inventory, &proposal.plan)]));
        }
        let name = &session.inventory.cluster.name;
        let question = match (&self.goal, self.goal.leaving()) {
            (_, Some(leaving)) => leaving.question(name),
            (Goal::RotateKey(_), _) => format!("change the key with which cluster {name} encrypts what it stores?"),
            (Goal::Renew(_), _) => format!("renew these certificates of cluster {name}?"),
            _ => return Ok(true),
        };
        report.say(&proposal.plan);
        report.confirm(&question)
    }

    async fn ended(&self, session: &Session, call: &Call, proposal: Proposal<Aim>, broken: Vec<Failure>) -> Ended {
        let Proposal { mut failures, aim, plan, .. } = proposal;
        if plan.writes(layout::ADMIN_CONF) {
            session.report.note("admin.conf has a new certificate, and kubeconfigs that were fetched before keep the old one: fetch it again with `clusterctl kubeconfig --merge`");
        }
        let all_ran = broken.is_empty();
        failures.extend(broken);
        if failures.is_empty() {
            return verify::verify(session, call, &aim).await;
        }
        let stop = Stop::broken(failures);
        if all_ran
            && self.goal.upgrade().is_some()
            && let Err(later) = verify::verify(session, call, &aim).await
        {
            return Err(stop.then(later));
        }
        Err(stop)
    }
}

impl Converge {
    /// Observes the hosts. If control planes must be restored before the goal can be planned, restores them and observes the hosts again.
    async fn observe_and_repair(&self, session: &Session, call: &Call, run_inputs: &RunInputs) -> Result<Observed, Stop> {
        let lists = if self.goal.upgrade().is_some() { evictions::lists(&[PODS.into()]) } else { vec![] };
        let mut observed = look(session, run_inputs, &self.goal, &lists).await;
        if !observed.api_failed
            && let Some(repair) = repair::planned(session, run_inputs, &observed.facts, &self.goal)?
        {
            repair::carried_out(session, call, self.shows_only, repair, observed).await?;
            observed = look(session, run_inputs, &self.goal, &lists).await;
        }
        // A request to the API failed, so facts are missing and a plan could be wrong. The failure names the request. A renewal of certificates needs no
        // fact of the API.
        if observed.api_failed && self.goal.renew().is_none() {
            let stop = Stop::failed(observed.failures);
            let expired = refusals::api_expired(&session.inventory, &observed.facts);
            return Err(expired.into_iter().fold(stop, |stop, refusal| stop.then(Stop::refused(vec![refusal]))));
        }
        Ok(observed)
    }
}

/// Tells what does not keep the run from beginning, such as what is wrong with hosts that the run does not change.
fn warn(report: &Report, warnings: &[Refusal]) {
    for w in warnings {
        let host = if w.host.is_empty() { String::new() } else { format!("{}: ", w.host) };
        report.warning(format!("{host}{} [{}]; {}", w.message, w.name, w.fix));
    }
}

/// Plans the run that reaches `goal` from the state in `facts`. The result has refusals if the run must not begin. An error means that no plan can be
/// made, which is a defect of clusterctl.
pub(super) fn planned(session: &Session, inputs: &RunInputs, facts: &Facts, goal: &Goal) -> Result<WholeRun, Stop> {
    whole_run(goal, facts, &planning(session, inputs)).map_err(|e| defect(&e))
}

fn planning<'a>(session: &'a Session, inputs: &'a RunInputs) -> Planning<'a> {
    Planning { inv: &session.inventory, selected: &session.selected, inputs, now: Timestamp::now() }
}

fn defect(e: &PlanDefect) -> Stop {
    Stop::with(Exit::Failed).error(chain(e), "this is a defect of clusterctl; please report it with the inventory")
}
