//! Uploads: a file arrives whole or not at all, is never sent twice, and is written only by the run that holds the lock.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clusterctl::host::HostError;
use clusterctl::host::ssh::SshHost;
use clusterctl::host::upload::{UploadError, Uploaded, upload};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::sshd::{Sshd, connector, user};
use crate::needs::needs;

const MIB: u64 = 1024 * 1024;
const RUN: &str = "run-1";

/// A server whose commands see a `/var/lib` of their own, in which the run [`RUN`] holds the lock.
fn locked_server() -> Sshd {
    let folder = tempfile::tempdir().unwrap();
    for name in ["host", "user"] {
        super::sshd::keygen(&folder.path().join(name), "ed25519", "");
    }
    let lib = folder.path().join("lib");
    std::fs::create_dir_all(lib.join("clusterctl")).unwrap();
    std::fs::write(lib.join("clusterctl/lock"), format!("{RUN} somebody since noon\n")).unwrap();
    std::fs::copy(folder.path().join("user.pub"), folder.path().join("authorized_keys")).unwrap();
    let unshare = if user() == "root" { "unshare -m" } else { "unshare -rm" };
    let script = format!("mount --bind {} /var/lib && exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"", lib.display());
    Sshd::at(folder, &format!("ForceCommand {unshare} /bin/sh -c '{script}'")).known()
}

struct Sample {
    sshd: Sshd,
    local: PathBuf,
    remote: PathBuf,
    sha256: String,
    size: u64,
}

impl Sample {
    fn new(size: u64) -> Sample {
        let sshd = locked_server();
        let (local, remote) = (sshd.path("local"), sshd.path("a dir/it's"));
        let mut urandom = Command::new("head");
        urandom.arg("-c").arg(size.to_string()).arg("/dev/urandom").stdout(std::fs::File::create(&local).unwrap());
        assert!(urandom.status().unwrap().success());
        let sum = Command::new("sha256sum").arg(&local).output().unwrap().stdout;
        Sample { sha256: String::from_utf8_lossy(&sum[..64]).into_owned(), sshd, local, remote, size }
    }

    async fn host(&self) -> SshHost {
        connector().connect(self.sshd.target()).await.unwrap()
    }

    async fn upload(&self, host: &SshHost) -> Result<Uploaded, UploadError> {
        upload(host, &self.local, &self.remote.display().to_string(), &self.sha256, 0o755, RUN).await
    }

    fn part(&self) -> PathBuf {
        format!("{}.{}.part", self.remote.display(), &self.sha256[..12]).into()
    }

    fn arrived(&self) {
        assert!(std::fs::read(&self.local).unwrap() == std::fs::read(&self.remote).unwrap());
        assert_eq!(std::fs::metadata(&self.remote).unwrap().permissions().mode() & 0o7777, 0o755);
        assert_eq!(std::fs::read_dir(self.remote.parent().unwrap()).unwrap().count(), 1);
    }
}

#[tokio::test]
async fn once_and_not_again() {
    needs!(Root, Sshd);
    let sample = Sample::new(5 * MIB + 1);
    let host = sample.host().await;
    let stale = format!("{}.0123456789ab.part", sample.remote.display());
    std::fs::create_dir_all(sample.remote.parent().unwrap()).unwrap();
    std::fs::write(&stale, "old").unwrap();
    assert_eq!(sample.upload(&host).await.unwrap(), Uploaded { sent: sample.size, resumes: 0 });
    sample.arrived();
    std::fs::set_permissions(&sample.remote, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(sample.upload(&host).await.unwrap(), Uploaded { sent: 0, resumes: 0 });
    sample.arrived();
    // A partial file that has all bytes only has to be completed, so no byte is sent.
    std::fs::rename(&sample.remote, sample.part()).unwrap();
    assert_eq!(sample.upload(&host).await.unwrap(), Uploaded { sent: 0, resumes: 0 });
    sample.arrived();
}

#[tokio::test]
async fn an_empty_file() {
    needs!(Root, Sshd);
    let sample = Sample::new(0);
    let host = sample.host().await;
    assert_eq!(sample.upload(&host).await.unwrap(), Uploaded { sent: 0, resumes: 0 });
    sample.arrived();
}

/// A proxy that accepts connections to the server, counts the bytes sent to the server, and cuts the first connection after this many bytes.
/// Returns the proxy's port and the count.
async fn cutting_proxy(port: u16, cut_after: u64) -> (u16, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicU64::new(0));
    let total = Arc::clone(&count);
    tokio::spawn(async move {
        let mut limit = cut_after;
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let (mut client_in, mut client_out) = client.into_split();
            let (mut server_in, mut server_out) = server.into_split();
            let total = Arc::clone(&total);
            tokio::spawn(async move {
                let back = tokio::spawn(async move { tokio::io::copy(&mut server_in, &mut client_out).await });
                let mut buffer = vec![0; 65536];
                let mut passed = 0;
                while let Ok(n @ 1..) = client_in.read(&mut buffer).await {
                    total.fetch_add(n as u64, Ordering::SeqCst);
                    passed += n as u64;
                    if passed > limit || server_out.write_all(&buffer[..n]).await.is_err() {
                        break;
                    }
                }
                back.abort();
            });
            limit = u64::MAX;
        }
    });
    (own, count)
}

