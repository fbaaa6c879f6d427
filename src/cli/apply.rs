//! `clusterctl apply`.

/// Make the cluster match the inventory
///
/// Repairs what was changed or deleted by hand and rolls out changes of the inventory, one control-plane host at a time. If nothing
/// differs, nothing is changed.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl apply -i prod.yaml\n  clusterctl apply -i prod.yaml --limit w1,w2")]
pub struct Args {}
