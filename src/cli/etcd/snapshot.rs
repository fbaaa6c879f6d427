//! `clusterctl etcd snapshot`: snapshots of etcd on this machine.

use super::{save, verify};
use crate::cli::Call;
use crate::cli::session::Session;
use crate::cli::stop::{Ended, Stop};

/// Save snapshots of etcd on this machine, and rehearse their restore
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    Save(save::Args),
    Verify(verify::Args),
}

impl Args {
    /// Checks what can be checked without a host: a file that is not a whole snapshot is refused before anything is sent.
    pub(super) fn check(&self) -> Result<(), Stop> {
        match &self.verb {
            Verb::Save(_) => Ok(()),
            Verb::Verify(args) => args.check(),
        }
    }
}

/// Runs the verb.
pub(super) async fn run(session: &Session, call: &Call, args: &Args) -> Ended {
    match &args.verb {
        Verb::Save(args) => save::run(session, call, args).await,
        Verb::Verify(args) => verify::run(session, call, args).await,
    }
}
