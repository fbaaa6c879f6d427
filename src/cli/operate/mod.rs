//! The one flow of every converging verb: observe, plan, show, run, observe again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use serde_json::Value;

mod budgets;
mod certificates;
pub(super) mod luggage;
mod sources;
pub mod stages;
pub mod upgrade;

use certificates::certificates;
use luggage::Luggage;
use stages::{Leaving, Stage};
use upgrade::Upgrade;

use super::report::Blocked;
use super::session::{Observed, Reach, Session};
use super::upgrade::record::version as record_version;
use super::{Call, limit, lock};
use crate::error::{Exit, Failure, chain};
use crate::facts::evictions::{BUDGETS, PODS};
use crate::facts::{Facts, ObjectRef};
use crate::host::HostName;
use crate::plan::blockers::{self, Blocker, Purpose};
use crate::plan::cluster::{self, Inputs};
use crate::plan::upgrade::Running;
use crate::plan::{Page, Plan, remove};
use crate::run::Run;
use crate::step::Step;
use crate::versions;

/// How a verb uses the flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A cluster that is not there yet, or one of our own that is unfinished.
    Init,
    /// Any cluster of ours.
    Apply,
    /// Only say what would be done; changes are an exit code.
    Plan,
    /// These hosts come into a cluster that stands; all of the inventory if none is named.
    Join(Vec<HostName>),
    /// Hosts leave a cluster that goes on.
    Remove(Leaving),
    /// A host takes the place of those that leave.
    Replace(Leaving, HostName),
    /// A cluster that stands comes to another version.
    Upgrade(Box<Upgrade>),
}

impl Mode {
    /// The hosts it was told by name.
    fn named(&self) -> Vec<HostName> {
        match self {
            Mode::Join(hosts) => hosts.clone(),
            Mode::Remove(leaving) => leaving.hosts.clone(),
            Mode::Replace(leaving, new) => leaving.hosts.iter().chain([new]).cloned().collect(),
            _ => vec![],
        }
    }

    fn leaving(&self) -> Option<&Leaving> {
        match self {
            Mode::Remove(leaving) | Mode::Replace(leaving, _) => Some(leaving),
            _ => None,
        }
    }

    fn upgrade(&self) -> Option<&Upgrade> {
        match self {
            Mode::Upgrade(upgrade) => Some(upgrade),
            _ => None,
        }
    }

    fn purpose(&self) -> Purpose {
        match self {
            Mode::Init => Purpose::Found,
            Mode::Upgrade(_) => Purpose::Upgrade,
            _ => Purpose::Keep,
        }
    }
}

/// Runs the flow and says how it ended.
pub async fn converge(call: &Call, mode: Mode) -> Exit {
    let session = match Session::open(call, Reach::Everyone).await {
        Ok(session) => session,
        Err(exit) => return exit,
    };
    match flow(&session, call, &mode).await {
        Ok(exit) | Err(exit) => exit,
    }
}

