//! Hosts over SSH: one connection per host, many commands on it.
//!
//! A [`Connector`] is made once per run and connects targets; what it gives out implements [`Host`](super::Host).

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

/// How a host is reached. What is absent comes from ssh_config, then OpenSSH's defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SshOptions {
    pub user: Option<String>,
    pub port: Option<u16>,
    /// Private key files, `~` allowed. Jump hosts are tried with them, too.
    pub identity_files: Vec<String>,
    /// Whether keys of a running agent are tried.
    pub agent: Option<bool>,
    /// Jump hosts in order, `[user@]host[:port]`.
    pub jump: Vec<String>,
    /// known_hosts files, `~` allowed; by default OpenSSH's.
    pub known_hosts: Vec<String>,
    pub sudo: Sudo,
    /// Limit for TCP connect, key exchange and authentication together; 10 s by default.
    pub connect_timeout: Option<Duration>,
}

/// How root is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sudo {
    /// Being root, or else sudo without a password.
    #[default]
    Auto,
    /// sudo with a password, given once per run.
    Password,
    /// The user must be root.
    None,
}

/// What only the operator knows; asked at most once per run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// The passphrase of a private key file.
    Passphrase { key: PathBuf },
    /// The password for sudo, the same on all hosts.
    SudoPassword,
}

/// Answers questions, from a terminal for instance; `None` when nobody can be asked. It may block.
pub type Ask = Arc<dyn Fn(&Question) -> Option<super::Secret> + Send + Sync>;
