//! A file from the operator's machine to a host: goes on where it broke off, is checked as a whole, then appears at its path at once.

use std::path::Path;
use std::time::Duration;

use super::{Cmd, Host, HostError, Stdin};

const CHECK: &str = concat!(include_str!("remote/lock_held.sh"), include_str!("remote/fence.sh"), include_str!("remote/upload_check.sh"));
const UPLOAD: &str = concat!(include_str!("remote/lock_held.sh"), include_str!("remote/fence.sh"), include_str!("remote/upload.sh"));
/// How often one upload goes on after its connection broke.
const RESUMES: u32 = 3;
/// For everything but the transfer: two checksums and a sync of the host's disk.
const LIMIT: Duration = Duration::from_secs(300);
/// A transfer slower than this many bytes per second is given up.
const SLOWEST: u64 = 64 * 1024;

/// What an upload did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Bytes the host did not have yet.
    pub sent: u64,
    /// How often it had to go on after its connection broke.
    pub resumes: u32,
}

/// Why a file did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error(transparent)]
    Host(#[from] HostError),
    /// The script on the host ended with this status.
    #[error("{said}")]
    Refused { status: i32, said: String },
}

/// Makes `remote` on the host the local file with this sha256 (in hexadecimal) and mode. Sends nothing if it is that already.
pub async fn upload(host: &dyn Host, local: &Path, remote: &str, sha256: &str, mode: u32, run_id: &str) -> Result<Uploaded, UploadError> {
    let fault = |e| HostError::local(format!("cannot read `{}`", local.display()), e);
    let size = tokio::fs::metadata(local).await.map_err(fault)?.len();
    // Named after its content, so that what is left of another version is never added to.
    let part = format!("{remote}.{}.part", sha256.get(..12).unwrap_or(sha256));
    let place = [run_id.to_string(), remote.to_string(), sha256.to_string(), format!("{mode:o}"), part];
    let mut first = None;
    let mut resumes = 0;
    loop {
        let Some(there) = check(host, &place, size).await? else {
            // On the first look: it was there. Later: the end was reached, only the answer was lost.
            return Ok(Uploaded { sent: size - first.unwrap_or(size), resumes });
        };
        let start = *first.get_or_insert(there);
        let args = place.iter().cloned().chain([size.to_string(), there.to_string()]);
        let limit = LIMIT + Duration::from_secs((size - there) / SLOWEST);
        let cmd = Cmd { stdin: Stdin::File { path: local.into(), offset: there }, ..Cmd::script(UPLOAD, args).timeout(limit) };
        match say(host, cmd).await {
            Ok(_) => return Ok(Uploaded { sent: size - start, resumes }),
            // What the host has got is asked again: nothing is sent twice.
            Err(UploadError::Host(HostError::Unreachable { .. })) if resumes < RESUMES => resumes += 1,
            Err(e) => return Err(e),
        }
    }
}

/// How many bytes are there; `None` if all are, and in place.
async fn check(host: &dyn Host, place: &[String], size: u64) -> Result<Option<u64>, UploadError> {
    let said = say(host, Cmd::script(CHECK, place).timeout(LIMIT)).await?;
    if said == "done" {
        return Ok(None);
    }
    let there = said.parse().map_err(|_| HostError::Local { what: format!("`{said}` is not a size"), source: None })?;
    // Longer than the whole: not a piece of it.
    Ok(Some(if there > size { 0 } else { there }))
}

async fn say(host: &dyn Host, cmd: Cmd) -> Result<String, UploadError> {
    let output = host.run(cmd).await?;
    match output.status {
        0 => Ok(String::from_utf8_lossy(&output.stdout).trim().to_string()),
        status => Err(UploadError::Refused { status, said: String::from_utf8_lossy(&output.stderr).trim().to_string() }),
    }
}
