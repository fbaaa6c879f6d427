//! The one seam to the world: run a command on a host, bytes in and bytes out.
//!
//! `ssh` is the real transport. Nothing outside this module starts a process or opens a connection to a host.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;

pub use quote::quote;
pub use secret::Secret;

pub mod here;
mod quote;
mod secret;
pub mod ssh;
pub mod upload;

/// A host's name in the inventory.
pub type HostName = String;

/// How long what starts on a host may take until it serves, unless the operator says otherwise. kubeadm gives up after the same time.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(240);

/// By which factor the time limits of all commands on hosts grow with this value of `--wait-timeout`: the value in units of the default, rounded up,
/// and at least 1.
pub fn patience(wait_timeout: Duration) -> u32 {
    u32::try_from(wait_timeout.as_secs().div_ceil(WAIT_TIMEOUT.as_secs())).unwrap_or(u32::MAX).max(1)
}

/// A host that commands can be run on.
#[async_trait]
pub trait Host: Send + Sync {
    /// Its name in the inventory.
    fn name(&self) -> &HostName;

    /// How long what starts there, or comes back there, may take until it serves. A step that waits for such a thing takes this time or a
    /// share of it.
    fn wait_timeout(&self) -> Duration {
        WAIT_TIMEOUT
    }

    /// Runs one command to its end. A non-zero exit status is an `Ok` output; `Err` means the command could not be run or its end is unknown.
    async fn run(&self, cmd: Cmd) -> Result<Output, HostError>;
}

/// One command.
pub struct Cmd {
    /// Program and arguments; never secrets, never shell text made from values.
    pub argv: Vec<String>,
    pub stdin: Stdin,
    /// Whether it runs as root.
    pub root: bool,
    /// Limit for the whole run, counted from the start of the command.
    pub timeout: Duration,
    /// Whether it sees the proxy variables of the host's environment. Commands that fetch from outside do. Commands that ask hosts of the
    /// cluster do not: a proxy would get what is meant for the API server or for etcd.
    pub proxies: bool,
    /// Receives standard output as it comes, in place of `Output::stdout`.
    pub tap: Option<mpsc::Sender<Vec<u8>>>,
}

/// What a command reads.
pub enum Stdin {
    Empty,
    Bytes(Secret),
    /// A file on the operator's machine from a byte offset on.
    File {
        path: std::path::PathBuf,
        offset: u64,
    },
    /// Chunks as they come; end of input when the sender is dropped.
    Stream(mpsc::Receiver<Vec<u8>>),
}

/// What a command said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Exit status; 128 + n when ended by signal n, as a shell would say it.
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

    /// A constant script of `src/host/remote/` run by `/bin/sh` as root, with arguments as `$1`...
    pub fn script<I, S>(script: &'static str, args: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        let head = ["/bin/sh", "-c", script, "clusterctl"].map(String::from);
        Cmd::root(head.into_iter().chain(args.into_iter().map(Into::into)))
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

    /// The same command with longer time limits, for a slow host: its own limit is multiplied by this factor, and a script gets the factor in
    /// `CLUSTERCTL_PATIENCE` for the limits of the tools that it runs.
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
    /// Shows the program only: input may be secret, scripts are long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cmd({})", self.argv.first().map_or("", String::as_str))
    }
}

/// Why a command could not be run on a host.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// No TCP connection, name not found, handshake broken, connection lost and not back. Lost while a command ran: whether it took effect is unknown.
    #[error("cannot reach `{address}`")]
    Unreachable {
        address: String,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Not in known_hosts.
    #[error("host key of `{address}` is unknown: {algorithm} {fingerprint}")]
    UnknownHostKey {
        address: String,
        port: u16,
        algorithm: String,
        fingerprint: String,
        /// The file to add it to.
        known_hosts: String,
    },
    /// In known_hosts with another key, or revoked.
    #[error("host key of `{address}` has CHANGED: known_hosts has {expected}, the host shows {algorithm} {fingerprint}")]
    ChangedHostKey {
        address: String,
        port: u16,
        algorithm: String,
        fingerprint: String,
        expected: String,
        /// `file:line`.
        location: String,
        /// Then the entry must stay.
        revoked: bool,
    },
    /// Every key was refused.
    #[error("`{user}@{address}` refused every key that was tried ({tried})")]
    Authentication { user: String, address: String, tried: String },
    /// sudo is missing, needs a password, or refused it.
    #[error("cannot become root on `{address}` as `{user}`: {reason}")]
    Sudo { user: String, address: String, reason: String },
    /// The limit ran out; whether the command took effect is unknown.
    #[error("no answer within {} s", limit.as_secs())]
    Timeout { limit: Duration },
    /// Anything local: key file unreadable, bad configuration.
    #[error("{what}")]
    Local {
        what: String,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl HostError {
    /// A local fault with its cause.
    pub fn local(what: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        HostError::Local { what: what.into(), source: Some(source.into()) }
    }
}
