//! Tests of the log-in to a host: kinds and formats of keys, passphrases, agents, and certificates.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use clusterctl::host::ssh::{Connector, Question, Setup, SshHost, Target};
use clusterctl::host::{Host, HostError};

use super::sshd::{Sshd, command, configured, connector, fingerprint, keygen, setup};
use crate::needs::needs;

async fn works(host: &SshHost) {
    assert_eq!(host.run(command(["echo", "hi"])).await.unwrap().stdout, b"hi\n");
}

/// A server whose host key is known and which accepts the key `user`, made with this kind and this passphrase.
fn taking(kind: &str, passphrase: &str) -> Sshd {
    let folder = tempfile::tempdir().unwrap();
    keygen(&folder.path().join("host"), "ed25519", "");
    keygen(&folder.path().join("user"), kind, passphrase);
    std::fs::copy(folder.path().join("user.pub"), folder.path().join("authorized_keys")).unwrap();
    Sshd::at(folder, "").known()
}

fn with_keys(sshd: &Sshd, names: &[&str]) -> Target {
    let mut target = sshd.target();
    target.options.identity_files = names.iter().map(|n| sshd.path(n).display().to_string()).collect();
    target
}

#[tokio::test]
async fn every_kind_of_key() {
    needs!(Sshd);
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let sshd = taking(kind, "");
        works(&connector().connect(sshd.target()).await.unwrap()).await;
        let rsa = sshd.log().contains("pkalg rsa-sha2-512");
        assert_eq!(rsa, kind == "rsa");
    }
}

