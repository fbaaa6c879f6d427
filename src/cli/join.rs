//! `clusterctl join`.

use super::completion;
use crate::plan::Goal;

/// Join hosts of the inventory to the cluster
///
/// Workers join side by side, control-plane hosts one after another: each becomes an etcd learner, gets its vote once it is in sync, and
/// only then serves the API. Without names, every host of the inventory that is not in the cluster joins. If a run was interrupted, the
/// same command continues it.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl join -i prod.yaml w7 w8\n  clusterctl join -i prod.yaml --dry-run")]
pub struct Args {
    /// Hosts to join; without names, all hosts that are not in the cluster yet
    #[arg(value_name = "HOST", add = completion::hosts())]
    hosts: Vec<String>,
}

impl Args {
    /// The goal of the verb.
    pub fn goal(&self) -> Goal {
        Goal::Join(self.hosts.clone())
    }
}
