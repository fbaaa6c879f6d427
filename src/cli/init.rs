//! `clusterctl init`.

/// Create the cluster of the inventory
///
/// Prepares every host, starts the control planes of all control-plane hosts side by side, and joins the workers. If a run was interrupted,
/// the same command continues it. A cluster that is finished is not changed, and hosts of another cluster are refused.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  clusterctl init -i inventories/ha-haproxy.yaml --dry-run\n  clusterctl init -i inventories/ha-haproxy.yaml"
)]
pub struct Args {}
