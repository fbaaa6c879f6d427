//! A static pod: one transaction on the host that swaps the manifest and sees the new process serve, or puts the old one back.

use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, Step, StepError, carry_out, fenced, kept, text_diff};
use crate::facts::{Facts, FileFact, FileKind, PodFact};
use crate::host::{Cmd, Host, HostName, Secret};
use crate::layout;

/// Longer than any healthy component takes to start on a slow machine; one that needs more is not coming up.
pub(super) const LIMIT: Duration = Duration::from_secs(120);

/// What the host does by itself, whether or not anybody still watches.
const SWAP: &str = concat!(include_str!("../host/remote/hand_over.sh"), include_str!("../host/remote/swap.sh"));

/// One component of the control plane.
#[derive(Clone, Debug)]
pub struct StaticPod {
    /// Name of the component, its container and its manifest.
    pub component: &'static str,
    pub manifest: String,
    /// Answers 200 when the component serves.
    pub probe: String,
    /// What the manifest says will run.
    pub runs: PodFact,
    pub care: Care,
}

/// What keeps others from noticing a swap.
#[derive(Clone, Debug, Default)]
pub struct Care {
    /// Who sends requests here: addresses of load balancers by comma, `all`, or nothing.
    pub balancers: String,
    /// How old a process the host watches what it put in place, ready to put the previous one back.
    pub watch: Duration,
}

/// Puts the manifest that is its input in place of the component's, or takes that away where the input is empty. With an `etcd`, whose
/// manifest comes first in the input, that one goes while the component is out.
pub(super) fn transaction(run: &str, component: &str, probe: &str, limit: Duration, care: &Care, etcd: Option<&StaticPod>) -> Cmd {
    let seconds = |d: Duration| d.as_secs().to_string();
    let own = [run, component, probe, &seconds(limit), &seconds(care.watch), &care.balancers, SWAP].map(String::from);
    let along = etcd.map(|e| [e.probe.clone(), seconds(e.care.watch), e.manifest.len().to_string()]);
    Cmd::script(fenced!("put_back.sh", "static_pod.sh"), own.into_iter().chain(along.into_iter().flatten()))
}

impl StaticPod {
    /// A static pod of this manifest; fails when the manifest does not say what to run.
    pub fn new(component: &'static str, manifest: String, probe: String, care: Care) -> Result<Self, serde_yaml::Error> {
        let pod: serde_json::Value = serde_yaml::from_str(&manifest)?;
        let container = &pod["spec"]["containers"][0];
        let texts =
            |v: &serde_json::Value| v.as_array().into_iter().flatten().filter_map(|a| a.as_str().map(String::from)).collect::<Vec<_>>();
        let runs = PodFact { image: container["image"].as_str().unwrap_or_default().into(), argv: texts(&container["command"]) };
        Ok(StaticPod { component, manifest, probe, runs, care })
    }

    fn path(&self) -> String {
        format!("{}/{}.yaml", layout::MANIFESTS_DIR, self.component)
    }

    fn wanted(&self) -> FileFact {
        FileFact { kind: FileKind::File(Secret::from(self.manifest.as_str())), mode: 0o600, uid: 0, gid: 0 }
    }
}

impl From<StaticPod> for Step {
    fn from(step: StaticPod) -> Self {
        Step::StaticPod(step)
    }
}

#[async_trait]
impl Answers for StaticPod {
    fn title(&self) -> String {
        format!("run static pod {} ({})", self.component, self.runs.image)
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        let f = facts.host(host);
        let holds =
            f.files.get(&self.path()) == Some(&self.wanted()) && f.pods.get(self.component).is_some_and(|p| f.runs_same(p, &self.runs));
        (!holds && !kept::pod(host, facts, self.component, &self.manifest)).then(|| self.clone())
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        let f = facts.host_mut(host);
        let previous = f.files.insert(self.path(), self.wanted());
        if previous.is_some_and(|p| p != self.wanted()) {
            f.unsettled.insert(self.component.into());
        }
        f.pods.insert(self.component.into(), self.runs.clone());
        if self.component == "etcd" {
            let folder = FileFact { kind: FileKind::Directory, mode: 0o700, uid: 0, gid: 0 };
            f.files.insert(layout::ETCD_MEMBER_DIR.into(), folder);
        }
    }

    fn diff(&self, host: &HostName, facts: &Facts) -> String {
        let f = facts.host(host);
        let now = f.text(&self.path()).unwrap_or_default();
        match f.pods.get(self.component) {
            _ if now != self.manifest => text_diff(now, &self.manifest),
            None => format!("{} is not running\n", self.component),
            Some(pod) if !f.runs_same(pod, &self.runs) => {
                format!("{} runs with other arguments or another image than its manifest\n", self.component)
            }
            Some(_) => "mode or owner of the manifest\n".into(),
        }
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let cmd = transaction(run, self.component, &self.probe, LIMIT, &self.care, None);
        carry_out(host, cmd.stdin(self.manifest.as_str()).timeout(LIMIT * 3)).await
    }
}
