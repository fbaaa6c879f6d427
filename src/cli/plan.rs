//! `clusterctl plan`.

use super::Call;
use super::operate::{Mode, converge};
use crate::error::Exit;

/// Show exactly what `apply` would do
///
/// Prints every step with its differences. Exit code 0: nothing differs; 6: changes remain.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl plan -i prod.yaml || echo drift")]
pub struct Args {}

/// Runs the verb.
pub async fn run(call: &Call, _args: &Args) -> Exit {
    converge(call, Mode::Plan).await
}
