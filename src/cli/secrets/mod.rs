//! `clusterctl secrets`: the encryption of what API servers store in etcd.

use super::Call;
use super::converge::converge;
use super::operation;
use super::session::Reach;
use super::stop::Ended;
use crate::plan::Goal;

mod rewrite;
mod status;

/// Look at the encryption of stored values, and change its key
///
/// `controlPlane.encryption` of the inventory says what is encrypted, and `apply` switches it on. The keys are made by clusterctl and stay on
/// control-plane hosts; no command shows them.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    Status(status::Args),
    RotateKey(RotateKey),
    Rewrite(rewrite::Args),
}

/// Change the key with which stored values are encrypted
///
/// Gives every API server a new key to read with, then to write with, rewrites everything that is stored, and removes the old key from all hosts once
/// etcd has no value that needs it. API servers are replaced one at a time, three times each, and go on serving. What else differs from the inventory
/// is put right in the first pass. After an interruption, the same command goes on. The exit code is 0 if only the new key is left, and 4 if the change
/// is refused.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl secrets rotate-key --dry-run\n  clusterctl secrets rotate-key --yes")]
struct RotateKey {}

/// Runs the verb.
pub async fn run(call: &Call, args: &Args) -> Ended {
    match &args.verb {
        Verb::Status(_) => status::run(call).await,
        // The number of the key is known once the hosts have been observed.
        Verb::RotateKey(_) => converge(call, Goal::RotateKey(0)).await,
        Verb::Rewrite(args) => operation::run(args, call, Reach::Everyone).await,
    }
}
