//! The only interface to the hosts: [`Host::run`] runs a command on a host, with bytes as its input and output.
//!
//! `ssh` implements [`Host`] over SSH. Nothing outside this module starts a process or opens a connection to a host.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;

pub use quote::quote;
pub use secret::Secret;

pub mod here;
mod quote;
mod script;
mod secret;
pub mod ssh;
pub mod upload;

/// A host's name in the inventory.
pub type HostName = String;

/// How long a component that was started on a host may take until it answers requests, unless the operator sets another time with `--wait-timeout`.
/// kubeadm waits as long for the control plane.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(240);

/// The factor by which the time limits of all commands on hosts are multiplied for this value of `--wait-timeout`: the value divided by
/// [`WAIT_TIMEOUT`], rounded up, and at least 1.
pub fn patience(wait_timeout: Duration) -> u32 {
    u32::try_from(wait_timeout.as_secs().div_ceil(WAIT_TIMEOUT.as_secs())).unwrap_or(u32::MAX).max(1)
}

/// A host that commands can be run on.
#[async_trait]
pub trait Host: Send + Sync {
    /// Its name in the inventory.
    fn name(&self) -> &HostName;

    /// How long a component that starts or restarts on the host may take until it answers requests. A step that waits for a component uses this time
    /// or a part or multiple of it.
    fn wait_timeout(&self) -> Duration {
        WAIT_TIMEOUT
    }

    /// Runs one command to its end. A non-zero exit status is an `Ok` output; `Err` means that the command could not be run or that its end is
    /// unknown.
    async fn run(&self, cmd: Cmd) -> Result<Output, HostError>;
}

/// A command to run on a host.
pub struct Cmd {
    /// The program and its arguments. They never contain secrets, and never shell text into which values were inserted.
    pub argv: Vec<String>,
    pub stdin: Stdin,
    /// Whether the command runs as root.
    pub root: bool,
    /// Limit for the whole run, counted from the start of the command.
    pub timeout: Duration,
    /// Whether the command sees the proxy variables of the host's environment. Commands that fetch files from outside the cluster do. Commands that
    /// send requests to hosts of the cluster do not: a proxy would receive the requests to the API server or to etcd.
    pub proxies: bool,
    /// Receives standard output in chunks while the command runs, in place of `Output::stdout`. An empty chunk can come first: it tells that the
    /// command was requested on the host, after everything that had to come before, such as the operator's password for sudo.
    pub tap: Option<mpsc::Sender<Vec<u8>>>,
}

/// The standard input of a command.
pub enum Stdin {
    Empty,
    Bytes(Secret),
    /// A file on the operator's machine from a byte offset on.
    File {
        path: std::path::PathBuf,
        offset: u64,
    },
    /// Chunks that are sent while the command runs. The input ends when the sender is dropped.
    Stream(mpsc::Receiver<Vec<u8>>),
}

/// The result of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The exit status; 128 + n if signal n ended the command, as a shell would report it.
    pub status: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Cmd {
    /// A command as root with empty input and a limit of 60 s.
    pub fn root<I, S>(argv: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        Cmd {
            argv: argv.into_iter().map(Into::into).collect(),
            stdin: Stdin::Empty,
            root: true,
            timeout: Duration::from_secs(60),
            proxies: false,
            tap: None,
        }
    }

    /// A script that was made with `script!` or `fenced!`, run by `/bin/sh` as root.
    pub fn script(text: &'static str) -> Self {
        Cmd::root(["/bin/sh", "-c", text, "clusterctl"])
    }

    /// The same script with this argument, which the script reads as the variable `name`.
    pub fn arg(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        let reads = |text: &String| text.contains(&format!("${name}")) || text.contains(&format!("${{{name}"));
        debug_assert!(self.argv.get(2).is_some_and(reads), "the script does not read its argument {name}");
        self.argv.push(format!("{name}={value}"));
        self
    }

    /// The same script with these words as `$1`, `$2` and so on. They follow all arguments of [`Cmd::arg`].
    pub fn words<I, S>(mut self, words: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.argv.push("--".into());
        self.argv.extend(words.into_iter().map(Into::into));
        self
    }

    /// The same command with this input.
    pub fn stdin(mut self, bytes: impl Into<Secret>) -> Self {
        self.stdin = Stdin::Bytes(bytes.into());
        self
    }

    /// The same command with the proxy variables of the host's environment.
    pub fn with_proxies(mut self) -> Self {
        self.proxies = true;
        self
    }

    /// The same command with longer time limits, for a slow host: its own limit is multiplied by `times`, and a script gets `times` in the
    /// environment variable `CLUSTERCTL_PATIENCE`, by which it multiplies the limits of the tools that it runs.
    pub fn patient(mut self, times: u32) -> Self {
        if times > 1 {
            self.timeout *= times;
            if self.argv.first().is_some_and(|program| program == "/bin/sh") {
                self.argv.splice(0..0, ["env".to_string(), format!("CLUSTERCTL_PATIENCE={times}")]);
            }
        }
        self
    }

    /// The same command with this limit.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }
}

impl fmt::Debug for Cmd {
    /// Shows the program only, because input may be secret and scripts are long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cmd({})", self.argv.first().map_or("", String::as_str))
    }
}

/// Why a command could not be run on a host.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The TCP connection or the handshake failed, the name was not found, or the connection was lost and could not be restored. If the
    /// connection was lost while a command ran, it is unknown whether the command took effect.
    #[error("cannot reach `{address}`")]
    Unreachable {
        address: String,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The host key is not in known_hosts.
    #[error("host key of `{address}` is unknown: {algorithm} {fingerprint}")]
    UnknownHostKey {
        address: String,
        port: u16,
        algorithm: String,
        fingerprint: String,
        /// The file to which the key can be added.
        known_hosts: String,
    },
    /// known_hosts has another key for the host, or the key is revoked.
    #[error("host key of `{address}` has CHANGED: known_hosts has {expected}, the host shows {algorithm} {fingerprint}")]
    ChangedHostKey {
        address: String,
        port: u16,
        algorithm: String,
        fingerprint: String,
        expected: String,
        /// The place of the entry in known_hosts: `file:line`.
        location: String,
        /// Whether known_hosts marks the key as revoked. If so, the operator must not remove the entry.
        revoked: bool,
    },
    /// The host refused every key.
    #[error("`{user}@{address}` refused every key that was tried ({tried})")]
    Authentication { user: String, address: String, tried: String },
    /// sudo is missing, requires a password, or refused the password or the user.
    #[error("cannot become root on `{address}` as `{user}`: {reason}")]
    Sudo { user: String, address: String, reason: String },
    /// The time limit was reached; it is unknown whether the command took effect.
    #[error("no answer within {} s", limit.as_secs())]
    Timeout { limit: Duration },
    /// A fault on the operator's machine, such as an unreadable key file or an invalid configuration.
    #[error("{what}")]
    Local {
        what: String,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl HostError {
    /// A fault on the operator's machine, with its cause.
    pub fn local(what: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        HostError::Local { what: what.into(), source: Some(source.into()) }
    }
}
