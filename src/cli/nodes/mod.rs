//! `clusterctl cordon`, `drain` and `uncordon`: take nodes out of service, and put nodes back into service.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::args::duration_or_zero;
use super::operation::{self, Operation, Proposal};
use super::session::{Observed, Reach, Session};
use super::stop::{Ended, Stop};
use super::{Call, completion, limit};
use crate::error::{Exit, Failure};
use crate::facts::evictions::{self, PODS};
use crate::host::HostName;
use crate::plan::budgets::{self, Finding};
use crate::plan::{DesiredSteps, Parallelism, Plan, Width, nodes, refusals};
use crate::step::drain::{DrainExtras, DrainOptions};

pub mod maintenance;

/// Mark nodes as unschedulable
///
/// The pods that run on the nodes stay. A node that is already cordoned stays cordoned, and from now on only `uncordon` makes it
/// schedulable again, not another run of clusterctl.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl cordon w1 w2")]
pub struct CordonArgs {
    /// Hosts, by their names in the inventory
    #[arg(value_name = "HOST", required = true, add = completion::hosts())]
    hosts: Vec<String>,
}

/// Mark nodes as schedulable, whoever cordoned them
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl uncordon w1")]
pub struct UncordonArgs {
    /// Hosts, by their names in the inventory
    #[arg(value_name = "HOST", required = true, add = completion::hosts())]
    hosts: Vec<String>,
}

/// Drain nodes and keep them cordoned
///
/// The rules are those of `kubectl drain`: pods of DaemonSets stay, disruption budgets are obeyed, and flags are needed for pods without a
/// controller and for pods with data in emptyDir volumes. If a disruption budget allows no eviction now, the drain tries again until
/// `--timeout`. Then the drain stops, names the budgets and the pods that they cover, and uncordons the node if the node was schedulable
/// before. `uncordon` undoes a drain.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  clusterctl drain w1 --delete-emptydir-data\n  clusterctl drain w1 w2 w3 --max-unavailable 2 --timeout 15m"
)]
pub struct DrainArgs {
    /// Hosts, by their names in the inventory
    #[arg(value_name = "HOST", required = true, add = completion::hosts())]
    hosts: Vec<String>,
    /// How many workers are drained at once: a number or a percentage of all workers; control-plane nodes are drained one after another
    #[arg(long, value_name = "N|P%", default_value = "1")]
    max_unavailable: Parallelism,
    #[command(flatten)]
    flags: Flags,
}

/// kubectl drain's own.
#[derive(clap::Args, Debug)]
struct Flags {
    /// Delete pods that no controller would recreate
    #[arg(long)]
    force: bool,
    /// Accepted as with kubectl; pods of DaemonSets are always ignored
    #[arg(long)]
    ignore_daemonsets: bool,
    /// Delete pods with emptyDir volumes; the data in these volumes is lost
    #[arg(long)]
    delete_emptydir_data: bool,
    /// Seconds that pods have to terminate; if negative, each pod's own grace period is used
    #[arg(long, value_name = "SECONDS", default_value_t = -1, allow_negative_numbers = true)]
    grace_period: i64,
    /// How long the drain of a node may take; 0s means no limit
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration_or_zero)]
    timeout: Duration,
    /// Delete pods instead of evicting them, which bypasses disruption budgets
    #[arg(long)]
    disable_eviction: bool,
    /// Drain only the pods that this label selector matches
    #[arg(long, value_name = "SELECTOR")]
    pod_selector: Option<String>,
    /// Do not wait for pods that have been terminating for longer than this; 0 means wait for all pods
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    skip_wait_for_delete_timeout: u64,
}

impl Flags {
    fn options(&self) -> DrainOptions {
        DrainOptions {
            timeout: self.timeout,
            force: self.force,
            delete_emptydir_data: self.delete_emptydir_data,
            grace_period: self.grace_period,
            disable_eviction: self.disable_eviction,
        }
    }

    fn extras(&self, stays: bool) -> DrainExtras {
        DrainExtras { pod_selector: self.pod_selector.clone(), skip_wait_for_delete: self.skip_wait_for_delete_timeout, stays }
    }
}

/// Runs `cordon`.
pub async fn cordon(call: &Call, args: &CordonArgs) -> Ended {
    let desired = |i: &nodes::Inputs<'_>| nodes::cordon(i);
    let at_once = Parallelism::Count(1);
    operation::run(
        &Verb { name: "cordon", done: "cordoned", named: &args.hosts, at_once, drains: None, desired: &desired },
        call,
        Reach::Masters,
    )
    .await
}

