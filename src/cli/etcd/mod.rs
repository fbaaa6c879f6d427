//! `clusterctl etcd`: a look at etcd that changes nothing.

use super::Call;
use super::session::{Reach, Session};
use super::stop::{Ended, Stop};
use crate::error::Exit;
use crate::inventory::Inventory;

mod keys;
mod members;
mod status;

/// Look at etcd
///
/// These commands change nothing. They ask the etcd members on the hosts, and work without an API server.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    Status(status::Args),
    Keys(keys::Keys),
    Get(keys::Get),
}

/// Runs the verb.
pub async fn run(call: &Call, args: &Args) -> Ended {
    let session = Session::open_to_look(call, Reach::Etcd).await?;
    if session.inventory.etcd.external.is_some() {
        return Err(external(&session.inventory));
    }
    match &args.verb {
        Verb::Status(_) => status::run(&session).await,
        Verb::Keys(args) => keys::list(&session, args).await,
        Verb::Get(args) => keys::describe(&session, args).await,
    }
}

fn external(inv: &Inventory) -> Stop {
    let what = format!("the etcd of cluster {} is not managed by clusterctl (etcd.external)", inv.cluster.name);
    Stop::with(Exit::Failed).error(what, "ask its members with etcdctl, with the endpoints and certificates of the inventory")
}