#[tokio::test]
async fn a_cut_half_way_costs_little() {
    needs!(Root, Sshd);
    let sample = Sample::new(64 * MIB);
    let (port, count) = cutting_proxy(sample.sshd.port, sample.size / 2).await;
    let mut target = sample.sshd.target();
    target.options.port = Some(port);
    sample.sshd.write("known_hosts", &format!("* {}\n", sample.sshd.public("host.pub")));
    let host = connector().connect(target).await.unwrap();
    let uploaded = sample.upload(&host).await.unwrap();
    assert_eq!(uploaded, Uploaded { sent: sample.size, resumes: 1 });
    sample.arrived();
    // Only the bytes that were on the way when the connection broke (SSH's window and the sockets' buffers) are sent twice.
    let sent = count.load(Ordering::SeqCst);
    assert!(sent < sample.size + 8 * MIB, "{sent}");
}

/// The next run continues at the byte at which the previous run was killed.
#[tokio::test]
async fn a_later_run_goes_on() {
    needs!(Root, Sshd);
    let sample = Sample::new(3 * MIB);
    std::fs::create_dir_all(sample.remote.parent().unwrap()).unwrap();
    std::fs::write(sample.part(), &std::fs::read(&sample.local).unwrap()[..MIB as usize]).unwrap();
    assert_eq!(sample.upload(&sample.host().await).await.unwrap(), Uploaded { sent: 2 * MIB, resumes: 0 });
    sample.arrived();
}

#[tokio::test]
async fn a_wrong_digest_changes_nothing() {
    needs!(Root, Sshd);
    let mut sample = Sample::new(MIB);
    sample.sha256 = "ab".repeat(32);
    std::fs::create_dir_all(sample.remote.parent().unwrap()).unwrap();
    std::fs::write(&sample.remote, "old").unwrap();
    let error = sample.upload(&sample.host().await).await.unwrap_err();
    assert!(error.to_string().contains("does not have the sha256"), "{error}");
    assert_eq!(std::fs::read(&sample.remote).unwrap(), b"old");
    assert!(!sample.part().exists());
}

#[tokio::test]
async fn only_the_holder_of_the_lock_writes() {
    needs!(Root, Sshd);
    let sample = Sample::new(MIB);
    sample.sshd.write("lib/clusterctl/lock", "run-2 somebody else\n");
    let error = sample.upload(&sample.host().await).await.unwrap_err();
    assert!(matches!(error, UploadError::Refused { status: 75, .. }), "{error}");
    assert!(!sample.remote.parent().unwrap().exists());
}

#[tokio::test]
async fn a_missing_file_is_a_local_fault() {
    needs!(Root, Sshd);
    let sample = Sample::new(1);
    let host = sample.host().await;
    let error = upload(&host, &sample.sshd.path("missing"), "/x", &sample.sha256, 0o644, RUN).await.unwrap_err();
    assert!(matches!(error, UploadError::Host(HostError::Local { .. })), "{error}");
}
