//! Which host keys are accepted, and what is reported about the others.

use std::path::Path;
use std::process::Command;

use clusterctl::host::ssh::SshHost;
use clusterctl::host::{Host, HostError};

use super::sshd::{Sshd, command, connector, fingerprint, keygen};
use crate::needs::needs;

async fn connect(sshd: &Sshd) -> Result<SshHost, HostError> {
    connector().connect(sshd.target()).await
}

async fn works(sshd: &Sshd) {
    let host = connect(sshd).await.unwrap();
    let output = host.run(command(["echo", "a  b", "$(id)", "'"])).await.unwrap();
    assert_eq!((output.status, output.stdout.as_slice()), (0, b"a  b $(id) '\n".as_slice()));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

/// Checks that clusterctl refuses to connect with a message that contains `words`, before it tries to log in. Returns the error.
async fn refused(sshd: &Sshd, words: &str) -> HostError {
    let error = connect(sshd).await.err().unwrap();
    assert!(error.to_string().contains(words), "{error}");
    assert!(!sshd.saw_a_log_in(), "{}", sshd.log());
    error
}

#[tokio::test]
async fn a_known_host_is_accepted() {
    needs!(Sshd);
    works(&Sshd::start().known()).await;
}

#[tokio::test]
async fn an_unknown_host_is_refused_before_log_in() {
    needs!(Sshd);
    let sshd = Sshd::start();
    sshd.write("known_hosts", "");
    let error = refused(&sshd, "is unknown").await;
    let HostError::UnknownHostKey { address, port, algorithm, fingerprint: shown, known_hosts } = error else { panic!("{error:?}") };
    assert_eq!((address.as_str(), port, algorithm.as_str()), ("127.0.0.1", sshd.port, "ssh-ed25519"));
    assert_eq!(shown, fingerprint(&sshd.path("host.pub")));
    assert_eq!(known_hosts, sshd.path("known_hosts").display().to_string());
}

#[tokio::test]
async fn a_missing_known_hosts_knows_nobody() {
    needs!(Sshd);
    refused(&Sshd::start(), "is unknown").await;
}

#[tokio::test]
async fn a_swapped_key_is_refused_before_log_in() {
    needs!(Sshd);
    let sshd = Sshd::start();
    keygen(&sshd.path("other"), "ed25519", "");
    sshd.write("known_hosts", &format!("# the old machine\n[127.0.0.1]:{} {}\n", sshd.port, sshd.public("other.pub")));
    let error = refused(&sshd, "has CHANGED").await;
    let HostError::ChangedHostKey { fingerprint: shown, expected, location, .. } = error else { panic!("{error:?}") };
    assert_eq!(shown, fingerprint(&sshd.path("host.pub")));
    assert_eq!(expected, format!("ssh-ed25519 {}", fingerprint(&sshd.path("other.pub"))));
    assert_eq!(location, format!("{}:2", sshd.path("known_hosts").display()));
}

#[tokio::test]
async fn a_revoked_key_is_refused_even_if_it_is_known() {
    needs!(Sshd);
    let sshd = Sshd::start().known();
    sshd.write("known_hosts", &format!("{}@revoked * {}\n", sshd.read("known_hosts"), sshd.public("host.pub")));
    let error = refused(&sshd, "as revoked").await;
    let HostError::ChangedHostKey { location, revoked: true, .. } = error else { panic!("{error:?}") };
    assert_eq!(location, format!("{}:2", sshd.path("known_hosts").display()));
}

#[tokio::test]
async fn names_hashed_by_ssh_keygen_are_found() {
    needs!(Sshd);
    let sshd = Sshd::start().known();
    assert!(Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(sshd.path("known_hosts")).status().unwrap().success());
    assert!(sshd.read("known_hosts").starts_with("|1|"));
    works(&sshd).await;
}

#[tokio::test]
async fn several_files_and_patterns() {
    needs!(Sshd);
    let sshd = Sshd::start();
    sshd.write("second", &format!("*.example,[127.0.*.1]:*,!other {}\n", sshd.public("host.pub")));
    let mut target = sshd.target();
    target.options.known_hosts.push(sshd.path("second").display().to_string());
    connector().connect(target).await.unwrap();
}

/// A line in known_hosts without a port also applies to a server on another port, but only if the key is the same; otherwise the host key is unknown,
/// not changed.
#[tokio::test]
async fn the_bare_name_will_do() {
    needs!(Sshd);
    let sshd = Sshd::start();
    sshd.write("known_hosts", &format!("127.0.0.1 {}\n", sshd.public("host.pub")));
    works(&sshd).await;
    keygen(&sshd.path("other"), "ed25519", "");
    sshd.write("known_hosts", &format!("127.0.0.1 {}\n", sshd.public("other.pub")));
    assert!(matches!(connect(&sshd).await, Err(HostError::UnknownHostKey { .. })));
}

/// A host with several keys presents the one that is known, whatever kind of key clusterctl would prefer.
#[tokio::test]
async fn the_known_kind_of_key_is_asked_for() {
    needs!(Sshd);
    for kind in ["rsa", "ecdsa", "ed25519"] {
        let folder = tempfile::tempdir().unwrap();
        for (name, kind) in [("host", "ed25519"), ("rsa", "rsa"), ("ecdsa", "ecdsa"), ("user", "ed25519")] {
            keygen(&folder.path().join(name), kind, "");
        }
        std::fs::copy(folder.path().join("user.pub"), folder.path().join("authorized_keys")).unwrap();
        let more = format!("HostKey {0}/rsa\nHostKey {0}/ecdsa", folder.path().display());
        let sshd = Sshd::at(folder, &more);
        let public = if kind == "ed25519" { "host.pub".into() } else { format!("{kind}.pub") };
        sshd.write("known_hosts", &format!("[127.0.0.1]:{} {}\n", sshd.port, sshd.public(&public)));
        works(&sshd).await;
    }
}

/// A server that is known only by a certificate from the authority in `ca`, signed with these options of ssh-keygen.
fn with_certificate(sign: &[&str]) -> Sshd {
    let folder = tempfile::tempdir().unwrap();
    for name in ["host", "user", "ca"] {
        keygen(&folder.path().join(name), "ed25519", "");
    }
    std::fs::copy(folder.path().join("user.pub"), folder.path().join("authorized_keys")).unwrap();
    certify(folder.path(), sign);
    let more = format!("HostCertificate {}/host-cert.pub", folder.path().display());
    let sshd = Sshd::at(folder, &more);
    sshd.write("known_hosts", &format!("@cert-authority [127.0.0.*]:* {}\n", sshd.public("ca.pub")));
    sshd
}

fn certify(folder: &Path, sign: &[&str]) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-I", "test", "-s"]).arg(folder.join("ca")).args(sign).arg(folder.join("host.pub"));
    assert!(command.status().unwrap().success());
}

