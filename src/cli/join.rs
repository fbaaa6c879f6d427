//! `clusterctl join`.

use super::Call;
use super::operate::{Mode, converge};
use crate::error::Exit;

/// Let hosts of the inventory come into the cluster
///
/// Workers join side by side, control-plane hosts one after another: each becomes an etcd learner, votes once it is in sync, and only
/// then serves. Without names, every host of the inventory that is not in the cluster joins. An interrupted join is continued by the
/// same command.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl join -i prod.yaml w7 w8\n  clusterctl join -i prod.yaml --dry-run")]
pub struct Args {
    /// Hosts to let in; all that are not in yet if none is named
    #[arg(value_name = "HOST")]
    hosts: Vec<String>,
}

/// Runs the verb.
pub async fn run(call: &Call, args: &Args) -> Exit {
    converge(call, Mode::Join(args.hosts.clone())).await
}
