//! `clusterctl init`.

use super::Call;
use super::operate::{Mode, converge};
use crate::error::Exit;

/// Found the cluster of the inventory
///
/// Prepares every host, founds the control plane on all its hosts side by side, and lets the workers join. An interrupted run is
/// continued by the same command. A finished cluster is left alone, a foreign one refused.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  clusterctl init -i inventories/ha-haproxy.yaml --dry-run\n  clusterctl init -i inventories/ha-haproxy.yaml"
)]
pub struct Args {}

/// Runs the verb.
pub async fn run(call: &Call, _args: &Args) -> Exit {
    converge(call, Mode::Init).await
}
