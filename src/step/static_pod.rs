//! Replaces the manifest of a static pod in a transaction on the host, which waits until the new process is ready and otherwise restores the previous
//! manifest.

use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, StepError, carry_out, earlier, kept, text_diff};
use crate::facts::{Facts, FileFact, FileKind, PodFact};
use crate::host::{Cmd, Host, HostName, Secret};
use crate::layout;
use crate::{fenced, script};

/// The script of the transaction, which the host runs even if the connection to it is lost.
const SWAP: &str = script!(
    "lib/etcdctl.sh",
    "lib/hand_over.sh",
    "lib/lock_held.sh",
    "lib/process.sh",
    "lib/quorum.sh",
    "lib/manifest.sh",
    "lib/refuse.sh",
    "lib/etcd_version.sh",
    "swap/processes.sh",
    "swap/exchange.sh",
    "swap/quiet.sh",
    "swap/evidence.sh",
    "swap/revert.sh",
    "swap/watch.sh",
    "swap/swap.sh"
);

/// The script that starts the transaction.
const SCRIPT: &str =
    fenced!("lib/etcdctl.sh", "lib/report_rollbacks.sh", "lib/quorum.sh", "lib/manifest.sh", "lib/etcd_version.sh", "steps/static_pod.sh");

/// The static pod of one control-plane component.
#[derive(Clone, Debug)]
pub struct StaticPod {
    /// The name of the component, of its container, and of its manifest file without `.yaml`.
    pub component: &'static str,
    pub manifest: String,
    /// A URL that answers 200 when the component is ready.
    pub probe: String,
    /// The image and the arguments in the manifest.
    pub runs: PodFact,
    pub care: SwapPolicy,
    /// Whether the process must be restarted although the manifest does not change, because its kubeconfig has changed; set by `pending`.
    pub restart: bool,
}

/// The component that reads the kubeconfig at `path` only at its start, so that it must be restarted if the kubeconfig changes. `None` for every
/// other path.
pub(super) fn reader(path: &str) -> Option<&'static str> {
    match path {
        layout::CONTROLLER_MANAGER_CONF => Some("kube-controller-manager"),
        layout::SCHEDULER_CONF => Some("kube-scheduler"),
        _ => None,
    }
}

/// How the host keeps clients away during a replacement, and how long it watches the new process afterwards.
#[derive(Clone, Debug, Default)]
pub struct SwapPolicy {
    /// Addresses of the load balancers that send requests to this API server, separated by commas; `all` if they are not known; empty if there are
    /// none.
    pub balancers: String,
    /// The age up to which the host watches the new process and restores the previous manifest if the process dies.
    pub watch: Duration,
}

/// The command that replaces the manifest of a static pod and waits until the new process is ready. If `etcd` is given, etcd is replaced in the same
/// transaction while the component is stopped.
pub(super) fn swap(host: &dyn Host, run: &str, pod: &StaticPod, etcd: Option<&StaticPod>) -> Cmd {
    let limit = host.wait_timeout() / 2;
    let action = if pod.restart { "restart" } else { "swap" };
    let cmd = command(run, action, pod.component, limit)
        .arg("url", &pod.probe)
        .arg("watch", pod.care.watch.as_secs())
        .arg("balancers", &pod.care.balancers)
        .arg("bytes", pod.manifest.len())
        .arg("etcd_url", etcd.map_or("", |e| &e.probe))
        .arg("etcd_watch", etcd.map_or(0, |e| e.care.watch.as_secs()))
        .arg("etcd_bytes", etcd.map_or(0, |e| e.manifest.len()));
    let input: String = etcd.into_iter().chain([pod]).map(|p| p.manifest.as_str()).collect();
    // The time for the new process, for a rollback and for the waits of each, with additional time if etcd is replaced as well.
    let whole = limit * if etcd.is_some() { 5 } else { 3 } + earlier(host);
    cmd.stdin(input).timeout(whole)
}