/// Runs `uncordon`.
pub async fn uncordon(call: &Call, args: &UncordonArgs) -> Ended {
    let desired = |i: &nodes::Inputs<'_>| nodes::uncordon(i);
    let (done, at_once) = ("in service again", Parallelism::Count(1));
    operation::run(&Verb { name: "uncordon", done, named: &args.hosts, at_once, drains: None, desired: &desired }, call, Reach::Masters)
        .await
}

/// Runs `drain`.
pub async fn drain(call: &Call, args: &DrainArgs) -> Ended {
    let (options, extras) = (args.flags.options(), args.flags.extras(true));
    let desired = |i: &nodes::Inputs<'_>| nodes::drain(i, options, &extras);
    let done = "drained, and cordoned until `clusterctl uncordon`";
    let drains = Some(Drains { options, returns: false, labels: args.flags.pod_selector.is_some() });
    let verb = Verb { name: "drain", done, named: &args.hosts, at_once: args.max_unavailable, drains, desired: &desired };
    operation::run(&verb, call, Reach::Masters).await
}

/// How a verb drains nodes. `returns` is whether each node takes pods again before the next node is drained.
struct Drains {
    options: DrainOptions,
    returns: bool,
    /// Whether a label selector limits the drain to some pods. Then what could keep pods on the nodes is not computed before the drain.
    labels: bool,
}

/// Up to this number of nodes, the pods of each node are requested separately; for more nodes, all pods are requested at once. The API server reads
/// all pods of the cluster for each request, so many separate requests cost more than one request for all pods.
const FEW_NODES: usize = 4;

/// The common part of the verbs that put nodes out of service or back into service.
struct Verb<'a> {
    name: &'static str,
    /// What the final report says about the hosts, such as `cordoned`.
    done: &'static str,
    /// The hosts that were named on the command line.
    named: &'a [HostName],
    at_once: Parallelism,
    drains: Option<Drains>,
    desired: &'a (dyn Fn(&nodes::Inputs<'_>) -> DesiredSteps + Sync),
}

impl Operation for Verb<'_> {
    /// The named hosts, in the inventory's order.
    type Aim = Vec<HostName>;

    async fn propose(&self, session: &Session, _call: &Call) -> Result<Proposal<Self::Aim>, Stop> {
        let report = &session.report;
        let hosts = self.hosts(session)?;
        let lists = self.lists(&hosts);
        let observed = operation::observe_api(session, &lists).await?;
        self.usable(session, &observed, &hosts)?;
        if observed.api_failed {
            report.failures(&observed.failures);
            report.warning("not everything that could keep pods on these nodes is known; their drains wait for it");
        }
        let inputs = nodes::Inputs { inv: &session.inventory, facts: &observed.facts, hosts: &hosts, at_once: self.at_once };
        let plan = Plan::of(&(self.desired)(&inputs), &observed.facts).0;
        for finding in self.findings(&observed, &lists, &plan) {
            report.warning(finding);
        }
        Ok(Proposal { plan, facts: observed.facts, failures: vec![], aim: hosts })
    }

    async fn ended(&self, session: &Session, _call: &Call, proposal: Proposal<Self::Aim>, broken: Vec<Failure>) -> Ended {
        let (report, hosts) = (&session.report, proposal.aim);
        if broken.is_empty() {
            report.result(&json!({"result": "done", "verb": self.name, "hosts": hosts}), format!("{}: {}", self.done, hosts.join(", ")));
            return Ok(Exit::Done);
        }
        let left = left_out_of_service(&proposal.plan, &broken);
        let stop = Stop::broken(broken);
        if left.is_empty() {
            return Err(stop);
        }
        let names = left.join(" ");
        Err(stop.note(format!(
            "cordoned until the same command succeeds, or `clusterctl uncordon {names}` gives them back: {}",
            left.join(", ")
        )))
    }
}

