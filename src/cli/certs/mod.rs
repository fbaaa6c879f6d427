//! `clusterctl certs`: the certificates of all hosts.

use super::Call;
use super::stop::Ended;

mod list;
mod model;

/// Look at certificates
///
/// `apply` renews the certificates that expire soon. The commands here change nothing.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    List(list::Args),
}

/// Runs the verb.
pub async fn run(call: &Call, args: &Args) -> Ended {
    match &args.verb {
        Verb::List(args) => list::run(call, args).await,
    }
}