/// The command that removes a static pod and waits until its process has ended. The removal is requested by an argument and has no input, so that
/// incomplete input cannot be mistaken for it.
pub(super) fn removal(host: &dyn Host, run: &str, component: &str) -> Cmd {
    // An API server that is told to stop ends its long-running requests within a minute, so half of the wait timeout is enough.
    let limit = host.wait_timeout() / 2;
    let cmd = command(run, "remove", component, limit);
    ["url", "watch", "balancers", "etcd_url", "etcd_watch"]
        .iter()
        .fold(cmd, |cmd, name| cmd.arg(name, ""))
        .timeout(limit * 2 + earlier(host))
}

/// The arguments that a swap and a removal have in common.
fn command(run: &str, action: &str, component: &str, limit: Duration) -> Cmd {
    Cmd::script(SCRIPT).arg("run", run).arg("action", action).arg("component", component).arg("limit", limit.as_secs()).arg("swap", SWAP)
}

impl StaticPod {
    /// A static pod of this manifest; fails if the manifest is not valid YAML.
    pub fn new(component: &'static str, manifest: String, probe: String, care: SwapPolicy) -> Result<Self, serde_yaml::Error> {
        let pod: serde_json::Value = serde_yaml::from_str(&manifest)?;
        let container = &pod["spec"]["containers"][0];
        let texts =
            |v: &serde_json::Value| v.as_array().into_iter().flatten().filter_map(|a| a.as_str().map(String::from)).collect::<Vec<_>>();
        let runs = PodFact { image: container["image"].as_str().unwrap_or_default().into(), argv: texts(&container["command"]) };
        Ok(StaticPod { component, manifest, probe, runs, care, restart: false })
    }

    fn path(&self) -> String {
        format!("{}/{}.yaml", layout::MANIFESTS_DIR, self.component)
    }

    fn wanted(&self) -> FileFact {
        FileFact { kind: FileKind::File(Secret::from(self.manifest.as_str())), mode: 0o600, uid: 0, gid: 0 }
    }
}

#[async_trait]
impl Answers for StaticPod {
    fn title(&self) -> String {
        let what = if self.restart { "restart" } else { "run" };
        format!("{what} static pod {} ({})", self.component, self.runs.image)
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        let f = facts.host(host);
        let holds =
            f.files.get(&self.path()) == Some(&self.wanted()) && f.pods.get(self.component).is_some_and(|p| f.runs_same(p, &self.runs));
        let outdated = f.outdated.contains(self.component);
        let pending = outdated || !holds && !kept::pod(host, facts, self.component, &self.manifest);
        // If the manifest changes as well, its replacement starts a new process anyway, so no separate restart is requested.
        let restart = outdated && f.text(&self.path()) == Some(&self.manifest);
        pending.then(|| StaticPod { restart, ..self.clone() })
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        let f = facts.host_mut(host);
        let previous = f.files.insert(self.path(), self.wanted());
        if previous.is_some_and(|p| p != self.wanted()) {
            f.unsettled.insert(self.component.into());
        }
        f.pods.insert(self.component.into(), self.runs.clone());
        f.outdated.remove(self.component);
        if self.component == "etcd" {
            let folder = FileFact { kind: FileKind::Directory, mode: 0o700, uid: 0, gid: 0 };
            f.files.insert(layout::ETCD_MEMBER_DIR.into(), folder);
        }
    }

    fn diff(&self, host: &HostName, facts: &Facts) -> String {
        let f = facts.host(host);
        let now = f.text(&self.path()).unwrap_or_default();
        match f.pods.get(self.component) {
            Some(_) if self.restart => format!("{} runs with an older kubeconfig than the one on the host\n", self.component),
            _ if now != self.manifest => text_diff(now, &self.manifest),
            None => format!("{} is not running\n", self.component),
            Some(pod) if !f.runs_same(pod, &self.runs) => {
                format!("{} runs with other arguments or another image than its manifest\n", self.component)
            }
            Some(_) => "mode or owner of the manifest\n".into(),
        }
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        carry_out(host, swap(host, run, self, None)).await
    }
}