#[tokio::test]
async fn a_certificate_of_a_known_authority_is_accepted() {
    needs!(Sshd);
    works(&with_certificate(&["-h", "-n", "other,127.0.0.1", "-V", "-1m:+1h"])).await;
}

#[tokio::test]
async fn bad_certificates_are_refused() {
    needs!(Sshd);
    for (sign, reason) in [
        (&["-h", "-n", "other", "-V", "-1m:+1h"][..], "it is for `other`, not for `127.0.0.1`"),
        (&["-h", "-V", "-1m:+1h"], "it names no host"),
        (&["-h", "-n", "127.0.0.1", "-V", "-2h:-1h"], "it has expired"),
        (&["-h", "-n", "127.0.0.1", "-V", "+1h:+2h"], "it is not valid yet"),
    ] {
        let sshd = with_certificate(sign);
        let error = refused(&sshd, reason).await;
        assert!(error.to_string().contains(&fingerprint(&sshd.path("ca.pub"))), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_of_a_revoked_authority_is_refused() {
    needs!(Sshd);
    let sshd = with_certificate(&["-h", "-n", "127.0.0.1", "-V", "-1m:+1h"]);
    sshd.write("known_hosts", &format!("{}@revoked * {}\n", sshd.read("known_hosts"), sshd.public("ca.pub")));
    refused(&sshd, "as revoked").await;
}

/// If known_hosts names only another authority, the certificate proves nothing, and the host key itself has to be known.
#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_as_good_as_its_key() {
    needs!(Sshd);
    let sshd = with_certificate(&["-h", "-n", "127.0.0.1", "-V", "-1m:+1h"]);
    keygen(&sshd.path("other"), "ed25519", "");
    sshd.write("known_hosts", &format!("@cert-authority * {}\n", sshd.public("other.pub")));
    refused(&sshd, "is unknown").await;
    let both = format!("{}[127.0.0.1]:{} {}\n", sshd.read("known_hosts"), sshd.port, sshd.public("host.pub"));
    sshd.write("known_hosts", &both);
    works(&sshd).await;
}
