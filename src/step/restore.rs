//! The steps of a restore of etcd from a snapshot. Each of them brings its host to a stage, which the host records in a mark; see
//! [`crate::facts::restore`]. A host that has reached a stage of the same restore has nothing left to do for it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, StepError, carry_out};
use crate::facts::restore::{Mark, Stage};
use crate::facts::{Facts, FileFact, FileKind, HostFacts};
use crate::fenced;
use crate::host::upload::upload;
use crate::host::{Cmd, Host, HostName, Secret};
use crate::layout;

/// The restore to which a step belongs: the same for all hosts, and the same again in a run that continues an interrupted one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The path of the snapshot on the operator's machine.
    pub file: PathBuf,
    /// The SHA-256 of the snapshot in hexadecimal.
    pub snapshot: String,
    /// The token of the new etcd cluster.
    pub token: String,
}

/// What is done on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The snapshot is brought to the host and restored beside the data of its member.
    Prepare {
        name: String,
        cluster: String,
        peer: String,
    },
    /// The API server, the controller manager and the scheduler are stopped.
    StopApi,
    /// The etcd member is stopped, which is a systemd service or a static pod.
    StopEtcd {
        service: bool,
    },
    /// The data of the member is exchanged for the restored data.
    Exchange {
        service: bool,
    },
    StartEtcd {
        service: bool,
    },
    /// Waits until the member serves.
    AwaitEtcd {
        service: bool,
    },
    /// The API server, the controller manager and the scheduler are started again. The address is that of the API server.
    StartApi {
        address: IpAddr,
    },
    Finish,
    /// The kubelet is restarted. `server` is the URL of an API server, and `ready` is false if there is no CNI that makes nodes Ready.
    Kubelet {
        node: String,
        server: String,
        ready: bool,
    },
}

/// One part of a restore on one host.
#[derive(Clone, Debug)]
pub struct Restore {
    pub target: Target,
    pub part: Part,
}

/// The limit for bringing a host to a stage, in addition to the wait timeout: tools restore and sync the largest database that etcd advises (8 GiB).
const LIMIT: Duration = Duration::from_secs(1800);

const PREPARE: &str = fenced!("lib/restore_mark.sh", "lib/image_mount.sh", "lib/etcd_tools.sh", "steps/restore_prepare.sh");
const STOP: &str = fenced!("lib/manifest.sh", "lib/restore_mark.sh", "lib/aside.sh", "steps/restore_stop.sh");
const EXCHANGE: &str = fenced!("lib/manifest.sh", "lib/restore_mark.sh", "lib/aside.sh", "steps/restore_exchange.sh");
const START: &str = fenced!("lib/manifest.sh", "lib/restore_mark.sh", "lib/aside.sh", "steps/restore_start.sh");
const AWAIT: &str = fenced!("lib/etcdctl.sh", "lib/manifest.sh", "lib/restore_mark.sh", "lib/aside.sh", "steps/restore_await.sh");
const FINISH: &str = fenced!("lib/restore_mark.sh", "steps/restore_finish.sh");
const KUBELET: &str = fenced!("lib/restore_mark.sh", "lib/node_ready.sh", "steps/restore_kubelet.sh");

impl Part {
    /// The stage that the host then has reached.
    pub fn stage(&self) -> Stage {
        match self {
            Part::Prepare { .. } => Stage::Prepared,
            Part::StopApi => Stage::ApiStopped,
            Part::StopEtcd { .. } => Stage::EtcdStopped,
            Part::Exchange { .. } => Stage::Exchanged,
            Part::StartEtcd { .. } => Stage::EtcdStarted,
            Part::AwaitEtcd { .. } => Stage::EtcdServes,
            Part::StartApi { .. } => Stage::ApiStarted,
            Part::Finish => Stage::Finished,
            Part::Kubelet { .. } => Stage::Kubelet,
        }
    }

    /// Whether etcd is a systemd service on the host, and the static pods that are stopped or started.
    fn components(&self) -> (bool, &'static [&'static str]) {
        match self {
            Part::StopApi | Part::StartApi { .. } => (false, &layout::CONTROL_PLANE_PODS),
            Part::StopEtcd { service: true } | Part::Exchange { service: true } | Part::StartEtcd { service: true } => (true, &[]),
            Part::AwaitEtcd { service } => (*service, &[]),
            Part::StopEtcd { .. } | Part::Exchange { .. } | Part::StartEtcd { .. } => (false, &["etcd"]),
            Part::Prepare { .. } | Part::Finish | Part::Kubelet { .. } => (false, &[]),
        }
    }
}

/// The mark of a host; `None` if the host has none that can be read.
pub fn mark_of(f: &HostFacts) -> Option<Mark> {
    Mark::parse(f.text(layout::RESTORE_MARK)?)
}

/// The value of the argument `service` of the scripts.
pub fn service_word(service: bool) -> &'static str {
    if service { "etcd" } else { "" }
}

impl Restore {
    /// The stage that the host has reached in this restore; `None` if it has the mark of another one, or none.
    fn reached(&self, host: &HostName, facts: &Facts) -> Option<Stage> {
        let mark = mark_of(facts.host(host))?;
        (mark.snapshot == self.target.snapshot && mark.token == self.target.token).then_some(mark.stage)
    }

    fn script(&self, text: &'static str, run: &str) -> Cmd {
        Cmd::script(text)
            .arg("run", run)
            .arg("snapshot", &self.target.snapshot)
            .arg("token", &self.target.token)
            .arg("from", self.target.file.display())
    }

