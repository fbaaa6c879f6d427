//! `clusterctl reset`.

use super::Call;
use super::operate::{carry_out, refuse, shown};
use super::session::{Reach, Session};
use crate::error::Exit;
use crate::facts::Facts;
use crate::host::HostName;
use crate::inventory::Role;
use crate::plan::blockers::{self, Blocker};
use crate::plan::cluster::established;
use crate::plan::{Plan, reset};

/// Take the cluster, or single workers of it, off their hosts
///
/// Shows what will be removed and asks. Afterwards no files, mounts, links, packet-filter chains or containers of the cluster are left;
/// packages stay. All data of the cluster is gone with it: take a snapshot first if you may want it back.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl reset -i lab.yaml --yes\n  clusterctl reset -i prod.yaml --limit w7")]
pub struct Args {
    /// Keep containerd's configuration, the binaries and the images for the next cluster
    #[arg(long)]
    keep_software: bool,
}

/// Runs the verb.
pub async fn run(call: &Call, args: &Args) -> Exit {
    let session = match Session::open(call, Reach::Everyone).await {
        Ok(session) => session,
        Err(exit) => return exit,
    };
    match flow(&session, call, args).await {
        Ok(exit) | Err(exit) => exit,
    }
}

async fn flow(session: &Session, call: &Call, args: &Args) -> Result<Exit, Exit> {
    let report = &session.report;
    let observed = session.observe(&[], &[]).await;
    let facts = observed.facts;
    let mut failures: Vec<_> = observed.failures.into_iter().chain(session.unreachable()).collect();
    let leaving: Vec<HostName> = session.selected.iter().filter(|h| facts.hosts.contains_key(*h)).cloned().collect();
    let found = refusals(session, &facts, &leaving);
    if !found.is_empty() {
        refuse(session, &found);
        return Err(Exit::Refused);
    }
    let plan = plan_of(session, args, &facts, &leaving);
    if let Some(exit) = shown(session, call, &plan, &failures) {
        return Ok(exit);
    }
    report.say(&plan);
    if !report.confirm(&format!("remove cluster {} from {} host(s)? Its data is lost", session.inventory.cluster.name, leaving.len()))? {
        report.note("nothing was changed");
        return Ok(Exit::Interrupted);
    }
    failures.extend(carry_out(session, call, &plan, &facts).await?);
    if !failures.is_empty() {
        report.failures(&failures);
        return Ok(Exit::Failed);
    }
    let facts = session.observe(&[], &[]).await.facts;
    let left = plan_of(session, args, &facts, &leaving);
    if left.is_empty() {
        report.result(&serde_json::json!({"result": "clean", "hosts": leaving}), format!("{} host(s) are clean", leaving.len()));
        return Ok(Exit::Done);
    }
    report.note("not everything is gone; what is left:");
    report.result(&serde_json::json!({"result": "remains", "plan": &left}), &left);
    Ok(Exit::Failed)
}

fn plan_of(session: &Session, args: &Args, facts: &Facts, leaving: &[HostName]) -> Plan {
    let inputs = reset::Inputs { inv: &session.inventory, facts, leaving, keep_software: args.keep_software };
    Plan::of(&reset::page(&inputs), facts).0
}

/// A control-plane host holds an etcd member: it leaves a cluster that goes on only after its member has.
fn refusals(session: &Session, facts: &Facts, leaving: &[HostName]) -> Vec<Blocker> {
    let masters: Vec<&HostName> = session.inventory.hosts.iter().filter(|h| h.has(Role::ControlPlane)).map(|h| &h.name).collect();
    let staying = masters.iter().filter(|m| !leaving.contains(m)).count();
    let members = facts.hosts.values().filter_map(|f| f.members.as_ref()).map(Vec::len).max().unwrap_or(0);
    let foreign = blockers::foreign(&session.inventory, facts, leaving);
    if !foreign.is_empty() || staying == 0 || !established(facts) {
        return foreign;
    }
    masters.into_iter().filter(|m| leaving.contains(m)).map(|m| Blocker::member_stays(m, members)).collect()
}
