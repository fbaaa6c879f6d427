//! Makes the plan of a whole run. Each stage is planned from the facts that are predicted for the end of the stage before it. If the run must
//! not begin, the result contains the reasons instead.

use super::certificates::certificates;
use super::desired::{self, Inputs, PlanDefect};
use super::goal::Goal;
use super::planning::Planning;
use super::refusals::{self, Purpose, Refusal};
use super::situation::ClusterState;
use super::stages::{self, Stage};
use super::upgrade::UpgradeRefusal;
use super::{DesiredSteps, Plan, remove, repair};
use crate::facts::Facts;
use crate::versions;

/// The plan of a run, or the reasons why the run is refused.
#[derive(Default)]
pub struct WholeRun {
    /// Every reason why the run must not begin. If there is a reason, the plan is incomplete.
    pub refusals: Vec<Refusal>,
    pub plan: Plan,
    /// The facts as they are predicted to be after the plan has run, but without the effects of a stage in which an upgrade pauses.
    pub after: Facts,
}

/// Plans the stages of a run, up to the first stage that is refused or in which an upgrade pauses. An error is a defect of clusterctl.
pub fn whole_run(goal: &Goal, facts: &Facts, planning: &Planning<'_>) -> Result<WholeRun, PlanDefect> {
    let mut run = WholeRun { after: facts.clone(), ..WholeRun::default() };
    let touchable = planning.touchable(facts);
    let stages = match stages::of(goal, planning.inv, facts, planning.selected) {
        Ok(stages) => stages,
        Err(no) => {
            run.refusals.push(Refusal::no_way(&no));
            return Ok(run);
        }
    };
    let given = planning.inputs.given.get("ca.crt").and_then(|ca| std::str::from_utf8(ca.expose()).ok());
    run.refusals.extend(refusals::of_another_founding(planning.inv, facts, given));
    if stages.is_empty() {
        // Without a running version, nobody knows which stages are left, so the run is refused and not taken for complete.
        run.refusals.extend(refusals::quorum_lost(planning.inv, facts));
        run.refusals.push(Refusal::no_api_server(planning.inv));
    }
    for stage in stages {
        let concerns = |b: &Refusal| b.name != refusals::KUBELET_STATE || touchable.contains(&b.host);
        let found = stage.refusals(&run.after, goal.purpose());
        let is_new = |b: &Refusal| !run.refusals.iter().any(|known| known.host == b.host && known.name == b.name);
        let found: Vec<Refusal> = found.into_iter().filter(|b| concerns(b) && is_new(b)).collect();
        run.refusals.extend(found);
        if !run.refusals.is_empty() {
            break;
        }
        let desired = match desired_of(&stage, &run.after, planning)? {
            Ok(desired) => desired,
            Err(refusals) => {
                run.refusals = refusals;
                break;
            }
        };
        let (next, after) = Plan::for_hosts(desired, &touchable, &run.after);
        let (next, paused) = match goal.upgrade() {
            Some(upgrade) => upgrade.before_pause(stage.changes_kubelets(), next),
            None => (next, false),
        };
        run.plan.phases.extend(next.phases);
        if paused {
            break;
        }
        run.after = after;
    }
    Ok(run)
}

/// Plans the repair of control planes whose API servers are not ready. `None` if the goal needs no repair, or if no change on the hosts would
/// help. An error is a defect of clusterctl.
///
/// For `apply` and `plan`, control planes are repaired only if no API server answers; if one API server answers, an ordinary plan restores
/// everything in the usual order. An upgrade changes one control plane after another, so every API server must be ready before it begins. The
/// repair before an upgrade restores each control plane at the newest version in its static pod manifests.
pub fn repair_run(goal: &Goal, facts: &Facts, planning: &Planning<'_>) -> Result<Option<WholeRun>, PlanDefect> {
    let (inv, upgrades) = (planning.inv, goal.upgrade().is_some());
    let away = repair::away(inv, facts);
    let wanted = upgrades || (*goal == Goal::Keep && facts.cluster.is_none());
    if !ClusterState::of(facts).exists() || away.is_empty() || !wanted {
        return Ok(None);
    }
    let mut run = WholeRun { after: facts.clone(), ..WholeRun::default() };
    if !upgrades && let Some(refusal) = repair::other_version(inv, facts) {
        run.refusals.push(refusal);
        return Ok(Some(run));
    }
    for (version, hosts) in repair::by_version(&away, facts, &inv.cluster.version) {
        let stage = stages::repair(inv, facts, &version, !upgrades);
        run.refusals.extend(stage.refusals(facts, Purpose::Repair));
        if !run.refusals.is_empty() {
            break;
        }
        let desired = match desired_of(&stage, facts, planning)? {
            Ok(desired) => repair::of(desired, facts),
            Err(refusals) => {
                run.refusals = refusals;
                break;
            }
        };
        let hosts = if upgrades { hosts } else { planning.touchable(facts) };
        let (next, after) = Plan::for_hosts(desired, &hosts, facts);
        run.plan.phases.extend(next.phases);
        run.after = after;
    }
    Ok((!run.refusals.is_empty() || repair::mends(&run.plan, facts)).then_some(run))
}

/// The desired steps of a stage, including the steps that remove hosts. The inner error contains the refusals: clusterctl does not support the
/// stage's version, or the certificates cannot be used or created. The outer error is a defect of clusterctl.
fn desired_of(stage: &Stage, facts: &Facts, planning: &Planning<'_>) -> Result<Result<DesiredSteps, Vec<Refusal>>, PlanDefect> {
    let version = &stage.inv.cluster.version;
    let Some(v) = versions::of(version) else {
        return Ok(Err(vec![Refusal::no_way(&UpgradeRefusal::Unsupported(version.minor()))]));
    };
    let certificates = match certificates(&stage.inv, v, planning, facts) {
        Ok(certificates) => certificates,
        Err(refusals) => return Ok(Err(refusals)),
    };
    let inputs = Inputs {
        inv: &stage.inv,
        facts,
        v,
        ca_pem: &certificates.ca_pem,
        external_ca: certificates.external_ca,
        pki: &certificates.files,
        token: &planning.inputs.token,
        manifests: &planning.inputs.manifests,
        kubelet_policy: &stage.kubelet_policy(facts),
    };
    let desired = desired::desired_steps(&inputs)?;
    Ok(Ok(match stage.leave(facts) {
        Some(leaving) => remove::spliced(&leaving, desired),
        None => desired,
    }))
}
