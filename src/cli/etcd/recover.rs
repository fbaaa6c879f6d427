//! `clusterctl etcd recover`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::sync::mpsc;

use super::file::SnapshotFile;
use super::locked::under_locks;
use super::new_file::NewFile;
use super::restore::{Restore, carried_out};
use super::save::default_name;
use super::status::ask;
use super::{external, with_member};
use crate::cli::lock::Wanted;
use crate::cli::session::{Reach, Session};
use crate::cli::stop::{Ended, Stop};
use crate::cli::{Call, completion};
use crate::error::{Exit, Failure};
use crate::facts::Facts;
use crate::facts::etcd::mebibytes;
use crate::facts::restore::RECOVER;
use crate::facts::snapshot::HashAtEnd;
use crate::host::{Host, HostError, HostName};
use crate::plan::refusals::Refusal;
use crate::plan::refusals::restore::{Inputs, of_restore};
use crate::plan::restore::unfinished;
use crate::step::restore::recover_snapshot;
use crate::step::{self, StepError};

/// Continue etcd from one member after the quorum was lost
///
/// Use it when so many members have lost their data or their machines that etcd cannot get its quorum back, and there is no newer snapshot.
/// The member of the host is stopped; from a copy of its data a snapshot is made, with every write that the member knows to be committed; the
/// snapshot is saved on this machine, in the working folder; and then all members restore it, as by `etcd restore`. The previous data stays
/// on the hosts. An interrupted recovery is continued by the same command. It is refused (exit code 4) while the quorum holds, and while a
/// host of the control plane or of etcd does not answer: take hosts that are gone for good out of the inventory first.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl etcd status\n  clusterctl etcd recover --from m1")]
pub struct Args {
    /// The host whose member has the newest data: in `etcd status`, the one with the highest term and, of these, the highest index
    #[arg(long, value_name = "HOST", add = completion::hosts())]
    from: HostName,
}

/// Runs the verb.
pub async fn run(call: &Call, args: &Args) -> Ended {
    let session = Session::open(call, Reach::Everyone).await?;
    let inv = &session.inventory;
    if inv.etcd.external.is_some() {
        return Err(external(inv));
    }
    with_member(inv, &args.from)?;
    let observed = session.observe(&[], &[]).await;
    let facts = observed.facts;
    let prefix = format!("{}-recovered-{}", inv.cluster.name, args.from);
    let of_this = |path: &Path| path.file_name().and_then(|n| n.to_str()).is_some_and(|name| name.starts_with(&prefix));
    let begun = unfinished(&facts).into_iter().map(|(_, mark)| mark).filter(|m| m.snapshot != RECOVER).max_by_key(|m| m.stage);
    if let Some(mark) = begun.filter(|mark| of_this(Path::new(&mark.from))) {
        session.report.note(format!("the snapshot of {} is {} already; the restore of it goes on", args.from, mark.from));
        let file = SnapshotFile::read(Path::new(&mark.from))?;
        return carried_out(&session, call, Restore { file, allow_foreign: true, again: false, agreed: false }).await;
    }
    let failures: Vec<Failure> = session.unreachable().into_iter().chain(observed.failures).collect();
    let (etcd, _) = ask(&session).await;
    let found = refusals(&session, &facts, &etcd, &args.from);
    if !found.is_empty() {
        return Err(Stop::with(Exit::Refused).failures(failures).refusals(found));
    }
    if call.global.dry_run {
        let text = format!(
            "would stop the etcd member of {0}, make a snapshot of its data, and restore it on all members; see `clusterctl etcd restore`",
            args.from
        );
        session.report.result(&json!({"result": "dry run", "from": args.from}), text);
        return Ok(Exit::Done);
    }
    let name = &inv.cluster.name;
    let question = format!(
        "continue etcd of cluster {name} from the member of {}? What only other members have is lost, and the API does not answer until the \
         recovery has ended.",
        args.from
    );
    if !session.report.confirm_by_name(&question, name)? {
        session.report.note("no host was changed");
        return Ok(Exit::Interrupted);
    }
    let to = PathBuf::from(default_name(&prefix, session.report.now()));
    taken(&session, call, &args.from, &facts, &to).await?;
    let file = SnapshotFile::read(&to)?;
    session.report.note(format!("saved {}, {}", to.display(), mebibytes(file.size)));
    carried_out(&session, call, Restore { file, allow_foreign: true, again: false, agreed: true }).await
}

/// Every reason why the recovery must not begin.
fn refusals(session: &Session, facts: &Facts, etcd: &super::members::Etcd, from: &HostName) -> Vec<Refusal> {
    let database = etcd.members.iter().filter(|m| m.name == *from).find_map(|m| Some(m.own.as_ref()?.database_bytes));
    let room = std::collections::BTreeMap::new();
    let inputs = Inputs { size: database.unwrap_or(0), room: &room, rehearsed: None, allow_foreign: true };
    let mut found = of_restore(&session.inventory, facts, &inputs);
    let q = &etcd.quorum;
    let leads = facts.members().is_some_and(|list| list.iter().any(|m| m.leader));
    if q.voters > 0 && q.can_lose >= 0 || leads {
        found.push(Refusal::quorum_holds(q.voters, q.healthy_voters));
    }
    found
}

/// Makes the snapshot on the host and saves it here. All control-plane and etcd hosts are locked meanwhile.
async fn taken(session: &Session, call: &Call, from: &HostName, facts: &Facts, to: &Path) -> Result<(), Stop> {
    let inv = &session.inventory;
    let Some(host) = session.hosts.get(from) else { return Err(Stop::failed(session.unreachable())) };
    let wanted = Wanted::of(inv, inv.core_hosts().map(|h| h.name.clone()).collect(), facts);
    let work = async |run: &str| fetch(host.as_ref(), run, !inv.etcd_is_stacked(), to).await;
    let ended = under_locks(session, call, &wanted, facts, &format!("making a snapshot of the data of {from}"), work).await?;
    ended.map_err(|source| {
        let (phase, step) = ("recover".into(), "make a snapshot of the data of the member".into());
        Stop::broken(vec![Failure { host: from.clone(), phase, step, place: None, source }])
    })
}

async fn fetch(host: &dyn Host, run: &str, service: bool, to: &Path) -> Result<(), StepError> {
    let local = |e: io::Error| StepError::Host(HostError::local(format!("cannot write `{}`", to.display()), e));
    let (new, mut file) = NewFile::create(to).map_err(local)?;
    let mut cmd = recover_snapshot(run, service, host.name(), host.wait_timeout());
    let (tap, mut chunks) = mpsc::channel::<Vec<u8>>(64);
    cmd.tap = Some(tap);
    let write = async {
        let mut hash = HashAtEnd::default();
        while let Some(chunk) = chunks.recv().await {
            hash.update(&chunk);
            file.write_all(&chunk)?;
        }
        Ok::<_, io::Error>((hash, file))
    };
    let (ran, written) = futures_util::future::join(host.run(cmd), write).await;
    let out = ran?;
    if let Some(failure) = step::failure_of(&out) {
        return Err(failure);
    }
    let (hash, file) = written.map_err(local)?;
    if hash.finish().is_none() {
        return Err(StepError::Refused { status: 0, said: "what arrived of the snapshot does not match the SHA-256 at its end".into() });
    }
    new.keep(file).map_err(local)
}
