//! Enables a systemd unit and starts it, or restarts or reloads it if its files have changed since its last start.

use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, StepError, carry_out};
use crate::facts::{Facts, FileFact, FileKind, Listener, UnitFact};
use crate::host::{Cmd, Host, HostName};
use crate::layout;
use crate::{fenced, script};

/// A systemd unit that must be enabled, active, and started with the present content of its files.
#[derive(Clone, Debug)]
pub struct Unit {
    /// The name of the unit without `.service`.
    pub name: &'static str,
    /// The digest of all files that the unit reads at its start. The host records it, so that a unit that was started with other files is restarted.
    pub digest: String,
    /// Whether a reload instead of a restart is enough after these files have changed.
    pub reload: bool,
    /// The port on which the unit must listen, because a unit can be active although it refused its configuration. `None` if the port is not checked.
    pub port: Option<u16>,
    /// How long etcd is watched after its restart, if the host has a copy of the previous etcd to restore; see [`super::RollbackCopy`]. Other units
    /// ignore it.
    pub watch: Duration,
}

/// The name of the kubelet's unit. In `outdated` of a host's facts, it states that the kubelet was started before its first client certificate was
/// replaced; in `done_once` of the host's ledger, that an earlier step of the plan has restarted the kubelet.
pub const KUBELET: &str = "kubelet";

/// The script that restarts etcd and restores the previous etcd if the new one fails. The host finishes it even if the connection to the host is
/// lost.
const ETCD: &str = script!("lib/etcdctl.sh", "lib/hand_over.sh", "lib/etcd_version.sh", "steps/etcd_service.sh");

impl Unit {
    /// A unit that is restarted when its inputs change.
    pub fn new(name: &'static str, digest: String) -> Self {
        Unit { name, digest, reload: false, port: None, watch: Duration::ZERO }
    }
}

#[async_trait]
impl Answers for Unit {
    fn title(&self) -> String {
        format!("{} {}", if self.reload { "start or reload" } else { "start or restart" }, self.name)
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        let wanted = UnitFact { active: "active".into(), enabled: "enabled".into(), stamp: self.digest.clone() };
        let f = facts.host(host);
        let listens = self.port.is_none_or(|port| f.listeners.iter().any(|l| l.port == port));
        (!listens || f.units.get(self.name) != Some(&wanted)).then(|| self.clone())
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        let now = UnitFact { active: "active".into(), enabled: "enabled".into(), stamp: self.digest.clone() };
        let f = facts.host_mut(host);
        f.units.insert(self.name.into(), now);
        // The node counts as not Ready until the restarted kubelet has reported it.
        if self.name == KUBELET {
            f.outdated.remove(KUBELET);
            facts.ledger.host_mut(host).done_once.insert(KUBELET.into());
            if let Some(node) = facts.node_mut(host) {
                node["status"]["conditions"] = serde_json::json!([]);
            }
        }
        let f = facts.host_mut(host);
        if self.name == "etcd" {
            let folder = FileFact { kind: FileKind::Directory, mode: 0o700, uid: 0, gid: 0 };
            f.files.insert(layout::ETCD_MEMBER_DIR.into(), folder);
        }
        f.listeners.extend(self.port.map(|port| Listener { port, process: self.name.into() }));
    }

    fn diff(&self, host: &HostName, facts: &Facts) -> String {
        match facts.host(host).units.get(self.name) {
            None => String::new(),
            Some(u) if u.active != "active" => format!("{} is {}\n", self.name, u.active),
            Some(u) if u.enabled != "enabled" => {
                format!("{} is {} at boot\n", self.name, if u.enabled.is_empty() { "unknown" } else { &u.enabled })
            }
            Some(u) if u.stamp == self.digest => format!("{} does not listen on port {}\n", self.name, self.port.unwrap_or_default()),
            Some(_) => format!("{} was started with other files\n", self.name),
        }
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        // A single unit is ready sooner than a whole control plane, so it gets only a part of the wait timeout.
        let limit = host.wait_timeout() / 4;
        let cmd = Cmd::script(fenced!("lib/etcdctl.sh", "lib/hand_over.sh", "lib/quorum.sh", "steps/unit.sh"))
            .arg("run", run)
            .arg("unit", self.name)
            .arg("digest", &self.digest)
            .arg("action", if self.reload { "reload" } else { "restart" })
            .arg("port", self.port.map(|p| p.to_string()).unwrap_or_default())
            .arg("watch", self.watch.as_secs())
            .arg("service", ETCD)
            .arg("limit", limit.as_secs());
        carry_out(host, cmd.timeout(limit * 9)).await
    }
}