/// Keys in the older PEM formats are accepted.
#[tokio::test]
async fn pem_keys() {
    needs!(Sshd);
    for (kind, format) in [("rsa", "PEM"), ("rsa", "PKCS8"), ("ecdsa", "PKCS8"), ("ecdsa", "PEM")] {
        let sshd = taking(kind, "");
        let convert = ["-q", "-p", "-P", "", "-N", "", "-m", format, "-f"];
        assert!(Command::new("ssh-keygen").args(convert).arg(sshd.path("user")).stdout(Stdio::null()).status().unwrap().success());
        assert!(!sshd.read("user").contains("OPENSSH"));
        works(&connector().connect(sshd.target()).await.unwrap()).await;
    }
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_named() {
    needs!(Sshd);
    let sshd = taking("ed25519", "");
    keygen(&sshd.path("other"), "ed25519", "");
    let error = connector().connect(with_keys(&sshd, &["other"])).await.err().unwrap();
    let HostError::Authentication { tried, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*tried, format!("{} {}", sshd.path("other").display(), fingerprint(&sshd.path("other.pub"))));
    works(&connector().connect(with_keys(&sshd, &["other", "user"])).await.unwrap()).await;
}

#[tokio::test]
async fn a_missing_key_is_a_fault() {
    needs!(Sshd);
    let sshd = taking("ed25519", "");
    let error = connector().connect(with_keys(&sshd, &["nowhere", "user"])).await.err().unwrap();
    assert!(matches!(&error, HostError::Local { what, .. } if what.contains("there is no key")), "{error}");
}

#[tokio::test]
async fn a_passphrase_is_asked_for_once() {
    needs!(Sshd);
    for (kind, format) in [("ed25519", "RFC4716"), ("rsa", "PKCS8")] {
        let sshd = taking(kind, "open sesame");
        let convert = ["-q", "-p", "-P", "open sesame", "-N", "open sesame", "-m", format, "-f"];
        assert!(Command::new("ssh-keygen").args(convert).arg(sshd.path("user")).stdout(Stdio::null()).status().unwrap().success());
        let asked = Arc::new(AtomicUsize::new(0));
        let key = sshd.path("user");
        let count = Arc::clone(&asked);
        let connector = Connector::with(setup(move |question| {
            count.fetch_add(1, Ordering::SeqCst);
            assert_eq!(*question, Question::Passphrase { key: key.clone() });
            Some("open sesame".into())
        }));
        let targets = vec![sshd.target(); 4];
        for (_, host) in connector.connect_all(targets, 4).await {
            works(&host.unwrap()).await;
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
}

/// Nobody is asked for the passphrase of a key that the host does not accept anyway.
#[tokio::test]
async fn an_unwanted_locked_key_stays_locked() {
    needs!(Sshd);
    let sshd = taking("ed25519", "");
    keygen(&sshd.path("locked"), "ed25519", "secret");
    works(&connector().connect(with_keys(&sshd, &["locked", "user"])).await.unwrap()).await;
}

#[tokio::test]
async fn without_a_passphrase_there_is_no_log_in() {
    needs!(Sshd);
    let sshd = taking("ed25519", "open sesame");
    let error = connector().connect(sshd.target()).await.err().unwrap();
    assert!(matches!(&error, HostError::Authentication { tried, .. } if tried.contains("no passphrase")), "{error}");
    let wrong = Connector::with(setup(|_| Some("wrong".into())));
    let error = wrong.connect(sshd.target()).await.err().unwrap();
    assert!(error.to_string().contains("wrong passphrase"), "{error}");
    sshd.write("passphrase", "open sesame\n");
    let file = Setup { passphrase_file: Some(sshd.path("passphrase")), ..setup(|_| None) };
    works(&Connector::with(file).connect(sshd.target()).await.unwrap()).await;
}

/// An ssh-agent. Its socket is given by IdentityAgent in ssh_config instead of SSH_AUTH_SOCK, because a test cannot change its own environment.
struct Agent {
    child: Child,
    socket: std::path::PathBuf,
}

impl Agent {
    fn start(sshd: &Sshd) -> Agent {
        let socket = sshd.path("agent.sock");
        let child = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        while !socket.exists() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        Agent { child, socket }
    }

    fn add(&self, sshd: &Sshd, key: &str) {
        let mut command = Command::new("ssh-add");
        command.arg("-q").arg(sshd.path(key)).env("SSH_AUTH_SOCK", &self.socket);
        assert!(command.status().unwrap().success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn keys_of_an_agent() {
    needs!(Sshd);
    for kind in ["ed25519", "rsa"] {
        let sshd = taking(kind, "");
        let agent = Agent::start(&sshd);
        keygen(&sshd.path("other"), "ed25519", "");
        agent.add(&sshd, "other");
        agent.add(&sshd, "user");
        std::fs::remove_file(sshd.path("user")).unwrap();
        sshd.write("config", &format!("IdentityAgent {}\nIdentityFile {}\n", agent.socket.display(), sshd.path("absent").display()));
        let connector = configured(&sshd);
        let mut target = with_keys(&sshd, &[]);
        target.options.agent = None;
        works(&connector.connect(target.clone()).await.unwrap()).await;
        target.options.agent = Some(false);
        assert!(matches!(connector.connect(target).await, Err(HostError::Authentication { .. })));
    }
}

/// The key file is locked with a passphrase, but the agent already holds the unlocked key, so nobody is asked for the passphrase.
#[tokio::test]
async fn an_agent_spares_the_passphrase() {
    needs!(Sshd);
    let sshd = taking("ed25519", "");
    let agent = Agent::start(&sshd);
    agent.add(&sshd, "user");
    let lock = ["-q", "-p", "-P", "", "-N", "secret", "-f"];
    assert!(Command::new("ssh-keygen").args(lock).arg(sshd.path("user")).stdout(Stdio::null()).status().unwrap().success());
    sshd.write("config", &format!("IdentityAgent {}\n", agent.socket.display()));
    let connector = configured(&sshd);
    let mut target = sshd.target();
    target.options.agent = Some(true);
    works(&connector.connect(target).await.unwrap()).await;
}

#[tokio::test]
async fn a_certificate_beside_the_key() {
    needs!(Sshd);
    for kind in ["ed25519", "rsa"] {
        let folder = tempfile::tempdir().unwrap();
        for (name, kind) in [("host", "ed25519"), ("ca", "ed25519"), ("user", kind)] {
            keygen(&folder.path().join(name), kind, "");
        }
        let dir = folder.path().display().to_string();
        let sign = ["-q", "-I", "test", "-n", &super::sshd::user(), "-s", &format!("{dir}/ca"), &format!("{dir}/user.pub")];
        assert!(Command::new("ssh-keygen").args(sign).status().unwrap().success());
        let sshd = Sshd::at(folder, &format!("TrustedUserCAKeys {dir}/ca.pub")).known();
        works(&connector().connect(sshd.target()).await.unwrap()).await;
    }
}

/// No agent, no X11 and no environment is forwarded.
#[tokio::test]
async fn nothing_is_forwarded() {
    needs!(Sshd);
    let sshd = taking("ed25519", "");
    let host = connector().connect(sshd.target()).await.unwrap();
    works(&host).await;
    let log = sshd.log();
    for request in ["auth-agent-req", "x11-req", "pty-req", " env "] {
        assert!(!log.contains(&format!("{request} reply")), "{request}: {log}");
    }
    assert!(log.contains("exec reply"));
}

#[tokio::test]
async fn a_host_that_wants_more_than_a_key() {
    needs!(Sshd);
    let folder = tempfile::tempdir().unwrap();
    for name in ["host", "user"] {
        keygen(&folder.path().join(name), "ed25519", "");
    }
    std::fs::copy(folder.path().join("user.pub"), folder.path().join("authorized_keys")).unwrap();
    let more = "PasswordAuthentication yes\nAuthenticationMethods publickey,password";
    let sshd = Sshd::at(folder, more).known();
    let error = connector().connect(sshd.target()).await.err().unwrap();
    assert!(matches!(&error, HostError::Authentication { tried, .. } if tried.contains("wants password as well")), "{error}");
}

/// If there are more keys than the server lets a client try, the error states that the server hung up.
#[tokio::test]
async fn too_many_keys() {
    needs!(Sshd);
    let sshd = taking("ed25519", "");
    let names: Vec<String> = (0..8).map(|i| format!("key{i}")).collect();
    for name in &names {
        keygen(&sshd.path(name), "ed25519", "");
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let error = connector().connect(with_keys(&sshd, &names)).await.err().unwrap();
    assert!(matches!(&error, HostError::Authentication { tried, .. } if tried.contains("hung up")), "{error}");
}
