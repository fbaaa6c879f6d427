//! `clusterctl etcd`: looks at etcd, maintains it, and saves and restores snapshots of its data.

use std::collections::BTreeMap;

use super::session::{self, Reach, Session};
use super::stop::{Ended, Stop};
use super::{Call, operation};
use crate::error::{Exit, Failure};
use crate::facts::etcd::{self, MemberAnswer};
use crate::host::HostName;
use crate::inventory::{HostEntry, Inventory};

mod alarm;
mod change;
mod compact;
mod defrag;
mod file;
mod keys;
mod leader;
mod locked;
mod members;
mod new_file;
mod recover;
mod rehearse;
mod restore;
mod save;
mod snapshot;
mod status;
mod verify;

/// Look at etcd, maintain it, and save and restore its data
///
/// The commands ask the etcd members on the hosts, and work without an API server. `status`, `keys`, `get` and `alarm list` change nothing.
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
    Defrag(defrag::Args),
    MoveLeader(leader::Args),
    Alarm(alarm::Args),
    Compact(compact::Args),
    Snapshot(snapshot::Args),
    Restore(restore::Args),
    Recover(recover::Args),
}

/// Runs the verb.
pub async fn run(call: &Call, args: &Args) -> Ended {
    match &args.verb {
        Verb::Restore(_) | Verb::Recover(_) if !call.global.limit.is_empty() => {
            let what = "etcd is restored on all members at once, so `--limit` cannot be used";
            Err(Stop::with(Exit::Usage).error(what, "leave out `--limit`"))
        }
        Verb::Status(_) => status::run(&open(call, Reach::Etcd).await?).await,
        Verb::Keys(args) => keys::list(&open(call, Reach::Etcd).await?, args).await,
        Verb::Get(args) => keys::describe(&open(call, Reach::Etcd).await?, args).await,
        Verb::Alarm(alarm::Args { verb: alarm::Verb::List(_) }) => alarm::list(&open(call, Reach::Etcd).await?).await,
        Verb::Alarm(alarm::Args { verb: alarm::Verb::Disarm(args) }) => change(call, args).await,
        Verb::Defrag(args) => change(call, args).await,
        Verb::MoveLeader(args) => change(call, args).await,
        Verb::Compact(args) => change(call, args).await,
        Verb::Restore(args) => restore::run(call, args).await,
        Verb::Recover(args) => recover::run(call, args).await,
        Verb::Snapshot(args) => {
            args.check()?;
            snapshot::run(&open(call, Reach::Etcd).await?, call, args).await
        }
    }
}

async fn change<O: operation::Operation>(call: &Call, operation: &O) -> Ended {
    operation::operate(operation, &open(call, Reach::MastersAndEtcd).await?, call).await
}

async fn open(call: &Call, reach: Reach) -> Result<Session, Stop> {
    let inventory = session::load_to_look(&call.global, &call.report)?.inventory;
    if inventory.etcd.external.is_some() {
        return Err(external(&inventory));
    }
    Session::connect(call, inventory, reach).await
}

fn external(inv: &Inventory) -> Stop {
    let what = format!("the etcd of cluster {} is not managed by clusterctl (etcd.external)", inv.cluster.name);
    Stop::with(Exit::Failed).error(what, "ask its members with etcdctl, with the endpoints and certificates of the inventory")
}

/// The host of this name, which must be one with an etcd member.
fn with_member<'a>(inv: &'a Inventory, name: &str) -> Result<&'a HostEntry, Stop> {
    inv.etcd_hosts().into_iter().find(|h| h.name == name).ok_or_else(|| {
        let names: Vec<&str> = inv.etcd_hosts().into_iter().map(|h| h.name.as_str()).collect();
        Stop::with(Exit::Usage).error(format!("{name} is no host with an etcd member"), format!("name one of {}", names.join(", ")))
    })
}

/// Asks each etcd host for the state of its own member. Returns the answers, and why other hosts could not be asked.
async fn answers(session: &Session) -> (BTreeMap<HostName, MemberAnswer>, Vec<Failure>) {
    let commands = session.inventory.etcd_hosts().iter().map(|h| (h.name.clone(), etcd::request())).collect();
    let mut failures = session.unreachable();
    let mut answers = BTreeMap::new();
    for (host, answer) in session.each(commands).await {
        match answer {
            Ok(out) => drop(answers.insert(host, etcd::parse(&out.stdout))),
            Err(e) => failures.push(Failure::observing(host, e)),
        }
    }
    (answers, failures)
}
