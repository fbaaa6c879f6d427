//! Saves a snapshot of etcd on the operator's machine before an upgrade.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use sha2::Digest;
use tokio::io::AsyncWriteExt;

use super::{Answers, StepError, carry_out};
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Cmd, Host, HostError, HostName};

/// A snapshot that the etcd member on the host of the step takes.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The path of the snapshot on the operator's machine; the file must not exist yet.
    pub to: PathBuf,
    /// The version of Kubernetes that the cluster is to get. The snapshot is taken only while at least one API server has another version.
    pub before_version: String,
}

/// The time limit for a snapshot, which is enough for the largest database that etcd advises (8 GiB) over a slow connection.
const LIMIT: Duration = Duration::from_secs(1800);

#[async_trait]
impl Answers for Snapshot {
    fn title(&self) -> String {
        format!("save a snapshot of etcd to {}", self.to.display())
    }

    fn pending(&self, _host: &HostName, facts: &Facts) -> Option<Self> {
        let changes = facts.hosts.values().filter_map(|h| h.api_version.as_ref()).any(|v| *v != self.before_version);
        (changes && !facts.ledger.snapshot_taken).then(|| self.clone())
    }

    fn predict(&self, _host: &HostName, facts: &mut Facts) {
        facts.ledger.snapshot_taken = true;
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let part = self.to.with_extension("part");
        let result = self.fetch(host, run, &part).await;
        if result.is_err() {
            let _ = tokio::fs::remove_file(&part).await;
        }
        result
    }
}

impl Snapshot {
    async fn fetch(&self, host: &dyn Host, run: &str, part: &Path) -> Result<(), StepError> {
        let local = |e| StepError::Host(HostError::local(format!("cannot write the snapshot to {}", self.to.display()), e));
        let mut file = tokio::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(part).await.map_err(local)?;
        let mut cmd = Cmd::script(fenced!("lib/etcdctl.sh", "steps/snapshot.sh")).arg("run", run).timeout(LIMIT);
        let (tap, mut chunks) = tokio::sync::mpsc::channel::<Vec<u8>>(64);
        cmd.tap = Some(tap);
        // The output ends with the digest that the host computed, as 64 hexadecimal digits. Therefore the last 64 bytes are held back and are not
        // written to the file.
        let write = async {
            let (mut held, mut sum) = (Vec::new(), sha2::Sha256::new());
            while let Some(chunk) = chunks.recv().await {
                held.extend(chunk);
                let ready = held.len().saturating_sub(64);
                let out: Vec<u8> = held.drain(..ready).collect();
                sum.update(&out);
                file.write_all(&out).await?;
            }
            file.sync_all().await?;
            let sum: String = sum.finalize().iter().map(|b| format!("{b:02x}")).collect();
            Ok::<bool, std::io::Error>(held == sum.as_bytes())
        };
        let (ran, written) = futures_util::future::join(carry_out(host, cmd), write).await;
        ran?;
        if !written.map_err(local)? {
            return Err(StepError::Refused {
                status: 1,
                said: "what arrived of the snapshot does not have the digest it had on the host".into(),
            });
        }
        tokio::fs::rename(part, &self.to).await.map_err(local)
    }
}
