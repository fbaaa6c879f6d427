//! Uploads a file from the operator's machine to a host. An interrupted upload is resumed. The file is moved to its final path only after all of it
//! has arrived and its sha256 was found to be right.

use std::path::Path;
use std::time::Duration;

use super::{Cmd, Host, HostError, Stdin};
use crate::script;

const CHECK: &str = script!("lib/lock_held.sh", "lib/fence.sh", "steps/upload_check.sh");
const UPLOAD: &str = script!("lib/lock_held.sh", "lib/fence.sh", "steps/upload.sh");
/// The largest number of times that one upload is resumed after its connection broke.
const RESUMES: u32 = 3;
/// The limit for everything but the transfer: two checksums and a sync of the host's disk.
const LIMIT: Duration = Duration::from_secs(300);
/// An upload that transfers fewer bytes per second than this is given up.
const SLOWEST: u64 = 64 * 1024;

/// The result of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// The number of bytes that the host did not have yet.
    pub sent: u64,
    /// How often the upload was resumed after its connection broke.
    pub resumes: u32,
}

/// Why an upload failed.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error(transparent)]
    Host(#[from] HostError),
    /// The script on the host exited with `status`, and wrote `said` to its standard error.
    #[error("{said}")]
    Refused { status: i32, said: String },
}

/// Writes the local file with this sha256 (in hexadecimal) and this mode to the path `remote` on the host. Sends nothing if the host has this file at
/// `remote` already.
pub async fn upload(host: &dyn Host, local: &Path, remote: &str, sha256: &str, mode: u32, run_id: &str) -> Result<Uploaded, UploadError> {
    let fault = |e| HostError::local(format!("cannot read `{}`", local.display()), e);
    let size = tokio::fs::metadata(local).await.map_err(fault)?.len();
    // The name of the partial file contains a part of the digest, so that the partial upload of another version is never continued.
    let part = format!("{remote}.{}.part", sha256.get(..12).unwrap_or(sha256));
    let mode = format!("{mode:o}");
    let script = |text| Cmd::script(text).arg("run", run_id).arg("path", remote).arg("sum", sha256).arg("mode", &mode).arg("part", &part);
    let mut first = None;
    let mut resumes = 0;
    loop {
        let Some(there) = check(host, script(CHECK), size).await? else {
            // The host has the whole file. In the first round, it had the file before this upload. In a later round, the upload succeeded, but the
            // connection broke before the script could report it.
            return Ok(Uploaded { sent: size - first.unwrap_or(size), resumes });
        };
        let start = *first.get_or_insert(there);
        let limit = LIMIT + Duration::from_secs((size - there) / SLOWEST);
        let cmd = Cmd {
            stdin: Stdin::File { path: local.into(), offset: there },
            ..script(UPLOAD).arg("size", size).arg("offset", there).timeout(limit)
        };
        match say(host, cmd).await {
            Ok(_) => return Ok(Uploaded { sent: size - start, resumes }),
            // The next round asks the host how many bytes it has, so that nothing is sent twice.
            Err(UploadError::Host(HostError::Unreachable { .. })) if resumes < RESUMES => resumes += 1,
            Err(e) => return Err(e),
        }
    }
}

/// Asks the host how many bytes of the file it has. `None` if the file is complete and at its path.
async fn check(host: &dyn Host, cmd: Cmd, size: u64) -> Result<Option<u64>, UploadError> {
    let said = say(host, cmd.timeout(LIMIT)).await?;
    if said == "done" {
        return Ok(None);
    }
    let there = said.parse().map_err(|_| HostError::Local { what: format!("`{said}` is not a size"), source: None })?;
    // A partial file that is longer than the whole file cannot be a part of it, so the upload starts again at the first byte.
    Ok(Some(if there > size { 0 } else { there }))
}

async fn say(host: &dyn Host, cmd: Cmd) -> Result<String, UploadError> {
    let output = host.run(cmd).await?;
    match output.status {
        0 => Ok(String::from_utf8_lossy(&output.stdout).trim().to_string()),
        status => Err(UploadError::Refused { status, said: String::from_utf8_lossy(&output.stderr).trim().to_string() }),
    }
}
