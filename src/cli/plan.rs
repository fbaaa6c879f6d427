//! `clusterctl plan`.

use super::Call;
use super::converge::preview;
use super::stop::Ended;
use crate::plan::Goal;

/// Show exactly what `apply` would do
///
/// Prints every step with its differences. The exit code is 0 if nothing differs and 6 if there are changes to make.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl plan -i prod.yaml || echo drift")]
pub struct Args {}

/// Runs the verb.
pub async fn run(call: &Call, _args: &Args) -> Ended {
    preview(call, Goal::Keep).await
}