    async fn bring(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        upload(host, &self.target.file, layout::RESTORE_SNAPSHOT, &self.target.snapshot, 0o600, run).await?;
        Ok(())
    }
}

#[async_trait]
impl Answers for Restore {
    fn title(&self) -> String {
        match &self.part {
            Part::Prepare { .. } => format!("bring the snapshot ({}), and restore it beside etcd's data", &self.target.snapshot[..12]),
            Part::StopApi => "stop the API server, the controller manager and the scheduler".into(),
            Part::StopEtcd { .. } => "stop etcd".into(),
            Part::Exchange { .. } => {
                format!("exchange etcd's data for the restored data, and keep the present data as {}", kept(&self.target.token))
            }
            Part::StartEtcd { .. } => "start etcd with the restored data".into(),
            Part::AwaitEtcd { .. } => "wait until the restored etcd has its quorum".into(),
            Part::StartApi { .. } => "start the API server, the controller manager and the scheduler".into(),
            Part::Finish => "remove the snapshot, and finish the restore".into(),
            Part::Kubelet { node, .. } => format!("restart the kubelet, and wait until node {node} is back"),
        }
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        self.reached(host, facts).is_none_or(|stage| stage < self.part.stage()).then(|| self.clone())
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        let from = self.target.file.display().to_string();
        let mark = Mark { snapshot: self.target.snapshot.clone(), token: self.target.token.clone(), stage: self.part.stage(), from };
        let f = facts.host_mut(host);
        let file = |text: String| FileFact { kind: FileKind::File(Secret::from(text)), mode: 0o600, uid: 0, gid: 0 };
        f.files.insert(layout::RESTORE_MARK.into(), file(mark.text()));
        let (aside, place) = (layout::RESTORE_MANIFESTS_DIR, layout::MANIFESTS_DIR);
        let (service, pods) = self.part.components();
        let (from, to) = match self.part {
            Part::StopApi | Part::StopEtcd { .. } => (place, aside),
            Part::StartApi { .. } | Part::StartEtcd { .. } => (aside, place),
            _ => return,
        };
        for pod in pods {
            if let Some(manifest) = f.files.remove(&format!("{from}/{pod}.yaml")) {
                f.files.insert(format!("{to}/{pod}.yaml"), manifest);
            }
            f.pods.remove(*pod);
        }
        if service && let Some(unit) = f.units.get_mut("etcd") {
            let runs = matches!(self.part, Part::StartEtcd { .. });
            (unit.active, unit.enabled) = if runs { ("active".into(), "enabled".into()) } else { ("inactive".into(), "disabled".into()) };
        }
        match self.part {
            Part::StopApi => f.api_version = None,
            Part::StopEtcd { .. } => f.members = None,
            _ => {}
        }
        if facts.hosts.values().all(|f| f.api_version.is_none()) {
            facts.cluster = None;
        }
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let limit = host.wait_timeout();
        let (service, pods) = self.part.components();
        let acting = |text, limit: Duration| self.script(text, run).arg("service", service_word(service)).arg("limit", limit.as_secs());
        let cmd = match &self.part {
            Part::Prepare { name, cluster, peer } => {
                self.bring(host, run).await?;
                self.script(PREPARE, run).arg("name", name).arg("cluster", cluster).arg("peer", peer).timeout(LIMIT)
            }
            Part::StopApi | Part::StopEtcd { .. } => {
                acting(STOP, limit / 2).arg("stage", self.part.stage().word()).words(pods.iter().copied()).timeout(limit * 2)
            }
            Part::Exchange { .. } => self.script(EXCHANGE, run).arg("service", service_word(service)).timeout(limit),
            Part::StartEtcd { .. } => {
                acting(START, limit).arg("stage", self.part.stage().word()).arg("url", "").words(pods.iter().copied()).timeout(limit * 2)
            }
            Part::AwaitEtcd { .. } => acting(AWAIT, limit).timeout(limit * 2),
            Part::StartApi { address } => {
                let url = format!("https://{}/readyz", layout::join_host_port(*address, layout::API_SERVER_PORT));
                let cmd = acting(START, limit).arg("stage", self.part.stage().word()).arg("url", url);
                cmd.words(pods.iter().copied()).timeout(limit * 2)
            }
            Part::Finish => self.script(FINISH, run),
            Part::Kubelet { node, server, ready } => {
                let want = if *ready { "ready" } else { "registered" };
                let cmd = self.script(KUBELET, run).arg("server", server).arg("node", node).arg("want", want);
                cmd.arg("limit", limit.as_secs()).timeout(limit * 2)
            }
        };
        carry_out(host, cmd).await
    }
}

const RECOVER: &str = fenced!(
    "lib/manifest.sh",
    "lib/restore_mark.sh",
    "lib/aside.sh",
    "lib/image_mount.sh",
    "lib/etcd_tools.sh",
    "lib/scratch_etcd.sh",
    "steps/recover_snapshot.sh"
);

/// The command that stops the member of the host `name` and prints a snapshot of its data; see `recover_snapshot.sh`.
pub fn recover_snapshot(run: &str, service: bool, name: &str, limit: Duration) -> Cmd {
    Cmd::script(RECOVER)
        .arg("run", run)
        .arg("from", name)
        .arg("service", service_word(service))
        .arg("limit", limit.as_secs() / 2)
        .timeout(limit * 3 + LIMIT)
}

/// The folder in which a restore with this token keeps the previous data it. If the folder existed already, a number follows the name.
pub fn kept(token: &str) -> String {
    format!("{}.before-{token}", layout::ETCD_MEMBER_DIR)
}
