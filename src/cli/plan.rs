//! `clusterctl plan`.

/// Show exactly what `apply` would do
///
/// Prints every step with its differences. The exit code is 0 if nothing differs and 6 if there are changes to make.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl plan -i prod.yaml || echo drift")]
pub struct Args {}
