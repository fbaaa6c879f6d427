//! `clusterctl etcd snapshot verify`.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;

use super::file::SnapshotFile;
use super::keys::counted;
use super::rehearse::rehearse;
use super::with_member;
use crate::cli::report::{plural, table, took};
use crate::cli::session::Session;
use crate::cli::stop::{Ended, Stop};
use crate::cli::{Call, completion};
use crate::error::Exit;
use crate::facts::etcd::mebibytes;
use crate::facts::rehearsal::Rehearsed;
use crate::host::HostName;
use crate::plan::refusals::restore::is_other;

/// Rehearse the restore of a snapshot
///
/// The file is checked on this machine first. Then a host with an etcd member restores it into a scratch folder, and starts an etcd over it
/// that has no connection to the cluster. What that etcd has is shown, and then it is ended and everything is removed. The cluster is not
/// changed. The exit code is 1 if the snapshot is of another cluster, and 4 if the file is not a whole snapshot.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl etcd snapshot verify prod-20261128T091500Z.db --on m2")]
pub struct Args {
    /// The snapshot
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The host that restores it [default: the first host with an etcd member that answers]
    #[arg(long, value_name = "HOST", add = completion::hosts())]
    on: Option<HostName>,
}

impl Args {
    /// Fails if the file is not a whole snapshot.
    pub(super) fn check(&self) -> Result<(), Stop> {
        SnapshotFile::read(&self.file).map(drop)
    }
}

/// Runs the verb.
pub(super) async fn run(session: &Session, call: &Call, args: &Args) -> Ended {
    let file = SnapshotFile::read(&args.file)?;
    let members = session.inventory.etcd_hosts();
    if let Some(on) = &args.on {
        with_member(&session.inventory, on)?;
    }
    let observed = session.observe(&[], &[]).await;
    let answers = |name: &&HostName| observed.facts.hosts.contains_key(*name);
    let Some(on) = args.on.as_ref().or(members.iter().map(|m| &m.name).find(answers)).filter(answers).cloned() else {
        return Err(Stop::failed(session.unreachable().into_iter().chain(observed.failures).collect()));
    };
    if call.global.dry_run {
        let text = format!("{} is whole; would rehearse its restore on {on}", args.file.display());
        session.report.result(&json!({"result": "dry run", "file": args.file, "host": on}), text);
        return Ok(Exit::Done);
    }
    let begun = Instant::now();
    let rehearsed = rehearse(session, call, &file, &on, &observed.facts).await?;
    let (time, cluster) = (took(begun.elapsed()), whose(&rehearsed));
    let counts = counted(&rehearsed.keys);
    let rows = counts.iter().map(|(resource, count)| vec![count.to_string(), resource.clone()]);
    let said = match cluster {
        Whose::This => format!("it is a snapshot of cluster {}", session.inventory.cluster.name),
        Whose::Other => "it is a snapshot of a cluster with another CA, and `etcd restore` refuses it".into(),
        Whose::Unknown => "its cluster is not known, because it has no ConfigMap kube-public/cluster-info that can be read".into(),
    };
    let (path, size, age) = (args.file.display(), mebibytes(file.size), file.age());
    let (tool, version, revision) = (&rehearsed.tool, &rehearsed.status.version, rehearsed.status.revision);
    let keys = plural(rehearsed.keys.len(), "key");
    let text = format!(
        "{path}: a whole snapshot, {size}, written {age} ago\n\
         restored on {on} with {tool} {version} in {time}: revision {revision}, {keys}\n\
         {said}\n\n{}\n",
        table(&["KEYS", "RESOURCE"], rows)
    );
    let value = json!({"file": args.file, "bytes": file.size, "sha256": file.sha256, "age": age, "host": on, "tool": tool, "etcdVersion": version,
        "revision": revision, "keys": rehearsed.keys.len(), "cluster": cluster.word(),
        "counts": counts.iter().cloned().collect::<std::collections::BTreeMap<_, _>>()});
    session.report.result(&value, text);
    Ok(if cluster == Whose::Other { Exit::Failed } else { Exit::Done })
}

/// The cluster of a snapshot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    This,
    Other,
    Unknown,
}

impl Whose {
    fn word(self) -> &'static str {
        match self {
            Whose::This => "this",
            Whose::Other => "other",
            Whose::Unknown => "unknown",
        }
    }
}

fn whose(rehearsed: &Rehearsed) -> Whose {
    // The script prints the ownership mark in one line.
    let mark = rehearsed.mark.replace(" ca:", "\nca:");
    match &rehearsed.ca {
        None => Whose::Unknown,
        Some(ca) if is_other([mark.as_str()].into_iter(), ca) => Whose::Other,
        Some(_) => Whose::This,
    }
}
