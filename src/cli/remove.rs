//! `clusterctl remove` and `clusterctl replace`.

use std::time::Duration;

use super::Call;
use super::operate::stages::Leaving;
use super::operate::{Mode, converge};
use crate::error::Exit;
use crate::inventory::parse_duration;

/// Take hosts out of a cluster that goes on
///
/// The load balancer forgets a control-plane host first, its pods move away, its etcd member leaves while the others have their quorum,
/// its node is deleted, and what the cluster left on it is removed. Refused where the quorum would break. Take the host out of the
/// inventory afterwards.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl remove -i prod.yaml w7\n  clusterctl remove -i prod.yaml m1 --dead --yes")]
pub struct Args {
    /// Hosts that leave
    #[arg(value_name = "HOST", required = true)]
    hosts: Vec<String>,
    #[command(flatten)]
    how: How,
}

/// Let a new host take the place of another
///
/// The new one joins, then the old one is removed; one that is gone for good (`--dead`) is removed first. Both are in the inventory.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl replace -i prod.yaml m1 m4\n  clusterctl replace -i prod.yaml m1 m4 --dead --yes")]
pub struct ReplaceArgs {
    /// Host that leaves
    #[arg(value_name = "OLD")]
    old: String,
    /// Host that comes
    #[arg(value_name = "NEW")]
    new: String,
    #[command(flatten)]
    how: How,
}

/// How hosts leave.
#[derive(clap::Args, Debug)]
struct How {
    /// The machines are gone for good: nothing is asked of them or done on them
    #[arg(long)]
    dead: bool,
    /// How long a drain may take before the removal stops with the node cordoned
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    drain_timeout: Duration,
    /// Do not ask the pods to move first
    #[arg(long)]
    skip_drain: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a duration such as 90s or 5m".into())
}

impl How {
    fn leaving(&self, hosts: Vec<String>) -> Leaving {
        Leaving { hosts, dead: self.dead, drain: (!self.skip_drain).then_some(self.drain_timeout) }
    }
}

/// Runs `remove`.
pub async fn run(call: &Call, args: &Args) -> Exit {
    converge(call, Mode::Remove(args.how.leaving(args.hosts.clone()))).await
}

/// Runs `replace`.
pub async fn replace(call: &Call, args: &ReplaceArgs) -> Exit {
    if args.old == args.new {
        call.report.error(format!("{} cannot take its own place", args.old), Some("name the host that leaves, then the one that comes"));
        return Exit::Usage;
    }
    converge(call, Mode::Replace(args.how.leaving(vec![args.old.clone()]), args.new.clone())).await
}
