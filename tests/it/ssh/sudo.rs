//! Commands become root by a real sudo, for temporary users that exist only in a mount namespace.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clusterctl::host::ssh::{Connector, Question, Setup, SshHost, Sudo};
use clusterctl::host::{Cmd, Host, HostError, Secret};

use super::sshd::{Sshd, keygen, setup};
use crate::needs::needs;

const PASSWORD: &str = "correct horse '\"\\$(id)` staple";
const SUDOERS: &str = "root ALL=(ALL:ALL) ALL\nops ALL=(ALL:ALL) NOPASSWD: ALL\nopspw ALL=(ALL:ALL) ALL\nopstty ALL=(ALL:ALL) NOPASSWD: ALL\n\
                       Defaults:opstty requiretty\nopsls ALL=(ALL:ALL) NOPASSWD: /bin/ls\nopsone ALL=(ALL:ALL) ALL\nDefaults:opsone passwd_tries=1\nDefaults env_keep += \"https_proxy no_proxy\"\n";

/// A server with the users `ops` (needs no password), `opspw` (needs one), `opstty` (requiretty), `opsls` (may run `ls` only), `opsone` (has one
/// try for the password) and `guest` (not in sudoers).
fn server() -> Sshd {
    let folder = tempfile::tempdir().unwrap();
    for name in ["host", "user"] {
        keygen(&folder.path().join(name), "ed25519", "");
    }
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    // The password is passed by standard input, because another test looks for it in every command line of the machine.
    write("password", format!("{PASSWORD}\n"));
    let input = std::fs::File::open(folder.path().join("password")).unwrap();
    let hash = Command::new("openssl").args(["passwd", "-6", "-stdin"]).stdin(input).output().unwrap().stdout;
    let hash = String::from_utf8(hash).unwrap();
    let (mut passwd, mut shadow) = (read("/etc/passwd"), read("/etc/shadow"));
    for (i, name) in ["ops", "opspw", "opstty", "opsls", "guest", "opsone"].iter().enumerate() {
        passwd += &format!("{name}:x:{0}:{0}::/:/bin/sh\n", 64001 + i);
        shadow += &format!("{name}:{}:19000:0:99999:7:::\n", hash.trim());
    }
    write("passwd", passwd);
    write("shadow", shadow);
    write("sudoers", SUDOERS.into());
    write(
        "pam",
        format!(
            "auth sufficient pam_unix.so\nauth [default=die] pam_exec.so {}/failed\naccount required pam_unix.so\n",
            folder.path().display()
        ),
    );
    write("failed", format!("#!/bin/sh\necho failed >>{}/failures\n", folder.path().display()));
    write("failures", String::new());
    write("prepare", String::new());
    std::fs::copy(folder.path().join("user.pub"), folder.path().join("authorized_keys")).unwrap();
    let dir = folder.path().display().to_string();
    let prelude = format!(
        "set -e; chmod 755 {dir} {dir}/failed; chmod 644 {dir}/authorized_keys; chmod 440 {dir}/sudoers; chmod 666 {dir}/failures\n\
         mount --make-rprivate /\n\
         mount --bind {dir}/passwd /etc/passwd; mount --bind {dir}/shadow /etc/shadow\n\
         mount --bind {dir}/sudoers /etc/sudoers; mount --bind {dir}/pam /etc/pam.d/sudo"
    );
    Sshd::after(folder, "SetEnv HOME=/nonexistent https_proxy=http://127.0.0.1:1 no_proxy=example.org", Some(prelude)).known()
}

async fn host(sshd: &Sshd, connector: &Connector, user: &str, sudo: Sudo) -> SshHost {
    let mut target = sshd.target();
    target.name = format!("host of {user}");
    target.options.user = Some(user.into());
    target.options.sudo = sudo;
    connector.connect(target).await.unwrap()
}

/// A server with the users of [`server`], and a connector that gets a password when it asks for one.
struct Users {
    sshd: Sshd,
    connector: Connector,
    asked: Arc<AtomicUsize>,
}

impl Users {
    fn knowing(password: &'static str) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let ask = move |question: &Question| {
            assert_eq!(*question, Question::SudoPassword);
            count.fetch_add(1, Ordering::SeqCst);
            Some(Secret::from(password))
        };
        Users { sshd: server(), connector: Connector::with(setup(ask)), asked }
    }

    async fn host(&self, user: &str, sudo: Sudo) -> SshHost {
        host(&self.sshd, &self.connector, user, sudo).await
    }

    /// How often the connector asked for the password.
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Checks that commands run as root, with their own input and nothing added to it.
async fn is_root(host: &SshHost) {
    let cmd = Cmd::root(["/bin/sh", "-c", "id -u; echo $LC_ALL; cat; printf %s \"$1\"", "sh", "$(id) 'x'"]).stdin("line 1\nline 2");
    let output = host.run(cmd).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0\nC\nline 1\nline 2$(id) 'x'");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(host.run(Cmd::root(["sh", "-c", "exit 9"])).await.unwrap().status, 9);
    let plain = Cmd { root: false, ..Cmd::root(["id", "-u"]) };
    assert_ne!(host.run(plain).await.unwrap().stdout, b"0\n");
}

/// Proxy variables that sudo keeps do not reach a command that must not use a proxy.
#[tokio::test]
async fn proxies_that_sudo_keeps() {
    needs!(Root, Sudo, Sshd, Openssl);
    let users = Users::knowing("");
    let host = users.host("ops", Sudo::Auto).await;
    let show = || Cmd::root(["/bin/sh", "-c", "echo \"$https_proxy $no_proxy\""]);
    assert_eq!(host.run(show()).await.unwrap().stdout, b" example.org\n");
    assert_eq!(host.run(show().with_proxies()).await.unwrap().stdout, b"http://127.0.0.1:1 example.org\n");
}

