//! The state that all connections of a run share: the operator's answers, unlocked keys, and connections to jump hosts.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use tokio::sync::Mutex;

use super::auth::AuthFault;
use super::config::{self, Endpoint, Via};
use super::connect::Connection;
use super::keyring::{KeyRing, Secrets};
use super::session::SshHost;
use super::sudo::SudoPassword;
use super::{Ask, Target};
use crate::host::{HostError, HostName};

/// The settings of a connector, given once per run.
#[derive(Clone)]
pub struct Setup {
    /// Asks the operator for a passphrase or a password if the file for it is not set.
    pub ask: Ask,
    /// A file that is read in place of the operator's and the system's ssh_config.
    pub ssh_config: Option<PathBuf>,
    /// A file with the passphrase of locked keys, for runs without a terminal.
    pub passphrase_file: Option<PathBuf>,
    /// A file with the password for sudo, for runs without a terminal.
    pub sudo_password_file: Option<PathBuf>,
}

impl Setup {
    /// Settings with the files that `CLUSTERCTL_SSH_CONFIG`, `CLUSTERCTL_SSH_PASSPHRASE_FILE` and `CLUSTERCTL_SUDO_PASSWORD_FILE` name.
    pub fn from_env(ask: Ask) -> Self {
        let file = |variable| std::env::var_os(variable).map(PathBuf::from);
        Setup {
            ask,
            ssh_config: file("CLUSTERCTL_SSH_CONFIG"),
            passphrase_file: file("CLUSTERCTL_SSH_PASSPHRASE_FILE"),
            sudo_password_file: file("CLUSTERCTL_SUDO_PASSWORD_FILE"),
        }
    }
}

/// Makes connections. Cloning is cheap: clones share the unlocked keys, the password for sudo, and the connections to jump hosts.
#[derive(Clone)]
pub struct Connector(Arc<Shared>);

struct Shared {
    ssh_config: Option<PathBuf>,
    keys: KeyRing,
    password: SudoPassword,
    /// The connections to jump hosts by [`Endpoint::id`]. Each slot has its own lock, so that hosts wait only for their own jump host.
    jumps: Mutex<HashMap<String, Slot>>,
}

type Slot = Arc<Mutex<Option<Arc<Connection>>>>;

impl Connector {
    /// A connector with the settings of [`Setup::from_env`]. `ask` asks the operator for a passphrase or a password if the file for it is not set.
    pub fn new(ask: Ask) -> Self {
        Self::with(Setup::from_env(ask))
    }

    pub fn with(setup: Setup) -> Self {
        let keys = KeyRing::new(Secrets { ask: Arc::clone(&setup.ask), file: setup.passphrase_file });
        let password = SudoPassword::new(Secrets { ask: setup.ask, file: setup.sudo_password_file });
        Connector(Arc::new(Shared { ssh_config: setup.ssh_config, keys, password, jumps: Mutex::default() }))
    }

    /// Connects and logs in.
    pub async fn connect(&self, target: Target) -> Result<SshHost, HostError> {
        let endpoint = config::resolve(&target.address, &target.options, self.0.ssh_config.as_deref()).await?;
        let connection = self.open(&endpoint).await?;
        Ok(SshHost::new(target, endpoint, connection, self.clone()))
    }

    /// Connects to many targets, `forks` at a time. The results are in the order of the targets.
    pub async fn connect_all(&self, targets: Vec<Target>, forks: usize) -> Vec<(HostName, Result<SshHost, HostError>)> {
        let connecting =
            targets.into_iter().enumerate().map(|(i, target)| async move { (i, target.name.clone(), self.connect(target).await) });
        // The connections are made in no fixed order, so that a host that does not answer delays no other host.
        let mut connected: Vec<_> = stream::iter(connecting).buffer_unordered(forks.max(1)).collect().await;
        connected.sort_by_key(|(i, ..)| *i);
        connected.into_iter().map(|(_, name, host)| (name, host)).collect()
    }

    /// Makes a new connection. If the host requires a locked key, this function asks for the passphrase and connects again, so that no time limit
    /// includes the time that the operator needs to type.
    pub(super) async fn open(&self, endpoint: &Endpoint) -> Result<Arc<Connection>, HostError> {
        loop {
            let via = match &endpoint.via {
                Via::Jump(hop) => Some(Box::pin(self.jump(hop)).await?),
                Via::Direct | Via::Command(_) => None,
            };
            match Connection::open(endpoint, &self.0.keys, via).await {
                Ok(connection) => return Ok(Arc::new(connection)),
                Err(AuthFault::Locked(path)) => self.0.keys.unlock(&path).await?,
                Err(AuthFault::Failed(e)) => return Err(e),
            }
        }
    }

    /// The connection to a jump host, which all hosts behind it share. It is made when it is first needed, and made again if it broke.
    async fn jump(&self, hop: &Endpoint) -> Result<Arc<Connection>, HostError> {
        let slot = Arc::clone(self.0.jumps.lock().await.entry(hop.id()).or_default());
        let mut slot = slot.lock().await;
        match slot.as_ref() {
            Some(connection) if connection.is_alive() => Ok(Arc::clone(connection)),
            _ => {
                let connection = self.open(hop).await?;
                *slot = Some(Arc::clone(&connection));
                Ok(connection)
            }
        }
    }

    pub(super) fn password(&self) -> &SudoPassword {
        &self.0.password
    }
}