impl Verb<'_> {
    /// The API paths of the lists of pods and PodDisruptionBudgets that are requested before these hosts are drained. Empty if the verb drains no
    /// nodes.
    fn lists(&self, hosts: &[HostName]) -> Vec<String> {
        match &self.drains {
            None => vec![],
            Some(_) if hosts.len() > FEW_NODES => evictions::lists(&[PODS.into()]),
            Some(_) => evictions::lists(&hosts.iter().map(|h| evictions::pods_on(h)).collect::<Vec<_>>()),
        }
    }

    /// The named hosts that `--limit` includes. Fails if there is none, or if one of them is not a node, which only `maintenance` accepts.
    fn hosts(&self, session: &Session) -> Result<Vec<HostName>, Stop> {
        let usage = |message: &str, hint: &str| Stop::with(Exit::Usage).error(message, hint);
        let hosts = limit::select(&session.inventory, self.named)?;
        let hosts: Vec<HostName> = hosts.into_iter().filter(|h| session.selected.contains(h)).collect();
        if hosts.is_empty() {
            return Err(usage("`--limit` leaves none of the named hosts", "leave it out; the hosts are named already"));
        }
        let no_node = |h: &&HostName| !session.inventory.host(h).is_some_and(|h| h.is_node());
        match hosts.iter().find(no_node).filter(|_| self.name != maintenance::NAME) {
            Some(h) => Err(usage(&format!("{h} is no node: it is neither a control plane nor a worker"), "name hosts that run pods")),
            None => Ok(hosts),
        }
    }

    /// Checks that the hosts of `maintenance` are connected, that no control-plane host has the mark of another cluster, and that the cluster has a
    /// Node for each host that should be one.
    fn usable(&self, session: &Session, observed: &Observed, hosts: &[HostName]) -> Result<(), Stop> {
        let worked_on = |f: &&Failure| self.name == maintenance::NAME && hosts.contains(&f.host);
        let away: Vec<Failure> = session.unreachable().into_iter().filter(|f| worked_on(&f)).collect();
        if !away.is_empty() {
            return Err(Stop::failed(away).note("nothing was changed"));
        }
        let foreign =
            refusals::foreign(&session.inventory, &observed.facts, &session.masters().map(|m| m.name.clone()).collect::<Vec<_>>());
        if !foreign.is_empty() {
            return Err(Stop::refused(foreign));
        }
        let known = |h: &HostName| observed.facts.cluster.as_ref().is_some_and(|c| c.nodes.contains_key(h));
        let runs_pods = |h: &&HostName| session.inventory.host(h).is_some_and(|h| h.is_node());
        let unknown: Vec<&str> = hosts.iter().filter(runs_pods).filter(|h| !known(h)).map(String::as_str).collect();
        if !unknown.is_empty() {
            let hint = format!("let it come in first: `clusterctl join {}`", unknown.join(" "));
            return Err(Stop::with(Exit::Failed).error(format!("the cluster has no node {}", unknown.join(", ")), hint));
        }
        Ok(())
    }

    /// The reasons that would keep pods on the nodes that the plan drains.
    fn findings(&self, observed: &Observed, lists: &[String], plan: &Plan) -> Vec<Finding> {
        let Some(drains) = self.drains.as_ref().filter(|d| !d.labels) else { return vec![] };
        let pods = evictions::pods(&observed.lists, lists);
        let (Some(cluster), Some(pods)) = (&observed.facts.cluster, &pods) else { return vec![] };
        let order: Vec<String> = plan.steps().filter(|(_, _, s)| s.step.kind() == "drain").map(|(_, host, _)| host.clone()).collect();
        let at_once = plan.phases.iter().map(|p| if let Width::AtMost(n) = p.width { n } else { 1 }).max().unwrap_or(1);
        budgets::findings(&budgets::Inputs {
            order: &order,
            at_once,
            returns: drains.returns,
            options: &drains.options,
            nodes: &cluster.nodes,
            pods,
            budgets: &evictions::budgets(&observed.lists),
            evictions: &BTreeMap::new(),
        })
    }
}

/// The hosts on which a step failed after the drain, up to the step that uncordons the node: their nodes are still out of service.
fn left_out_of_service(plan: &Plan, failures: &[Failure]) -> Vec<HostName> {
    let hosts = plan.phases.iter().flat_map(|p| &p.hosts);
    let left = hosts.filter(|t| {
        let at = |kind: &str| t.guards.iter().chain(&t.steps).position(|s| s.step.kind() == kind);
        let failed = |f: &Failure| f.place.filter(|_| f.host == t.host).map(|place| place.before);
        failures.iter().filter_map(failed).any(|failed| at("uncordon").is_some() && at("drain").is_none_or(|drain| failed > drain))
    });
    left.map(|t| t.host.clone()).collect()
}
