//! `clusterctl etcd snapshot save`.

use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::sync::mpsc;

use super::members::{Etcd, Member, State};
use super::new_file::NewFile;
use super::status::ask;
use crate::cli::Call;
use crate::cli::report::plural;
use crate::cli::save::folder_of;
use crate::cli::session::Session;
use crate::cli::stop::{Ended, Stop};
use crate::error::{Exit, Failure};
use crate::facts::etcd::mebibytes;
use crate::facts::snapshot::{self, Taken, Unpacker};
use crate::host::{Host, HostError};
use crate::step::StepError;

/// Save a snapshot of etcd on this machine
///
/// A healthy member streams the snapshot, and nothing is written to its disk. The file gets its name only after its SHA-256, which etcd writes
/// at its end, was found to be right; an existing file is never overwritten. The snapshot contains every Secret of the cluster, so only its
/// owner can read it (mode 0600).
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl etcd snapshot save\n  clusterctl etcd snapshot save /backup --keep 14")]
pub struct Args {
    /// The file, or an existing folder. In a folder, the name of the file is that of the cluster and the time in UTC, such as
    /// prod-20261128T091500Z.db [default: the working folder]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Afterwards, delete older snapshots of this cluster whose names were given by this command, so that this many are left in the folder
    #[arg(long, value_name = "N")]
    keep: Option<NonZeroUsize>,
}

/// Runs the verb.
pub(super) async fn run(session: &Session, call: &Call, args: &Args) -> Ended {
    let report = &session.report;
    let cluster = &session.inventory.cluster.name;
    let to = match &args.file {
        Some(file) if !file.is_dir() => {
            if args.keep.is_some() {
                let hint = "name a folder: only files that this command has named are deleted";
                return Err(Stop::with(Exit::Usage).error("`--keep` cannot be used with the name of a file", hint));
            }
            file.clone()
        }
        folder => folder.as_deref().unwrap_or(Path::new("")).join(default_name(cluster, report.now())),
    };
    if to.exists() {
        let what = format!("`{}` exists already", to.display());
        return Err(Stop::with(Exit::Refused).error(what, "name another file; an existing file is never overwritten"));
    }
    let (etcd, failures) = ask(session).await;
    let Some((member, host)) = source(&etcd).and_then(|m| Some((m, session.hosts.get(&m.name)?))) else {
        let hint = "see `clusterctl etcd status`; if the quorum cannot come back, see `clusterctl etcd recover --help`";
        return Err(Stop::with(Exit::Failed).failures(failures).error("no etcd member is healthy", hint));
    };
    if call.global.dry_run {
        let text = format!("would save a snapshot of etcd from {} to {}", member.name, to.display());
        report.result(&json!({"result": "dry run", "member": member.name, "file": to}), text);
        return Ok(Exit::Done);
    }
    let busy = report.busy(&format!("saving a snapshot of etcd from {}", member.name));
    let fetched = fetch(host.as_ref(), &to).await;
    drop(busy);
    let taken = fetched.map_err(|source| {
        let (host, phase, step) = (member.name.clone(), "snapshot".into(), "save a snapshot of etcd".into());
        Stop::failed(vec![Failure { host, phase, step, place: None, source }])
    })?;
    let deleted = match args.keep {
        Some(keep) => prune(&to, cluster, keep.get()).map_err(|e| {
            let what = format!("{} is saved, and older snapshots cannot be deleted: {e}", to.display());
            Stop::with(Exit::Failed).error(what, "delete them by hand")
        })?,
        None => vec![],
    };
    report.result(&value(&taken, &member.name, &to, &deleted), text(&taken, &member.name, &to, &deleted));
    Ok(Exit::Done)
}

fn value(taken: &Taken, member: &str, to: &Path, deleted: &[PathBuf]) -> serde_json::Value {
    json!({"result": "saved", "file": to, "bytes": taken.size, "sha256": taken.sha256, "member": member, "clusterId": taken.cluster,
        "revision": taken.revision, "keys": taken.keys, "deleted": deleted})
}

fn text(taken: &Taken, member: &str, to: &Path, deleted: &[PathBuf]) -> String {
    let mut text = format!(
        "saved {} from {member}: {}, revision {}, {}, etcd cluster {}\n",
        to.display(),
        mebibytes(taken.size),
        taken.revision,
        plural(usize::try_from(taken.keys).unwrap_or(usize::MAX), "key"),
        taken.cluster
    );
    deleted.iter().for_each(|old| text += &format!("deleted {}\n", old.display()));
    text
}

/// The member that takes the snapshot: a healthy one, which has just answered a read that needs the quorum, so it has every write that was
/// acknowledged before. The one with the highest revision is preferred, but a leader, which has more to do than the others, only if it is the only
/// healthy member.
fn source(etcd: &Etcd) -> Option<&Member> {
    let healthy = etcd.members.iter().filter(|m| m.state == State::Ok && !m.learner && !m.id.is_empty());
    healthy.max_by_key(|m| (!m.leader, m.own.as_ref().map(|o| (o.revision, o.index))))
}

