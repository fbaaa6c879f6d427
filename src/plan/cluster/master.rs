//! The page's part of one control-plane host: its PKI, its static pods, its kubelet.

use std::time::Duration;

use super::{PageError, Parts, bracketed, established};
use crate::facts::{Facts, FileKind};
use crate::inventory::{HostEntry, LoadBalancerKind};
use crate::layout;
use crate::pki::FileOut;
use crate::render;
use crate::step::static_pod::Care;
use crate::step::{ApiWithEtcd, Content, File, Standing, StaticPod, Step, Wait};

/// Older than a process gets that starts, serves, and dies of what it then finds (20 s were seen).
const WATCH_FIRST: Duration = Duration::from_secs(23);
/// What the first host has shown to be good is watched for crashes of this host's own, which come at its start.
const WATCH: Duration = Duration::from_secs(5);
/// Others depend on these two at once.
const COUNTED_ON: [&str; 2] = ["etcd", "kube-apiserver"];

/// How long a host of a change watches what others count on; `order`: who changes, in turn. The first shows whether the change is good, the
/// others follow sooner.
pub(super) fn watch(h: &HostEntry, order: &[&HostEntry]) -> Duration {
    if order.first().is_some_and(|first| first.name == h.name) { WATCH_FIRST } else { WATCH }
}

impl Parts<'_> {
    pub(super) fn master(&self, h: &HostEntry) -> Result<Vec<Step>, PageError> {
        let (ctx, node) = (self.ctx(), self.node(h));
        let mut files: Vec<File> = self.i.pki.get(&h.name).map(|files| pki_files(files, self.i.facts, &h.name)).unwrap_or_default();
        let mut units = Vec::new();
        if !self.is_held(h) {
            let kubelet = self.kubelet_files(h);
            units = self.units(h, &kubelet);
            files.extend(kubelet);
        }
        if self.runs_etcd_pod(h) {
            files.push(File::folder(layout::ETCD_DATA_DIR, 0o700));
        }
        let mut steps: Vec<Step> = self.hooks(h, false).chain(self.drain(h)).collect();
        steps.push(files.into());
        let address = h.node_address();
        let member = self.runs_etcd_pod(h);
        let joins = member && self.joins_etcd(h);
        let mut along = None;
        if member {
            let (members, existing) = self.initial_cluster(h);
            let manifest = render::manifests::etcd(&ctx, &node, &members, existing);
            // A learner refuses to say that it is healthy; that it votes is waited for by name.
            let says = if joins { "metrics" } else { "health" };
            let probe = format!("http://127.0.0.1:{}/{says}", layout::ETCD_METRICS_PORT);
            let etcd = self.static_pod(h, "etcd", manifest, probe)?;
            if joins {
                steps.push(self.member(h, Standing::Learner));
                steps.push(etcd.into());
                steps.extend(units.clone());
                steps.push(self.member(h, Standing::Voter));
            } else {
                along = Some(etcd);
            }
        }
        let etcd = self.etcd_clients_see(h);
        let api = format!("https://{}:{}", bracketed(address), layout::API_SERVER_PORT);
        let manifest = render::manifests::kube_apiserver(&ctx, &node, &etcd);
        steps.push(ApiWithEtcd { etcd: along, api: Some(self.static_pod(h, "kube-apiserver", manifest, format!("{api}/readyz"))?) }.into());
        let probe = format!("https://127.0.0.1:{}/healthz", layout::SCHEDULER_PORT);
        steps.push(self.static_pod(h, "kube-scheduler", render::manifests::kube_scheduler(&ctx, &node), probe)?.into());
        if established(self.i.facts) {
            steps.push(self.controller_manager(h)?);
        }
        if !joins {
            steps.extend(units);
        }
        steps.push(Wait::Api { address, version: self.i.inv.cluster.version.to_string() }.into());
        steps.extend(self.taken_back(h));
        steps.push(Wait::Settled.into());
        if self.has_kubectl(h) {
            steps.push(self.kubectl(h, false));
        }
        if self.runs_pods(h) && !self.is_held(h) {
            steps.push(self.node_ready(h));
            steps.extend(self.hooks(h, true));
            steps.extend(self.uncordon(h));
        }
        Ok(steps)
    }

    /// Balancers send nobody to an API server that goes, or that loses its etcd.
    fn care(&self, h: &HostEntry, component: &str) -> Care {
        let inv = self.i.inv;
        let addresses =
            |hosts: &mut dyn Iterator<Item = &HostEntry>| hosts.map(|b| b.node_address().to_string()).collect::<Vec<_>>().join(",");
        let balancers = match inv.load_balancer.kind {
            LoadBalancerKind::None => String::new(),
            LoadBalancerKind::External => "all".into(),
            LoadBalancerKind::Haproxy | LoadBalancerKind::Nginx => addresses(&mut inv.balancers()),
            LoadBalancerKind::Local => addresses(&mut inv.hosts.iter().filter(|b| inv.runs_balancer(b))),
        };
        let first = self.masters.first().is_some_and(|m| m.name == h.name);
        let watch = match COUNTED_ON.contains(&component) {
            true => watch(h, &self.masters),
            // Others stand in for these; the first host has the time to see how they do.
            false if first => WATCH,
            false => Duration::ZERO,
        };
        Care { balancers, watch }
    }

    /// Each balancer that asks API servers for their health has this one back before the next one goes.
    fn taken_back(&self, h: &HostEntry) -> impl Iterator<Item = Step> {
        let inv = self.i.inv;
        let asks = matches!(inv.load_balancer.kind, LoadBalancerKind::Haproxy | LoadBalancerKind::Local);
        // They all ask at the same pace: of many, some are enough.
        let some = inv.hosts.iter().filter(move |b| asks && inv.runs_balancer(b) && self.i.facts.hosts.contains_key(&b.name)).take(3);
        // Three good checks bring it back.
        let limit = inv.load_balancer.check_interval * 4 + Duration::from_secs(30);
        some.map(move |b| Wait::Backend { balancer: b.name.clone(), server: h.name.clone(), limit }.into())
    }

    fn static_pod(&self, h: &HostEntry, component: &'static str, manifest: String, probe: String) -> Result<StaticPod, PageError> {
        let pod = StaticPod::new(component, manifest, probe, self.care(h, component));
        pod.map_err(|source| PageError::Manifest { host: h.name.clone(), component, source })
    }

    /// Apart from the others: on a fresh cluster it starts only once every node has its pod subnet, or it would hand out its own.
    pub(super) fn controller_manager(&self, h: &HostEntry) -> Result<Step, PageError> {
        let probe = format!("https://127.0.0.1:{}/healthz", layout::CONTROLLER_MANAGER_PORT);
        let manifest = render::manifests::kube_controller_manager(&self.ctx(), &self.node(h));
        self.static_pod(h, "kube-controller-manager", manifest, probe).map(Step::from)
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
