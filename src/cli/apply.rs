//! `clusterctl apply`.

use super::Call;
use super::operate::{Mode, converge};
use crate::error::Exit;

/// Make the cluster what the inventory says
///
/// Repairs what was changed or deleted by hand and rolls out changes of the inventory, control-plane hosts one at a time.
/// Does nothing where nothing differs.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl apply -i prod.yaml\n  clusterctl apply -i prod.yaml --limit w1,w2")]
pub struct Args {}

/// Runs the verb.
pub async fn run(call: &Call, _args: &Args) -> Exit {
    converge(call, Mode::Apply).await
}