async fn refused(host: &SshHost, words: &str) {
    let error = host.run(Cmd::root(["true"]).stdin("data")).await.unwrap_err();
    let HostError::Sudo { reason, .. } = &error else { panic!("{error:?}") };
    assert!(reason.contains(words), "{reason}");
}

#[tokio::test]
async fn without_a_password() {
    needs!(Root, Sudo, Sshd, Openssl);
    let users = Users::knowing("");
    for _ in 0..2 {
        is_root(&users.host("ops", Sudo::Auto).await).await;
    }
    assert_eq!(users.asked(), 0);
}

#[tokio::test]
async fn with_a_password_that_is_asked_for_once() {
    needs!(Root, Sudo, Sshd, Openssl);
    let users = Users::knowing(PASSWORD);
    for _ in 0..2 {
        is_root(&users.host("opspw", Sudo::Password).await).await;
    }
    let host = users.host("opspw", Sudo::Password).await;
    let all = futures_util::future::join_all((0..8).map(|_| host.run(Cmd::root(["id", "-u"])))).await;
    assert!(all.into_iter().all(|o| o.unwrap().stdout == b"0\n"));
    assert_eq!(users.asked(), 1);
    assert_eq!(users.sshd.read("failures"), "");
}

/// If sudo does not ask for the password, the password does not become part of the command's input.
#[tokio::test]
async fn a_password_nobody_wants() {
    needs!(Root, Sudo, Sshd, Openssl);
    let users = Users::knowing(PASSWORD);
    is_root(&users.host("ops", Sudo::Password).await).await;
    is_root(&users.host("opspw", Sudo::Password).await).await;
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_in_all() {
    needs!(Root, Sudo, Sshd, Openssl);
    let users = Users::knowing("wrong");
    let first = users.host("opspw", Sudo::Password).await;
    let second = users.host("opspw", Sudo::Password).await;
    let (one, two) = tokio::join!(first.run(Cmd::root(["true"])), second.run(Cmd::root(["true"])));
    let (one, two) = (one.unwrap_err().to_string(), two.unwrap_err().to_string());
    assert!(one.contains("the password is wrong") || two.contains("the password is wrong"), "{one} {two}");
    assert!(one.contains("was not tried here") || two.contains("was not tried here"), "{one} {two}");
    refused(&first, "was not tried here").await;
    assert_eq!(users.asked(), 1);
    assert_eq!(users.sshd.read("failures").lines().count(), 1);
}

/// sudo may be configured to ask only once (`passwd_tries=1`). A wrong password is then reported in the same way.
#[tokio::test]
async fn a_wrong_password_where_one_try_is_allowed() {
    needs!(Root, Sudo, Sshd, Openssl);
    let users = Users::knowing("wrong");
    let host = users.host("opsone", Sudo::Password).await;
    refused(&host, "the password is wrong").await;
    refused(&host, "was not tried here").await;
}

#[tokio::test]
async fn a_password_from_a_file() {
    needs!(Root, Sudo, Sshd, Openssl);
    let sshd = server();
    sshd.write("secret", &format!("{PASSWORD}\n"));
    let connector = Connector::with(Setup { sudo_password_file: Some(sshd.path("secret")), ..setup(|_| None) });
    is_root(&host(&sshd, &connector, "opspw", Sudo::Password).await).await;
    let silent = Connector::with(setup(|_| None));
    refused(&host(&sshd, &silent, "opspw", Sudo::Password).await, "nobody gave the password").await;
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    needs!(Root, Sudo, Sshd, Openssl);
    let users = Users::knowing(PASSWORD);
    for (user, sudo, words) in [
        ("opspw", Sudo::Auto, "sudo wants a password"),
        ("opstty", Sudo::Auto, "requiretty"),
        ("opstty", Sudo::Password, "requiretty"),
        ("guest", Sudo::Auto, "password"),
        ("guest", Sudo::Password, "not in sudoers"),
        ("opsls", Sudo::Password, "does not allow this user to run `/bin/sh`"),
        ("ops", Sudo::None, "is not root"),
    ] {
        refused(&users.host(user, sudo).await, words).await;
    }
}

/// The password is nowhere in the process table while sudo runs.
#[tokio::test]
async fn the_password_stays_off_command_lines() {
    needs!(Root, Sudo, Sshd, Openssl);
    let users = Users::knowing(PASSWORD);
    let host = users.host("opspw", Sudo::Password).await;
    let look = async {
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_millis(1500) {
            for process in std::fs::read_dir("/proc").unwrap().flatten() {
                for file in ["cmdline", "environ"] {
                    let bytes = std::fs::read(process.path().join(file)).unwrap_or_default();
                    assert!(!bytes.windows(PASSWORD.len()).any(|w| w == PASSWORD.as_bytes()));
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let (output, ()) = tokio::join!(host.run(Cmd::root(["sleep", "1"])), look);
    assert_eq!(output.unwrap().status, 0);
    assert!(!users.sshd.log().contains(PASSWORD));
}

/// No credentials stay cached (sudo's ticket): a later command of the ordinary user cannot use sudo without the password.
#[tokio::test]
async fn no_sudo_ticket_is_left() {
    needs!(Root, Sudo, Sshd, Openssl);
    let users = Users::knowing(PASSWORD);
    let host = users.host("opspw", Sudo::Password).await;
    is_root(&host).await;
    let plain = Cmd { root: false, ..Cmd::root(["sudo", "-n", "true"]) };
    assert_ne!(host.run(plain).await.unwrap().status, 0);
}
