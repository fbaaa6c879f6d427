//! Connects to hosts according to the inventory.

use std::sync::Arc;

use super::report::Report;
use crate::host::ssh::{Ask, Connector, Question, SshOptions, Sudo, Target};
use crate::host::{Host, HostError, HostName};
use crate::inventory::{self, HostEntry, Inventory};

/// Connects to the hosts in `entries`, `forks` at a time. The results are in the order of `entries`.
pub async fn all(
    inventory: &Inventory,
    entries: &[&HostEntry],
    forks: usize,
    report: &Report,
) -> Vec<(HostName, Result<Arc<dyn Host>, HostError>)> {
    let targets = entries.iter().map(|entry| target(inventory, entry)).collect();
    let connected = Connector::new(ask(report.clone())).connect_all(targets, forks).await;
    connected.into_iter().map(|(name, result)| (name, result.map(|host| Arc::new(host) as Arc<dyn Host>))).collect()
}

fn target(inventory: &Inventory, entry: &HostEntry) -> Target {
    let ssh = inventory.ssh_for(entry);
    let sudo = match ssh.sudo {
        None | Some(inventory::Sudo::Auto) => Sudo::Auto,
        Some(inventory::Sudo::Password) => Sudo::Password,
        Some(inventory::Sudo::None) => Sudo::None,
    };
    let options = SshOptions {
        user: ssh.user,
        port: ssh.port,
        identity_files: ssh.identity_files,
        agent: ssh.agent,
        jump: ssh.jump,
        known_hosts: ssh.known_hosts,
        sudo,
        connect_timeout: ssh.connect_timeout,
    };
    Target { name: entry.name.clone(), address: entry.address.clone(), options }
}

fn ask(report: Report) -> Ask {
    Arc::new(move |question| match question {
        Question::Passphrase { key } => report.ask_secret(&format!("passphrase of {}", key.display())),
        Question::SudoPassword => report.ask_secret("password for sudo on the hosts"),
    })
}
