//! `clusterctl reset`.

use super::Call;
use super::operate::{carry_out, refuse, shown};
use super::report::plural;
use super::session::{Reach, Session};
use crate::error::Exit;
use crate::facts::Facts;
use crate::host::HostName;
use crate::plan::blockers::leaving;
use crate::plan::{Plan, reset};

/// Remove the cluster, or single workers, from their hosts
///
/// Shows what will be removed and asks for confirmation. Afterwards no files, mounts, network links, packet-filter chains or containers of
/// the cluster are left; packages stay installed. All data of the cluster is deleted: take a snapshot of etcd first if you may need the
/// data again.
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
    let leaving_hosts: Vec<HostName> = session.selected.iter().filter(|h| facts.hosts.contains_key(*h)).cloned().collect();
    let found = leaving::of_reset(&session.inventory, &facts, &session.selected, &leaving_hosts);
    if !found.is_empty() {
        refuse(session, &found);
        return Err(Exit::Refused);
    }
    let plan = plan_of(session, args, &facts, &leaving_hosts);
    if let Some(exit) = shown(session, call, &plan, &failures) {
        return Ok(exit);
    }
    report.say(&plan);
    let (name, hosts) = (&session.inventory.cluster.name, plural(leaving_hosts.len(), "host"));
    let agreed = if session.selected.len() == session.inventory.hosts.len() {
        report.confirm_by_name(&format!("remove cluster {name} from {hosts}? All of its data is deleted."), name)
    } else {
        report.confirm(&format!("remove cluster {name} from {}?", leaving_hosts.join(", ")))
    };
    if !agreed? {
        report.note("nothing was changed");
        return Ok(Exit::Interrupted);
    }
    failures.extend(carry_out(session, call, &plan, &facts).await?);
    if !failures.is_empty() {
        report.failures(&failures);
        return Ok(Exit::Failed);
    }
    let facts = session.observe(&[], &[]).await.facts;
    let left = plan_of(session, args, &facts, &leaving_hosts);
    if left.is_empty() {
        report
            .result(&serde_json::json!({"result": "clean", "hosts": leaving_hosts}), format!("{} host(s) are clean", leaving_hosts.len()));
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
