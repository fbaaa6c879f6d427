//! `clusterctl certs`: the certificates of all hosts.

use super::Call;
use super::stop::Ended;

mod list;
mod model;
mod renew;

/// List and renew certificates
///
/// `apply` also renews the certificates that expire soon, while an API server answers.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    List(list::Args),
    Renew(renew::Args),
}

/// Runs the verb.
pub async fn run(call: &Call, args: &Args) -> Ended {
    match &args.verb {
        Verb::List(args) => list::run(call, args).await,
        Verb::Renew(args) => renew::run(call, args).await,
    }
}
