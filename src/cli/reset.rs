//! `clusterctl reset`.

use serde_json::json;

use super::Call;
use super::operation::{self, Operation, Proposal};
use super::report::plural;
use super::session::{Reach, Session};
use super::stop::{Ended, Stop};
use crate::error::{Exit, Failure};
use crate::facts::Facts;
use crate::host::HostName;
use crate::plan::refusals::leaving;
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
pub async fn run(call: &Call, args: &Args) -> Ended {
    operation::run(&Reset { keep_software: args.keep_software }, call, Reach::Everyone).await
}

struct Reset {
    keep_software: bool,
}

impl Operation for Reset {
    /// The hosts that are reset: the hosts of `--limit`, or all hosts, without those that do not answer.
    type Aim = Vec<HostName>;

    async fn propose(&self, session: &Session, _call: &Call) -> Result<Proposal<Self::Aim>, Stop> {
        let observed = session.observe(&[], &[]).await;
        let facts = observed.facts;
        let failures: Vec<_> = observed.failures.into_iter().chain(session.unreachable()).collect();
        let hosts: Vec<HostName> = session.selected.iter().filter(|h| facts.hosts.contains_key(*h)).cloned().collect();
        let found = leaving::of_reset(&session.inventory, &facts, &session.selected, &hosts);
        if !found.is_empty() {
            return Err(Stop::refused(found));
        }
        Ok(Proposal { plan: self.plan(session, &facts, &hosts), facts, failures, aim: hosts })
    }

    fn agreed(&self, session: &Session, _call: &Call, proposal: &Proposal<Self::Aim>) -> Result<bool, Stop> {
        let report = &session.report;
        report.say(&proposal.plan);
        let (name, hosts) = (&session.inventory.cluster.name, &proposal.aim);
        if session.selected.len() == session.inventory.hosts.len() {
            let from = plural(hosts.len(), "host");
            return report.confirm_by_name(&format!("remove cluster {name} from {from}? All of its data is deleted."), name);
        }
        report.confirm(&format!("remove cluster {name} from {}?", hosts.join(", ")))
    }

    async fn ended(&self, session: &Session, _call: &Call, proposal: Proposal<Self::Aim>, broken: Vec<Failure>) -> Ended {
        let (report, hosts) = (&session.report, proposal.aim);
        let failures: Vec<Failure> = proposal.failures.into_iter().chain(broken).collect();
        if !failures.is_empty() {
            return Err(Stop::broken(failures));
        }
        let left = self.plan(session, &session.observe(&[], &[]).await.facts, &hosts);
        if left.is_empty() {
            report.result(&json!({"result": "clean", "hosts": hosts}), format!("{} host(s) are clean", hosts.len()));
            return Ok(Exit::Done);
        }
        report.note("not everything is gone; what is left:");
        report.result(&json!({"result": "remains", "plan": &left}), &left);
        Ok(Exit::Failed)
    }
}

impl Reset {
    fn plan(&self, session: &Session, facts: &Facts, leaving: &[HostName]) -> Plan {
        let inputs = reset::Inputs { inv: &session.inventory, facts, leaving, keep_software: self.keep_software };
        Plan::of(&reset::desired_steps(&inputs), facts).0
    }
}
