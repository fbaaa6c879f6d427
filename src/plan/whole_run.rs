//! Makes the plan of a whole run. Each stage is planned from the facts that are predicted for the end of the stage before it. If the run must
//! not begin, the result contains the reasons instead.

use std::collections::VecDeque;

use super::certificates::certificates;
use super::desired::{self, Inputs, PlanDefect};
use super::encryption::{self, Intent};
use super::goal::Goal;
use super::planning::Planning;
use super::refusals::{self, Purpose, Refusal};
use super::situation::ClusterState;
use super::stages::{self, Stage};
use super::upgrade::UpgradeRefusal;
use super::{DesiredSteps, Plan, remove, repair};
use crate::facts::Facts;
use crate::host::HostName;
use crate::versions;

/// The largest number of passes over the control planes that a change of keys takes, with some to spare.
const PASSES: usize = 8;

/// The plan of a run, or the reasons why the run is refused.
#[derive(Default)]
pub struct WholeRun {
    /// Every reason why the run must not begin. If there is a reason, the plan is incomplete.
    pub refusals: Vec<Refusal>,
    /// What the operator should know, although it does not keep the run from beginning: what is wrong with hosts that the run does not change.
    pub warnings: Vec<Refusal>,
    pub plan: Plan,
    /// The facts as they are predicted to be after the plan has run, but without the effects of a stage in which an upgrade pauses.
    pub after: Facts,
}

impl WholeRun {
    /// Adds what was found: refusals about the whole cluster and those for which `stands` is true as refusals, and the others as warnings. What is
    /// known already is not added again.
    fn add(&mut self, found: Vec<Refusal>, stands: impl Fn(&Refusal) -> bool) {
        for refusal in found {
            let list = if refusal.host.is_empty() || stands(&refusal) { &mut self.refusals } else { &mut self.warnings };
            if !list.iter().any(|known| (&known.host, known.name, &known.message) == (&refusal.host, refusal.name, &refusal.message)) {
                list.push(refusal);
            }
        }
    }
}

/// Whether a run for named hosts leaves a host alone because it has the data of a former etcd member. A run in which a member joins needs every host
/// with an etcd member, because the new member gets the list of them.
fn is_left_alone(goal: &Goal, planning: &Planning<'_>, facts: &Facts, host: &HostName) -> bool {
    let named = goal.named();
    let member_joins = goal.joining().iter().filter_map(|h| planning.inv.host(h)).any(|h| planning.inv.runs_etcd(h));
    let has_old_data = || refusals::with_old_data(planning.inv, facts).iter().any(|h| h.name == *host);
    !named.is_empty() && !named.contains(host) && !member_joins && has_old_data()
}

/// Plans the stages of a run, up to the first stage that is refused or in which an upgrade pauses. An error is a defect of clusterctl.
pub fn whole_run(goal: &Goal, facts: &Facts, planning: &Planning<'_>) -> Result<WholeRun, PlanDefect> {
    let mut run = WholeRun { after: facts.clone(), ..WholeRun::default() };
    let mut touchable = planning.touchable(facts);
    touchable.retain(|h| !is_left_alone(goal, planning, facts, h));
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
    let mut stages = VecDeque::from(stages);
    let mut repeated = 0;
    while let Some(stage) = stages.pop_front() {
        run.add(stage.removal_refusals(&run.after), |_| true);
        let changes = |b: &Refusal| touchable.contains(&b.host) || refusals::endangers(planning.inv, b);
        run.add(stage.refusals(&run.after, goal.purpose()), changes);
        run.warnings.extend(stage.held_back(&run.after).filter(|_| run.warnings.iter().all(|w| w.name != "version")));
        if !run.refusals.is_empty() {
            break;
        }
        let desired = match desired_of(&stage, &run.after, planning, goal.encryption())? {
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
        // A change of keys takes several passes over the control planes. Each pass is planned from what the one before leaves behind.
        let has_steps = !next.is_empty();
        run.plan.phases.extend(next.phases);
        if paused {
            break;
        }
        run.after = after;
        let moves = matches!(goal.encryption(), Intent::Move { .. }) && encryption::concerns(planning.inv, &run.after);
        if stages.is_empty() && moves && has_steps && repeated < PASSES {
            repeated += 1;
            stages.push_back(stage);
        }
    }
    run.warnings.extend(refusals::kept_corefile(planning.inv, facts));
    if goal.renew().is_some() && run.refusals.is_empty() {
        // Without an API server, the run would wait in vain for a control plane that some of its certificates keep down.
        let list = if facts.cluster.is_some() { &mut run.warnings } else { &mut run.refusals };
        list.extend(refusals::left_expired(planning.inv, &run.after));
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
        let found = stage.refusals(facts, Purpose::Repair);
        let desired = match desired_of(&stage, facts, planning, Intent::Hold)? {
            Ok(desired) => repair::of(desired, facts),
            Err(refusals) => {
                run.add(found, |_| true);
                run.refusals.extend(refusals);
                break;
            }
        };
        let mut touched = planning.touchable(facts);
        touched.retain(|h| !upgrades || hosts.contains(h));
        let (next, after) = Plan::for_hosts(desired, &touched, facts);
        let changed = next.hosts();
        run.add(found, |b| changed.contains(&b.host) || refusals::endangers(inv, b));
        if !run.refusals.is_empty() {
            break;
        }
        run.plan.phases.extend(next.phases);
        run.after = after;
    }
    Ok((!run.refusals.is_empty() || repair::mends(&run.plan, facts)).then_some(run))
}

/// The desired steps of a stage, including the steps that remove hosts. The inner error contains the refusals: clusterctl does not support the
/// stage's version, or the certificates cannot be used or created. The outer error is a defect of clusterctl.
fn desired_of(
    stage: &Stage,
    facts: &Facts,
    planning: &Planning<'_>,
    intent: Intent,
) -> Result<Result<DesiredSteps, Vec<Refusal>>, PlanDefect> {
    if let Some(removal) = stage.removal_alone(facts) {
        return Ok(Ok(removal));
    }
    let version = &stage.inv.cluster.version;
    let Some(v) = versions::of(version) else {
        return Ok(Err(vec![Refusal::no_way(&UpgradeRefusal::Unsupported(version.minor()))]));
    };
    let certificates = match certificates(&stage.inv, v, planning, facts, stage.renew.as_ref()) {
        Ok(certificates) => certificates,
        Err(refusals) => return Ok(Err(refusals)),
    };
    // Without an API server, nothing that is stored can be rewritten, so keys do not change. A renewal of certificates starts no API server.
    let intent = if ClusterState::of(facts) == ClusterState::WithoutApi { Intent::Hold } else { intent };
    let encryption = match encryption::targets(&stage.inv, facts, intent, &planning.inputs.encryption_key) {
        Ok(encryption) => encryption,
        Err(_) if stage.renew.is_some() => encryption::Targets::default(),
        Err(faults) => return Ok(Err(Refusal::encryption(faults))),
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
        files: &planning.inputs.files,
        registries: &planning.inputs.registries,
        kubelet_policy: &stage.kubelet_policy(facts),
        encryption: &encryption,
    };
    if stage.renew.is_some() {
        return Ok(Ok(desired::renewal_steps(&inputs)?));
    }
    let desired = desired::desired_steps(&inputs)?;
    Ok(Ok(match stage.leave(facts) {
        Some(leaving) => remove::spliced(&leaving, desired),
        None => desired,
    }))
}
