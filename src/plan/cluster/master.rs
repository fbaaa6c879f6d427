//! The page's part of one control-plane host: its PKI, its static pods, its kubelet.

use super::{PageError, Parts, bracketed};
use crate::facts::{Facts, FileKind};
use crate::inventory::HostEntry;
use crate::layout;
use crate::pki::FileOut;
use crate::render;
use crate::step::{Content, File, Standing, StaticPod, Step, Wait};

impl Parts<'_> {
    pub(super) fn master(&self, h: &HostEntry) -> Result<Vec<Step>, PageError> {
        let (ctx, node) = (self.ctx(), self.node(h));
        let mut files: Vec<File> = self.i.pki.get(&h.name).map(|files| pki_files(files, self.i.facts, &h.name)).unwrap_or_default();
        let kubelet = self.kubelet_files(h);
        let units = self.units(&kubelet);
        files.extend(kubelet);
        if self.runs_etcd_pod(h) {
            files.push(File::folder(layout::ETCD_DATA_DIR, 0o700));
        }
        let mut steps: Vec<Step> = vec![files.into()];
        let address = h.node_address();
        let member = self.runs_etcd_pod(h);
        let joins = member && self.joins_etcd(h);
        if member {
            let (members, existing) = self.initial_cluster(h);
            let manifest = render::manifests::etcd(&ctx, &node, &members, existing);
            // A learner refuses to say that it is healthy; that it votes is waited for by name.
            let says = if joins { "metrics" } else { "health" };
            let probe = format!("http://127.0.0.1:{}/{says}", layout::ETCD_METRICS_PORT);
            let etcd = self.static_pod(h, "etcd", manifest, probe)?;
            if joins {
                steps.push(self.member(h, Standing::Learner));
                steps.push(etcd);
                steps.extend(units.clone());
                steps.push(self.member(h, Standing::Voter));
            } else {
                steps.push(etcd);
            }
        }
        let etcd = self.etcd_clients_see(h);
        let api = format!("https://{}:{}", bracketed(address), layout::API_SERVER_PORT);
        steps.push(self.static_pod(h, "kube-apiserver", render::manifests::kube_apiserver(&ctx, &node, &etcd), format!("{api}/readyz"))?);
        let probe = format!("https://127.0.0.1:{}/healthz", layout::SCHEDULER_PORT);
        steps.push(self.static_pod(h, "kube-scheduler", render::manifests::kube_scheduler(&ctx, &node), probe)?);
        if !joins {
            steps.extend(units);
        }
        steps.push(Wait::Api { address, version: self.i.inv.cluster.version.to_string() }.into());
        Ok(steps)
    }

    fn static_pod(&self, h: &HostEntry, component: &'static str, manifest: String, probe: String) -> Result<Step, PageError> {
        let pod = StaticPod::new(component, manifest, probe);
        pod.map(Step::from).map_err(|source| PageError::Manifest { host: h.name.clone(), component, source })
    }

    /// Apart from the others: on a fresh cluster it starts only once every node has its pod subnet, or it would hand out its own.
    pub(super) fn controller_manager(&self, h: &HostEntry) -> Result<Step, PageError> {
        let probe = format!("https://127.0.0.1:{}/healthz", layout::CONTROLLER_MANAGER_PORT);
        let manifest = render::manifests::kube_controller_manager(&self.ctx(), &self.node(h));
        self.static_pod(h, "kube-controller-manager", manifest, probe)
    }
}

/// The minted or kept files of a host. The kubelet's current certificate is a link that the kubelet moves when it rotates: once it has, the first one is its own affair.
pub(super) fn pki_files(files: &[FileOut], facts: &Facts, host: &str) -> Vec<File> {
    let f = facts.host(host);
    let first = layout::KUBELET_CLIENT_INITIAL;
    let rotated = f.resolved(layout::KUBELET_CLIENT_CURRENT).is_some()
        && !matches!(f.files.get(layout::KUBELET_CLIENT_CURRENT).map(|l| &l.kind), Some(FileKind::Link(to)) if to.ends_with(layout::basename(first)));
    let mut out: Vec<File> = files
        .iter()
        .filter(|f| !(rotated && f.path == first))
        .map(|f| {
            let unit = (f.path == layout::KUBELET_CONF || f.path == first).then_some("kubelet");
            File { path: f.path.clone(), content: Content::Bytes(f.content.clone()), mode: f.mode, secret: f.secret, unit, check: None }
        })
        .collect();
    if !rotated && files.iter().any(|f| f.path == first) {
        out.push(File::link(layout::KUBELET_CLIENT_CURRENT, first).unit("kubelet"));
    }
    out
}
