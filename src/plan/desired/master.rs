//! The steps for one control-plane host: its PKI, its static pods and its kubelet.

use std::time::Duration;

use super::{HostSteps, Phases, PlanDefect, host_steps};
use crate::inventory::{HostEntry, LoadBalancerKind};
use crate::layout;
use crate::pki::FileOut;
use crate::plan::files::{self, ControlPlaneFile};
use crate::plan::situation::ClusterState;
use crate::plan::{Part, Phase};
use crate::render;
use crate::step::static_pod::SwapPolicy;
use crate::step::{ApiWithEtcd, Content, File, MemberState, StaticPod, Step, wait};

/// How long new processes are watched on the host that is changed first. A broken process was observed to answer requests for up to 20 s before
/// it crashed.
const WATCH_FIRST: Duration = Duration::from_secs(23);
/// How long new processes are watched on the other hosts. The first host has shown that the change itself is good; a fault that only one host
/// has appears when its processes start.
const WATCH: Duration = Duration::from_secs(5);
/// The components that every host watches after their replacement, because other components depend on them at once.
const COUNTED_ON: [&str; 2] = ["etcd", "kube-apiserver"];

/// How long a host watches its new API server and etcd. `order` is the order in which the hosts change: the first host shows whether the
/// change is good, and the others are watched for a shorter time.
pub(super) fn watch(h: &HostEntry, order: &[&HostEntry]) -> Duration {
    if order.first().is_some_and(|first| first.name == h.name) { WATCH_FIRST } else { WATCH }
}

