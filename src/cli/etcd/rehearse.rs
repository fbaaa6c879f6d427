//! The rehearsal of a restore: a host restores the snapshot into a scratch folder, and an etcd without a connection to the cluster reads it.

use std::collections::BTreeSet;
use std::time::Instant;

use super::file::SnapshotFile;
use super::locked::under_locks;
use crate::cli::Call;
use crate::cli::lock::Wanted;
use crate::cli::session::Session;
use crate::cli::stop::Stop;
use crate::error::{Exit, Failure};
use crate::facts::Facts;
use crate::facts::etcd::mebibytes;
use crate::facts::rehearsal::{self, Rehearsed};
use crate::host::upload::upload;
use crate::host::{Host, HostName};
use crate::layout;
use crate::step::{self, StepError};

/// Free space in bytes that a rehearsal needs in addition to two copies of the snapshot: etcd's log and its programs.
const SPARE: u64 = 384 << 20;

/// Rehearses the restore on the host, which is locked meanwhile.
pub(super) async fn rehearse(session: &Session, call: &Call, file: &SnapshotFile, on: &HostName, facts: &Facts) -> Result<Rehearsed, Stop> {
    let failed = |source: StepError| {
        let (phase, step) = ("rehearse".into(), "restore the snapshot into a scratch folder".into());
        Stop::failed(vec![Failure { host: on.clone(), phase, step, place: None, source }])
    };
    let Some(host) = session.hosts.get(on) else { return Err(Stop::failed(session.unreachable())) };
    let asked = host.run(rehearsal::room()).await.map_err(|e| failed(e.into()))?;
    let need = file.size * 2 + SPARE;
    if let Some(room) = rehearsal::parse_room(&asked.stdout).filter(|room| room.state < need) {
        let (free, folder) = (mebibytes(room.state), layout::STATE_DIR);
        let what = format!("{on}: {free} are free below {folder}, and a rehearsal of this snapshot needs {}", mebibytes(need));
        return Err(Stop::with(Exit::Refused).error(what, "make room; nothing was changed"));
    }
    let wanted = Wanted { meeting: BTreeSet::new(), changed: [on.clone()].into() };
    let begun = Instant::now();
    let work = async |run: &str| on_host(host.as_ref(), run, file, session.wait_timeout).await;
    let rehearsed = under_locks(session, call, &wanted, facts, &format!("rehearsing the restore on {on}"), work).await?;
    tracing::debug!("the rehearsal took {} ms", begun.elapsed().as_millis());
    rehearsed.map_err(failed)
}

async fn on_host(host: &dyn Host, run: &str, file: &SnapshotFile, limit: std::time::Duration) -> Result<Rehearsed, StepError> {
    let to = layout::REHEARSED_SNAPSHOT;
    upload(host, &file.path, to, &file.sha256, 0o600, run).await?;
    let out = host.run(rehearsal::rehearse(run, to, limit / 2)).await?;
    if let Some(failure) = step::failure_of(&out) {
        return Err(failure);
    }
    rehearsal::parse(&out.stdout).ok_or_else(|| {
        let said = String::from_utf8_lossy(&out.stderr).trim().to_string();
        let said = if said.is_empty() { "the answer of the rehearsal is not whole".into() } else { said };
        StepError::Refused { status: out.status, said }
    })
}
