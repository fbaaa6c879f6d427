//! `clusterctl maintenance`: work on hosts, one wave after another, while their nodes are out of service.

use std::time::Duration;

use super::{Drains, Flags, Verb};
use crate::cli::args::duration_or_zero;
use crate::cli::operation;
use crate::cli::session::Reach;
use crate::cli::stop::{Ended, Stop};
use crate::cli::{Call, completion};
use crate::error::Exit;
use crate::plan::{Parallelism, nodes};

pub(super) const NAME: &str = "maintenance";

/// Run a command on hosts, or reboot them, while their nodes are drained
///
/// For each host: the node is drained, the command runs as root without a shell, the host reboots if `--reboot` is given, and the node is
/// uncordoned once it is Ready again. Control-plane hosts, etcd hosts and load balancers come first and one after another. Each of them is
/// touched only while etcd keeps its quorum without it, and must be back in service before the next one. If the command fails, the node
/// stays cordoned and counts as one of those that may be unavailable; `uncordon` puts it back into service. A node that was cordoned before
/// stays cordoned.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  clusterctl maintenance w1 w2 --max-unavailable 2 -- apt-get -y dist-upgrade\n  clusterctl maintenance m1 m2 m3 w1 --reboot\n  \
        clusterctl maintenance w1 --reboot -- sh -c 'apt-get update && apt-get -y dist-upgrade'"
)]
pub struct Args {
    /// Hosts, by their names in the inventory
    #[arg(value_name = "HOST", required = true, add = completion::hosts())]
    hosts: Vec<String>,
    /// Reboot each host, after the command if one is given
    #[arg(long)]
    reboot: bool,
    /// How many workers may be out of service at once: a number or a percentage of all workers
    #[arg(long, value_name = "N|P%", default_value = "1")]
    max_unavailable: Parallelism,
    /// How long the command may take on a host
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = duration_or_zero)]
    command_timeout: Duration,
    /// How long a host may take until it can be reached by SSH again
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration_or_zero)]
    reboot_timeout: Duration,
    #[command(flatten)]
    flags: Flags,
    /// Program and arguments, after `--`
    #[arg(last = true)]
    command: Vec<String>,
}

/// Runs the verb.
pub async fn run(call: &Call, args: &Args) -> Ended {
    if args.command.is_empty() && !args.reboot {
        let hint = "write the command after `--`, such as `clusterctl maintenance w1 -- apt-get -y dist-upgrade`, or say `--reboot`";
        return Err(Stop::with(Exit::Usage).error("there is nothing to do on the hosts: no command, and no `--reboot`", hint));
    }
    let options = args.flags.options();
    let work = nodes::Work {
        argv: args.command.clone(),
        command_timeout: args.command_timeout,
        reboot: args.reboot.then_some(args.reboot_timeout),
        options,
        extras: args.flags.extras(false),
    };
    let desired = |i: &nodes::Inputs<'_>| nodes::maintenance(i, &work);
    let drains = Some(Drains { options, returns: true, labels: args.flags.pod_selector.is_some() });
    let verb = Verb { name: NAME, done: "done", named: &args.hosts, at_once: args.max_unavailable, drains, desired: &desired };
    operation::run(&verb, call, Reach::Everyone).await
}
