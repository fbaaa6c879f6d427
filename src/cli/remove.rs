//! `clusterctl remove` and `clusterctl replace`.

use std::time::Duration;

use super::args::duration;
use super::completion;
use super::stop::Stop;
use crate::error::Exit;
use crate::plan::goal::{Goal, Leaving};

/// Remove hosts from a running cluster
///
/// The load balancers stop sending requests to a control-plane host, the pods are moved away, the etcd member is removed while the other
/// members have their quorum, the node is deleted, and what the cluster left on the host is removed. The command is refused if etcd would
/// lose its quorum. Delete the host from the inventory afterwards.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl remove -i prod.yaml w7\n  clusterctl remove -i prod.yaml m1 --dead --yes")]
pub struct Args {
    /// Hosts to remove
    #[arg(value_name = "HOST", required = true, add = completion::hosts())]
    hosts: Vec<String>,
    #[command(flatten)]
    how: RemoveOptions,
}

/// Replace a host by a new one
///
/// The new host joins, and then the old host is removed. An old host whose machine is gone for good (`--dead`) is removed first. Both hosts
/// must be in the inventory.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl replace -i prod.yaml m1 m4\n  clusterctl replace -i prod.yaml m1 m4 --dead --yes")]
pub struct ReplaceArgs {
    /// Host to remove
    #[arg(value_name = "OLD", add = completion::hosts())]
    old: String,
    /// Host to join
    #[arg(value_name = "NEW", add = completion::hosts())]
    new: String,
    #[command(flatten)]
    how: RemoveOptions,
}

/// How hosts leave.
#[derive(clap::Args, Debug)]
struct RemoveOptions {
    /// The machines are gone for good: no connection to them is made, and nothing is done on them
    #[arg(long)]
    dead: bool,
    /// How long a drain may take; after that the removal stops and the node stays cordoned
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    drain_timeout: Duration,
    /// Do not drain the nodes first
    #[arg(long)]
    skip_drain: bool,
}

impl RemoveOptions {
    fn leaving(&self, hosts: Vec<String>) -> Leaving {
        Leaving { hosts, dead: self.dead, drain: (!self.skip_drain).then_some(self.drain_timeout) }
    }
}

impl Args {
    /// The goal of `remove`.
    pub fn goal(&self) -> Goal {
        Goal::Remove(self.how.leaving(self.hosts.clone()))
    }
}

impl ReplaceArgs {
    /// The goal of `replace`. A host that would replace itself is an error.
    pub fn goal(&self) -> Result<Goal, Stop> {
        if self.old == self.new {
            let message = format!("{} cannot replace itself", self.old);
            return Err(Stop::with(Exit::Usage).error(message, "name the host that leaves, then the host that joins"));
        }
        Ok(Goal::Replace(self.how.leaving(vec![self.old.clone()]), self.new.clone()))
    }
}
