//! A real OpenSSH server on the loopback, with its own keys and configuration, for one test.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clusterctl::host::ssh::{Connector, Question, Setup, SshOptions, Target};
use clusterctl::host::{Cmd, Secret};

const SSHD: &str = "/usr/sbin/sshd";

/// The server, which is ended when this value is dropped.
pub struct Sshd {
    pub folder: tempfile::TempDir,
    pub port: u16,
    child: Child,
    /// Shell text that is run before the server, in a mount namespace of its own.
    prelude: Option<String>,
}

impl Sshd {
    pub fn start() -> Sshd {
        Sshd::with("")
    }

    /// Starts a server with the lines `more` in sshd_config, which take precedence over the usual lines.
    pub fn with(more: &str) -> Sshd {
        let folder = tempfile::tempdir().unwrap();
        keygen(&folder.path().join("host"), "ed25519", "");
        keygen(&folder.path().join("user"), "ed25519", "");
        fs::copy(folder.path().join("user.pub"), folder.path().join("authorized_keys")).unwrap();
        Sshd::at(folder, more)
    }

    /// Starts a server with a folder that already contains `authorized_keys` and the keys `host` and `user`.
    pub fn at(folder: tempfile::TempDir, more: &str) -> Sshd {
        Sshd::after(folder, more, None)
    }

    /// Starts a server. With `prelude`, it runs in a mount namespace that this shell text has changed, which requires root.
    pub fn after(folder: tempfile::TempDir, more: &str, prelude: Option<String>) -> Sshd {
        assert!(Path::new(SSHD).exists(), "these tests need OpenSSH's server: install the package `openssh-server`");
        // The folder to which sshd confines itself by privilege separation when it runs as root.
        let _ = fs::create_dir_all("/run/sshd");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let dir = folder.path().display().to_string();
        // The server sets HOME to its own folder, because the log-in shell would otherwise read the real user's start files, which may take long
        // or print.
        let config = format!(
            "{more}\nListenAddress 127.0.0.1:{port}\nHostKey {dir}/host\nAuthorizedKeysFile {dir}/authorized_keys\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nLogLevel DEBUG2\n\
             MaxStartups 10:30:100\nSetEnv HOME={dir}\n"
        );
        fs::write(folder.path().join("sshd_config"), config).unwrap();
        let child = run_sshd(folder.path(), port, prelude.as_deref());
        Sshd { folder, port, child, prelude }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// The public key in a file, as `algorithm base64`.
    pub fn public(&self, name: &str) -> String {
        self.read(name).split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }

    /// Writes known_hosts with the server's own host key.
    pub fn known(self) -> Sshd {
        let line = format!("[127.0.0.1]:{} {}\n", self.port, self.public("host.pub"));
        self.write("known_hosts", &line);
        self
    }

    pub fn target(&self) -> Target {
        Target { name: "h1".into(), address: "127.0.0.1".into(), options: self.options() }
    }

    pub fn options(&self) -> SshOptions {
        let file = |name: &str| self.path(name).display().to_string();
        SshOptions {
            user: Some(user()),
            port: Some(self.port),
            identity_files: vec![file("user")],
            agent: Some(false),
            known_hosts: vec![file("known_hosts")],
            ..SshOptions::default()
        }
    }

    pub fn log(&self) -> String {
        self.read("log")
    }

    /// Whether any client tried to log in.
    pub fn saw_a_log_in(&self) -> bool {
        self.log().contains("userauth-request for user")
    }

    /// Ends the server and all its sessions.
    pub fn kill(&mut self) {
        self.kill_sessions();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn restart(&mut self) {
        self.kill();
        self.child = run_sshd(self.folder.path(), self.port, self.prelude.as_deref());
    }

    /// Cuts all connections; the server keeps running.
    pub fn kill_sessions(&self) {
        for pid in children(self.child.id()) {
            for grandchild in children(pid) {
                kill(grandchild);
            }
            kill(pid);
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A connector that reads no ssh_config. When it asks for a passphrase or a password, it gets none.
pub fn connector() -> Connector {
    Connector::with(setup(|_| None))
}

pub fn setup(ask: impl Fn(&Question) -> Option<Secret> + Send + Sync + 'static) -> Setup {
    Setup { ask: Arc::new(ask), ssh_config: Some("/dev/null".into()), passphrase_file: None, sudo_password_file: None }
}

/// A connector that reads the ssh_config in the server's folder and must not ask any question.
pub fn configured(sshd: &Sshd) -> Connector {
    Connector::with(Setup { ssh_config: Some(sshd.path("config")), ..setup(|question| panic!("asked for {question:?}")) })
}

/// A command that runs as the user who logs in. If root runs the tests, this user is root, so tests of the transport need no sudo.
pub fn command(argv: impl IntoIterator<Item = impl Into<String>>) -> Cmd {
    Cmd { root: user() == "root", ..Cmd::root(argv) }
}

/// Shell text with its arguments that runs as the user who logs in, like [`command`].
pub fn script(text: &'static str, args: impl IntoIterator<Item = impl Into<String>>) -> Cmd {
    let args = args.into_iter().map(Into::into);
    command(["/bin/sh", "-c", text, "clusterctl"].map(String::from).into_iter().chain(args))
}

pub fn user() -> String {
    let out = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(out.stdout).unwrap().trim().into()
}

pub fn keygen(path: &Path, kind: &str, passphrase: &str) {
    let mut command = Command::new("ssh-keygen");
    // It takes seconds to make a large RSA key.
    let size: &[&str] = if kind == "rsa" { &["-b", "2048"] } else { &[] };
    command.args(size).args(["-q", "-t", kind, "-C", "test", "-N", passphrase, "-f"]).arg(path);
    assert!(command.status().expect("these tests need `ssh-keygen`: install the package `openssh-client`").success());
}

pub fn fingerprint(path: &Path) -> String {
    let out = Command::new("ssh-keygen").arg("-lf").arg(path).output().unwrap();
    String::from_utf8(out.stdout).unwrap().split(' ').nth(1).unwrap().into()
}

fn run_sshd(folder: &Path, port: u16, prelude: Option<&str>) -> Child {
    let log = folder.join("log");
    let mut command = match prelude {
        None => Command::new(SSHD),
        Some(prelude) => {
            let mut command = Command::new("unshare");
            command.args(["-m", "/bin/sh", "-c", &format!("{prelude}\nexec \"$@\""), "sh", SSHD]);
            command
        }
    };
    command.arg("-D").arg("-E").arg(&log).arg("-f").arg(folder.join("sshd_config")).stdin(Stdio::null());
    let mut child = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let log = || fs::read_to_string(&log).unwrap_or_default();
        assert!(child.try_wait().unwrap().is_none(), "sshd ended: {}", log());
        assert!(Instant::now() < deadline, "sshd does not listen: {}", log());
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    fs::read_to_string(path).unwrap_or_default().split_whitespace().map(|p| p.parse().unwrap()).collect()
}

fn kill(pid: u32) {
    let _ = Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status();
}