async fn flow(session: &Session, call: &Call, mode: &Mode) -> Result<Exit, Exit> {
    let report = &session.report;
    if let Err(fault) = limit::select(&session.inventory, &mode.named()) {
        report.error(fault.message, Some(&fault.hint));
        return Err(Exit::Usage);
    }
    let luggage = luggage::pack(session, call).await?;
    let mut observed = look(session, &luggage, mode).await;
    let mut failures: Vec<Failure> = std::mem::take(&mut observed.failures).into_iter().chain(session.unreachable()).collect();
    // That a machine which is called gone does not answer is no failure.
    failures.retain(|f| !mode.leaving().is_some_and(|l| l.dead && l.hosts.contains(&f.host)));
    let chosen;
    let mode = match mode {
        Mode::Upgrade(u) => {
            chosen = Mode::Upgrade(Box::new(u.chosen(session, &observed.facts).await));
            &chosen
        }
        other => other,
    };
    let (mut found, plan) = planned(session, &luggage, &observed.facts, mode)?;
    if let Some(u) = mode.upgrade() {
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
    if *mode == Mode::Plan {
        report.failures(&failures);
        report.result(&serde_json::json!({"plan": &plan}), &plan);
        return Ok(match (failures.is_empty(), plan.is_empty()) {
            (false, _) => worst(&failures),
            (true, false) => Exit::ChangesRemain,
            (true, true) => Exit::Done,
        });
    }
    if plan.is_empty() && mode.upgrade().is_some() {
        record(session, call, &facts);
    }
    if let Some(exit) = shown(session, call, &plan, &failures) {
        return Ok(exit);
    }
    if *mode == Mode::Init && cluster::established(&facts) {
        refuse(session, &[Blocker::finished(&session.inventory, &plan)]);
        return Err(Exit::Refused);
    }
    if let Some(leaving) = mode.leaving() {
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
        if all_ran && mode.upgrade().is_some() {
            verify(session, call, &luggage, mode).await?;
        }
        // The others are done, so it is a failure of the run, not of the network alone.
        return Ok(if away { Exit::Failed } else { worst(&failures) });
    }
    verify(session, call, &luggage, mode).await
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
    let lost = Arc::new(AtomicBool::new(false));
    let locks = lock::acquire(&session.hosts, &plan.hosts(), &run, &lock::who(), facts, lost).await.map_err(|e| {
        let hint = "wait until that run has ended, then run the same command again; a run whose operator is gone is given up after 30 s";
        session.report.error(chain(&e), Some(hint));
        if matches!(e, lock::LockError::Host { .. } | lock::LockError::Refused { .. }) { Exit::Failed } else { Exit::Locked }
    })?;
    let (events, showing) = session.report.events();
    let failures = Run { id: &run, hosts: &session.hosts, forks: session.forks, events, stop: Arc::clone(&stop) }.run(plan).await;
    // The sender is gone with the run; what was said is shown before anything else is.
    let _ = showing.await;
    locks.release().await;
    if failures.is_empty() && stop.load(std::sync::atomic::Ordering::SeqCst) {
        session.report.note("stopped between two steps; the same command goes on from here");
        return Err(Exit::Interrupted);
    }
    Ok(failures)
}

/// What another look leaves to do.
async fn remains(session: &Session, luggage: &Luggage, mode: &Mode) -> Result<(Facts, Vec<Failure>, Plan), Exit> {
    let Observed { facts, failures, .. } = look(session, luggage, mode).await;
    let (_, left) = planned(session, luggage, &facts, mode)?;
    // What programs were asked before a pause is asked again after it.
    let asks = left.steps().all(|(_, _, s)| matches!(s.step, Step::Accepts(_)));
    Ok((facts, failures, if asks { Plan::default() } else { left }))
}

/// Done means that the next plan is empty.
async fn verify(session: &Session, call: &Call, luggage: &Luggage, mode: &Mode) -> Result<Exit, Exit> {
    let (mut facts, mut failures, mut left) = remains(session, luggage, mode).await?;
    // What a new node set going may still be under way, such as a DaemonSet's pod on it: that is waited for, not called a difference.
    // So is a scheduler that ended when it lost its lease with the API server beside it: it is seen to come back.
    let settles = |s: &Step| matches!(s, Step::Wait(_) | Step::Accepts(_)) || !s.static_pods().is_empty();
    if failures.is_empty() && !left.is_empty() && left.steps().all(|(_, _, s)| settles(&s.step)) {
        failures = carry_out(session, call, &left, &facts).await?;
        if failures.is_empty() {
            (facts, failures, left) = remains(session, luggage, mode).await?;
        }
    }
    if !failures.is_empty() {
        session.report.failures(&failures);
        return Ok(worst(&failures));
    }
    let name = &session.inventory.cluster.name;
    if left.is_empty()
        && let Some(leaving) = mode.leaving()
    {
        let hosts = leaving.hosts.join(", ");
        let said = format!("{hosts} left cluster {name}; take it out of the inventory, or the next `apply` brings it in again");
        session.report.result(&serde_json::json!({"result": "done", "cluster": name, "removed": leaving.hosts}), said);
        return Ok(Exit::Done);
    }
    if mode.upgrade().is_some() {
        record(session, call, &facts);
    }
    if left.is_empty()
        && let Some(u) = mode.upgrade()
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

/// The inventory says what the API servers have come to.
fn record(session: &Session, call: &Call, facts: &Facts) {
    if let Some(now) = Running::of(&session.inventory, facts).oldest().filter(|_| !call.global.dry_run) {
        record_version(call, &session.inventory.cluster.version, now);
    }
}

/// How long a host may take to end the swap of a static pod that an interrupted run began.
const SWAP_LIMIT: Duration = Duration::from_secs(300);

pub(super) async fn look(session: &Session, luggage: &Luggage, mode: &Mode) -> Observed {
    let inv = &session.inventory;
    // An upgrade goes by several versions, and the names of some objects have one in them.
    let minors: Vec<&'static versions::Minor> = match mode.upgrade() {
        Some(u) => versions::up_to(u.to.minor()).collect(),
        None => versions::of(&inv.cluster.version).into_iter().collect(),
    };
    let mut objects: BTreeMap<ObjectRef, Value> = BTreeMap::new();
    for v in minors {
        let all = cluster::all_objects(inv, v, "", &luggage.manifests);
        objects.extend(all.into_iter().map(|o| (ObjectRef::of(&o), o)));
    }
    let objects: Vec<Value> = objects.into_values().collect();
    let raw: &[&str] = if mode.upgrade().is_some() { &[PODS, BUDGETS[0], BUDGETS[1]] } else { &[] };
    let begun = Instant::now();
    loop {
        let observed = session.observe(&objects, raw).await;
        let swapping: Vec<&str> = observed.facts.hosts.iter().filter(|(_, f)| f.swapping).map(|(name, _)| name.as_str()).collect();
        if swapping.is_empty() || begun.elapsed() > SWAP_LIMIT {
            return observed;
        }
        // What it ends as is not known before: a plan made now would be about a moment that is over.
        session.report.note(format!("{} still ends what an interrupted run began there; looking again", swapping.join(", ")));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// What is left to do, stage by stage, each over what the facts become by the one before; and why it may not be done.
pub(super) fn planned(session: &Session, luggage: &Luggage, facts: &Facts, mode: &Mode) -> Result<(Vec<Blocker>, Plan), Exit> {
    let (mut found, mut plan, mut facts) = (Vec::new(), Plan::default(), facts.clone());
    let touchable = touchable(session, &facts);
    let stages = match stages::of(mode, &session.inventory, &facts, &session.selected) {
        Ok(stages) => stages,
        Err(no) => return Ok((vec![Blocker::no_way(&no)], plan)),
    };
    for stage in stages {
        found.extend(stage.blockers(&facts, mode.purpose()));
        if !found.is_empty() {
            break;
        }
        let page = page_of(session, luggage, &facts, &stage)?;
        let (next, after) = Plan::of(&page, &facts);
        let next = next.limited(&touchable);
        let (next, paused) = match mode.upgrade() {
            Some(u) => u.before_pause(stage.rolls(), next),
            None => (next, false),
        };
        plan.phases.extend(next.phases);
        if paused {
            break;
        }
        facts = after;
    }
    Ok((found, plan))
}

fn page_of(session: &Session, luggage: &Luggage, facts: &Facts, stage: &Stage) -> Result<Page, Exit> {
    // Stages are made of supported versions alone.
    let Some(v) = versions::of(&stage.inv.cluster.version) else { return Err(Exit::Inventory) };
    let roll = stage.roll(facts);
    let certificates = certificates(&stage.inv, v, luggage, facts).map_err(|faults| {
        refuse(session, &faults);
        Exit::Refused
    })?;
    let inputs = Inputs {
        inv: &stage.inv,
        facts,
        v,
        ca_pem: &certificates.ca_pem,
        external_ca: certificates.external_ca,
        pki: &certificates.files,
        token: &luggage.token,
        manifests: &luggage.manifests,
        roll: &roll,
    };
    let rest: Page = cluster::page(&inputs).map_err(|e| {
        session.report.error(chain(&e), Some("this is a defect of clusterctl; please report it with the inventory"));
        Exit::Failed
    })?;
    Ok(match stage.leave(facts) {
        Some(leaving) => remove::spliced(&leaving, rest),
        None => rest,
    })
}

/// Says why nothing was done.
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

/// The hosts a run may touch: the named ones, else every one that answered.
fn touchable(session: &Session, facts: &Facts) -> Vec<HostName> {
    session.selected.iter().filter(|h| facts.hosts.contains_key(*h)).cloned().collect()
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
