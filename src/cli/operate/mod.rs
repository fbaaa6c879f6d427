//! The one flow of every converging verb: observe, plan, show, run, observe again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

mod certificates;
mod sources;
pub mod stages;

use certificates::certificates;
use stages::{Leaving, Stage};

use super::report::Blocked;
use super::session::{Reach, Session};
use super::{Call, limit, lock, operator_files};
use crate::error::{Exit, Failure, chain};
use crate::facts::Facts;
use crate::host::{HostName, Secret};
use crate::plan::blockers::{self, Blocker};
use crate::plan::cluster::{self, Inputs, JoinToken};
use crate::plan::{Page, Plan, remove};
use crate::run::Run;
use crate::step::Step;
use crate::{pki, versions};

/// Tokens of a run live this long: longer than any join takes, too short to be worth stealing.
const TOKEN_LIFE: Duration = Duration::from_secs(15 * 60);

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
}

/// What a run takes along besides the facts; the same for every planning in it.
struct Luggage {
    v: &'static versions::Minor,
    token: JoinToken,
    /// PKI files the operator gave, by path below the PKI folder.
    given: BTreeMap<String, Secret>,
    /// CNI and add-on manifests the operator gave, in order.
    manifests: Vec<Value>,
    /// The client of an etcd that someone else runs.
    external_etcd: Option<pki::ExternalEtcdFiles>,
    keys: pki::Keys,
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
    let luggage = luggage(session, call).await?;
    let (facts, failures) = look(session, &luggage).await;
    let mut failures: Vec<Failure> = failures.into_iter().chain(session.unreachable()).collect();
    // That a machine which is called gone does not answer is no failure.
    failures.retain(|f| !mode.leaving().is_some_and(|l| l.dead && l.hosts.contains(&f.host)));
    let (found, plan) = planned(session, &luggage, &facts, mode)?;
    if !found.is_empty() {
        report.failures(&failures);
        refuse(session, &found);
        let away = found.iter().all(|b| b.name == blockers::UNREACHABLE_MASTER);
        return Err(if away { Exit::Unreachable } else { Exit::Refused });
    }
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
    failures.extend(carry_out(session, call, &plan, &facts).await?);
    if !failures.is_empty() {
        report.failures(&failures);
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
    let locks = lock::acquire(&session.hosts, &plan.hosts(), &run, &who(), facts, lost).await.map_err(|e| {
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

/// Done means that the next plan is empty.
async fn verify(session: &Session, call: &Call, luggage: &Luggage, mode: &Mode) -> Result<Exit, Exit> {
    let (facts, mut failures) = look(session, luggage).await;
    let (_, mut left) = planned(session, luggage, &facts, mode)?;
    // What a new node set going may still be under way, such as a DaemonSet's pod on it: that is waited for, not called a difference.
    if failures.is_empty() && !left.is_empty() && left.steps().all(|(_, _, s)| matches!(s.step, Step::Wait(_))) {
        failures = carry_out(session, call, &left, &facts).await?;
        if failures.is_empty() {
            let (facts, said) = look(session, luggage).await;
            failures = said;
            left = planned(session, luggage, &facts, mode)?.1;
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
    if left.is_empty() {
        session.report.result(&serde_json::json!({"result": "done", "cluster": name}), format!("cluster {name} is as the inventory says"));
        return Ok(Exit::Done);
    }
    session.report.note("the hosts are still not as they should be; what is left:");
    session.report.result(&serde_json::json!({"result": "changes remain", "plan": &left}), &left);
    Ok(Exit::Failed)
}

async fn look(session: &Session, luggage: &Luggage) -> (Facts, Vec<Failure>) {
    let objects = cluster::all_objects(&session.inventory, luggage.v, "", &luggage.manifests);
    let observed = session.observe(&objects, &[]).await;
    (observed.facts, observed.failures)
}

/// What is left to do, stage by stage, each over what the facts become by the one before; and why it may not be done.
fn planned(session: &Session, luggage: &Luggage, facts: &Facts, mode: &Mode) -> Result<(Vec<Blocker>, Plan), Exit> {
    let (mut found, mut plan, mut facts) = (Vec::new(), Plan::default(), facts.clone());
    let touchable = touchable(session, &facts);
    for stage in stages::of(mode, &session.inventory, &facts, &session.selected) {
        found.extend(stage.blockers(&facts, *mode == Mode::Init));
        if !found.is_empty() {
            break;
        }
        let page = page_of(session, luggage, &facts, &stage)?;
        let (next, after) = Plan::of(&page, &facts);
        plan.phases.extend(next.limited(&touchable).phases);
        facts = after;
    }
    Ok((found, plan))
}

fn page_of(session: &Session, luggage: &Luggage, facts: &Facts, stage: &Stage) -> Result<Page, Exit> {
    let certificates = certificates(&stage.inv, luggage, facts).map_err(|faults| {
        refuse(session, &faults);
        Exit::Refused
    })?;
    let inputs = Inputs {
        inv: &stage.inv,
        facts,
        v: luggage.v,
        ca_pem: &certificates.ca_pem,
        external_ca: certificates.external_ca,
        pki: &certificates.files,
        token: &luggage.token,
        manifests: &luggage.manifests,
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

async fn luggage(session: &Session, call: &Call) -> Result<Luggage, Exit> {
    let inv = &session.inventory;
    // The inventory was refused before if its version is not supported.
    let Some(v) = versions::of(&inv.cluster.version) else { return Err(Exit::Inventory) };
    let expires = Timestamp::now() + TOKEN_LIFE;
    let alphabet = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let token = JoinToken { id: random_text(6, alphabet), secret: random_text(16, alphabet).into(), expires: format!("{expires:.0}") };
    let told = |e: operator_files::FileFault| {
        session.report.error(chain(&e), Some("mend the file or its path in the inventory"));
        Exit::Inventory
    };
    let file = &call.global.inventory;
    let given = operator_files::pki(inv, file).map_err(told)?;
    let external_etcd = operator_files::external_etcd(inv, file).map_err(told)?;
    let manifests = operator_files::manifests(inv, file).await.map_err(told)?;
    Ok(Luggage { v, token, given, manifests, external_etcd, keys: pki::Keys::new(inv.pki.algorithm) })
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

fn worst(failures: &[Failure]) -> Exit {
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

/// Who holds a lock, for the one who waits for it.
fn who() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "unknown".into());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{user}@{}", host.trim())
}