/// The names that this command gives: `CLUSTER-YYYYMMDDTHHMMSSZ.db`.
pub(super) fn default_name(cluster: &str, now: jiff::Timestamp) -> String {
    format!("{cluster}-{}.db", now.strftime("%Y%m%dT%H%M%SZ"))
}

/// Whether this command has given a snapshot of the cluster this name.
fn is_ours(name: &str, cluster: &str) -> bool {
    let time = name.strip_prefix(cluster).and_then(|rest| rest.strip_prefix('-')).and_then(|rest| rest.strip_suffix(".db"));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let parts = time.and_then(|t| t.strip_suffix('Z')).and_then(|t| t.split_once('T'));
    parts.is_some_and(|(day, clock)| day.len() == 8 && clock.len() == 6 && digits(day) && digits(clock))
}

/// Deletes the oldest snapshots of the cluster that this command has named and that are beside the new one, until `keep` are left. Returns those that
/// were deleted.
fn prune(new: &Path, cluster: &str, keep: usize) -> io::Result<Vec<PathBuf>> {
    let mut names: Vec<String> = std::fs::read_dir(folder_of(new))?.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect();
    names.retain(|name| is_ours(name, cluster));
    // The names of one cluster sort by time.
    names.sort();
    let is_new = |path: &PathBuf| path.file_name() == new.file_name();
    let old = names.len().saturating_sub(keep);
    let paths: Vec<PathBuf> = names.iter().take(old).map(|name| new.with_file_name(name)).filter(|path| !is_new(path)).collect();
    paths.iter().try_for_each(std::fs::remove_file)?;
    Ok(paths)
}

/// Writes the snapshot that the member of the host takes to this file.
async fn fetch(host: &dyn Host, to: &Path) -> Result<Taken, StepError> {
    let local = |e: io::Error| StepError::Host(HostError::local(format!("cannot write `{}`", to.display()), e));
    let (new, file) = NewFile::create(to).map_err(local)?;
    let mut cmd = snapshot::request();
    let (tap, mut chunks) = mpsc::channel::<Vec<u8>>(64);
    cmd.tap = Some(tap);
    let unpack = async {
        let mut unpacker = Unpacker::new(file);
        while let Some(chunk) = chunks.recv().await {
            unpacker.take(&chunk)?;
        }
        unpacker.finish()
    };
    let (ran, unpacked) = futures_util::future::join(host.run(cmd), unpack).await;
    let out = ran?;
    let (taken, file) = unpacked.map_err(|e| {
        // The message of the host's tools explains a snapshot that is not whole better than the end of the output does.
        let said = String::from_utf8_lossy(&out.stderr).trim().to_string();
        let said = if said.is_empty() { e.to_string() } else { said };
        if e.kind() == io::ErrorKind::InvalidData { StepError::Refused { status: out.status, said } } else { local(e) }
    })?;
    new.keep(file).map_err(local)?;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::super::members::tests::{answer, etcd};
    use super::*;

    #[test]
    fn a_follower_takes_the_snapshot_and_a_leader_only_if_it_is_alone() {
        let name = |e: &Etcd| source(e).map(|m| m.name.clone());
        let mut third = answer(3, 1);
        third.status.as_mut().expect("it answers").revision += 1;
        assert_eq!(name(&etcd(&[("m1", answer(1, 1)), ("m2", answer(2, 1)), ("m3", third)])).as_deref(), Some("m3"));
        assert_eq!(name(&etcd(&[("m1", answer(1, 1))])).as_deref(), Some("m1"));
        assert_eq!(name(&etcd(&[("m1", answer(1, 0)), ("m2", answer(2, 0))])), None, "there is no quorum");
    }

    #[test]
    fn only_old_snapshots_that_this_command_has_named_are_deleted() {
        let folder = tempfile::tempdir().expect("there is room");
        let now = "2026-11-28T09:15:00Z".parse().expect("a time");
        let new = folder.path().join(default_name("ha", now));
        let named = ["ha-20261126T091500Z.db", "ha-20261127T091500Z.db", "ha-20261128T091500Z.db"];
        let others = ["ha-before.db", "ha-20261125T091500Z.db.part", "ha-x-20261125T091500Z.db", "ha-20261125T091500Z", "other.db"];
        named.iter().chain(&others).for_each(|name| std::fs::write(folder.path().join(name), "").expect("it is writable"));
        assert_eq!(prune(&new, "ha", 3).expect("it is readable"), Vec::<PathBuf>::new());
        assert_eq!(prune(&new, "ha", 1).expect("it is readable"), [named[0], named[1]].map(|name| folder.path().join(name)));
        let mut left: Vec<String> = std::fs::read_dir(folder.path())
            .expect("it exists")
            .map(|e| e.expect("it is readable").file_name().into_string().expect("text"))
            .collect();
        left.sort();
        let mut wanted: Vec<&str> = others.into_iter().chain([named[2]]).collect();
        wanted.sort();
        assert_eq!(left, wanted);
    }
}
