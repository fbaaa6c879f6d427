//! Hosts over SSH: one connection per host, many commands on it.
//!
//! A [`Connector`] is created once per run and connects to targets; each connected host implements [`Host`](super::Host).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::HostName;

pub use connector::{Connector, Setup};
pub use session::SshHost;

mod auth;
mod client;
mod config;
mod connect;
mod connector;
mod exec;
mod host_key;
mod keyring;
mod known_hosts;
mod session;
mod sudo;

/// A host to connect to.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub name: HostName,
    /// IP address, DNS name or a `Host` of ssh_config.
    pub address: String,
    pub options: SshOptions,
}

/// How a host is reached. An absent option is taken from ssh_config, or else from OpenSSH's defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SshOptions {
    pub user: Option<String>,
    pub port: Option<u16>,
    /// Private key files; `~` is allowed. They are also tried on jump hosts.
    pub identity_files: Vec<String>,
    /// Whether the keys of a running ssh-agent are tried.
    pub agent: Option<bool>,
    /// Jump hosts in order, `[user@]host[:port]`.
    pub jump: Vec<String>,
    /// known_hosts files; `~` is allowed. If the list is empty, the files that ssh_config names are used, or else OpenSSH's default files.
    pub known_hosts: Vec<String>,
    pub sudo: Sudo,
    /// Limit for TCP connect, key exchange and authentication together; 10 s by default.
    pub connect_timeout: Option<Duration>,
}

/// How commands get root rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sudo {
    /// The user is root, or else sudo works without a password.
    #[default]
    Auto,
    /// sudo asks for a password, which the operator gives once per run.
    Password,
    /// The user must be root.
    None,
}

/// A question that only the operator can answer; it is asked at most once per run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// The passphrase of a private key file.
    Passphrase { key: PathBuf },
    /// The password for sudo, the same on all hosts.
    SudoPassword,
}

/// A function that answers a question, for example by asking on a terminal. It returns `None` if nobody can be asked. It may block.
pub type Ask = Arc<dyn Fn(&Question) -> Option<super::Secret> + Send + Sync>;