impl Phases<'_> {
    /// The phase that changes the control-plane hosts. If it also changes their kubelets to another version, it changes nodes.
    pub(super) fn control_plane(&self) -> Result<Phase<Step>, PlanDefect> {
        let (part, name) = match self.situation.cluster {
            ClusterState::Standing if self.i.kubelet_policy.changes_version => (Part::Nodes, "control-plane nodes"),
            _ => (Part::ControlPlane, "control plane"),
        };
        let hosts = self.masters.iter().map(|h| Ok(HostSteps { guards: self.guards(h), ..host_steps(h, self.master(h)?) }));
        Ok(Phase { part, name, width: self.situation.cluster.width(), hosts: hosts.collect::<Result<_, _>>()? })
    }

    fn master(&self, h: &HostEntry) -> Result<Vec<Step>, PlanDefect> {
        let (ctx, node, situation) = (self.ctx(), self.node(h), self.situation.host(h));
        let mut files: Vec<File> = self.i.pki.get(&h.name).map(|files| pki_files(files)).unwrap_or_default();
        let mut units = Vec::new();
        if !situation.is_held {
            let kubelet = self.kubelet_files(h);
            units = self.units(h, &kubelet);
            files.extend(kubelet);
        }
        if self.runs_etcd_pod(h) {
            files.push(File::folder(layout::ETCD_DATA_DIR, 0o700));
        }
        files.extend(self.i.files.iter().flat_map(ControlPlaneFile::on_host));
        let keys = self.i.encryption.files.get(&h.name);
        files.extend(keys.iter().flat_map(|file| files::of_keys(file)));
        let mut steps: Vec<Step> = self.hooks(h, false).chain(self.drain(h)).collect();
        steps.push(files.into());
        let address = h.node_address();
        let member = self.runs_etcd_pod(h);
        let joins = member && self.joins_etcd(h);
        let mut along = None;
        if member {
            let (members, existing) = self.initial_cluster(h);
            let manifest = render::manifests::etcd(&ctx, &node, &members, existing);
            // A learner does not answer health checks, so its metrics are probed; a later step waits until the learner has become a voter.
            let path = if joins { "metrics" } else { "health" };
            let probe = format!("http://127.0.0.1:{}/{path}", layout::ETCD_METRICS_PORT);
            let etcd = self.static_pod(h, "etcd", manifest, probe)?;
            if joins {
                steps.push(self.member(h, MemberState::Learner));
                steps.push(etcd.into());
                steps.extend(units.clone());
                steps.push(self.member(h, MemberState::Voter));
            } else {
                along = Some(etcd);
            }
        }
        let etcd = self.etcd_clients_see(h);
        let api = format!("https://{}", layout::join_host_port(address, layout::API_SERVER_PORT));
        let manifest = render::manifests::kube_apiserver(&ctx, &node, &etcd);
        steps.push(ApiWithEtcd { etcd: along, api: Some(self.static_pod(h, "kube-apiserver", manifest, format!("{api}/readyz"))?) }.into());
        let probe = format!("https://127.0.0.1:{}/healthz", layout::SCHEDULER_PORT);
        steps.push(self.static_pod(h, "kube-scheduler", render::manifests::kube_scheduler(&ctx, &node), probe)?.into());
        // In a founding, the controller managers start in a later phase; see `Phases::controller_managers_and_objects`.
        if self.situation.cluster.exists() {
            steps.push(self.controller_manager(h)?);
        }
        if !joins {
            steps.extend(units);
        }
        steps.push(wait::Api { address, version: self.i.inv.cluster.version.to_string() }.into());
        if self.situation.cluster == ClusterState::Standing {
            steps.push(self.established());
        }
        steps.extend(self.taken_back(h));
        steps.push(wait::Settled.into());
        steps.extend(files::unused(&self.copies, self.i.facts.host(&h.name)));
        steps.extend(files::unused_keys(keys, self.i.facts.host(&h.name)));
        if self.has_kubectl(h) {
            steps.push(self.kubectl(h, false));
        }
        if situation.runs_pods() && !situation.is_held {
            steps.push(self.node_ready(h));
            steps.extend(self.hooks(h, true));
            steps.extend(self.uncordon(h));
        }
        Ok(steps)
    }

    /// How a static pod is replaced: which load balancers must send no requests to the API server meanwhile, and how long the host watches the
    /// new process.
    fn swap_policy(&self, h: &HostEntry, component: &str) -> SwapPolicy {
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
            // Other hosts take over for a scheduler or a controller manager that crashes, so only the first host watches these.
            false if first => WATCH,
            false => Duration::ZERO,
        };
        SwapPolicy { balancers, watch }
    }

    /// The waits until load balancers with health checks send requests to this host's API server again, which must be the case before the next
    /// API server is replaced.
    fn taken_back(&self, h: &HostEntry) -> impl Iterator<Item = Step> {
        let inv = self.i.inv;
        let asks = matches!(inv.load_balancer.kind, LoadBalancerKind::Haproxy | LoadBalancerKind::Local);
        // All load balancers use the same check interval, so waiting for three of them is enough.
        let some = inv.hosts.iter().filter(move |b| asks && inv.runs_balancer(b) && self.i.facts.hosts.contains_key(&b.name)).take(3);
        // A load balancer sends requests to an API server again after three successful checks; the rest of the limit is a margin.
        let limit = inv.load_balancer.check_interval * 4 + Duration::from_secs(30);
        some.map(move |b| wait::Backend { balancer: b.name.clone(), server: h.name.clone(), limit }.into())
    }

    pub(super) fn static_pod(
        &self,
        h: &HostEntry,
        component: &'static str,
        manifest: String,
        probe: String,
    ) -> Result<StaticPod, PlanDefect> {
        let pod = StaticPod::new(component, manifest, probe, self.swap_policy(h, component));
        pod.map_err(|source| PlanDefect::Manifest { host: h.name.clone(), component, source })
    }

    /// The step for the controller manager. In a new cluster, it must run only after every node has its pod subnet; otherwise the controller
    /// manager would assign other subnets.
    pub(super) fn controller_manager(&self, h: &HostEntry) -> Result<Step, PlanDefect> {
        let probe = format!("https://127.0.0.1:{}/healthz", layout::CONTROLLER_MANAGER_PORT);
        let manifest = render::manifests::kube_controller_manager(&self.ctx(), &self.node(h));
        self.static_pod(h, "kube-controller-manager", manifest, probe).map(Step::from)
    }
}

/// The PKI files and kubeconfigs of a host, new or kept. `files` contains the first client certificate of the kubelet only if the kubelet has
/// no valid client certificate. In this case, the link to the current client certificate, which the kubelet changes at each rotation, is set to
/// the first certificate again.
pub(super) fn pki_files(files: &[FileOut]) -> Vec<File> {
    let first = layout::KUBELET_CLIENT_INITIAL;
    let file = |f: &FileOut| {
        let unit = (f.path == layout::KUBELET_CONF || f.path == first).then_some("kubelet");
        File { path: f.path.clone(), content: Content::Bytes(f.content.clone()), mode: f.mode, secret: f.secret, unit, check: None }
    };
    let link = files.iter().any(|f| f.path == first).then(|| File::link(layout::KUBELET_CLIENT_CURRENT, first).unit("kubelet"));
    files.iter().map(file).chain(link).collect()
}
