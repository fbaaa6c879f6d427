//! The phases of a renewal of certificates. They write certificates and kubeconfigs, restart the components that read them only at their start, and
//! change nothing else: neither versions, nor flags, nor configuration of the inventory.

use super::master::pki_files;
use super::{HostSteps, Phases, PlanDefect, host_steps, phase};
use crate::inventory::{HostEntry, Role};
use crate::layout;
use crate::pki::Reason;
use crate::plan::{Part, Phase, Width};
use crate::step::unit::KUBELET;
use crate::step::{File, StaticPod, Step, wait};

/// The components that read their kubeconfig, with the certificate in it, only at their start; with the kubeconfig and the URL that shows that the
/// component works.
const READERS: [(&str, &str, u16); 2] = [
    ("kube-scheduler", layout::SCHEDULER_CONF, layout::SCHEDULER_PORT),
    ("kube-controller-manager", layout::CONTROLLER_MANAGER_CONF, layout::CONTROLLER_MANAGER_PORT),
];

impl Phases<'_> {
    /// The phase that creates the bindings for the groups and users in the renewed certificates, if these groups and users are others than before.
    pub(super) fn bindings_of_renewed(&self) -> Phase<Step> {
        let other = |reason: &Option<Reason>| matches!(reason, Some(Reason::OtherSubject { .. }));
        let changes = self.i.pki.values().flatten().any(|file| other(&file.fresh));
        let bindings = |address| self.bindings(address).filter(|_| changes).into_iter().collect();
        phase("bindings", Width::All, self.through_api(bindings))
    }

    /// The phase that renews the certificates of hosts that run etcd alone.
    pub(super) fn renewed_etcd(&self) -> Phase<Step> {
        phase("etcd", Width::One, self.etcd_alone().map(|h| host_steps(h, vec![self.renewed(h), self.serves(h)])).collect())
    }

    /// The phase that renews the certificates of control planes, one after another. A host whose API server does not answer is the last one, so that it
    /// does not keep the others from their certificates if it does not come back.
    pub(super) fn renewed_control_plane(&self) -> Result<Phase<Step>, PlanDefect> {
        let mut masters: Vec<&HostEntry> = self.i.inv.control_planes().collect();
        masters.sort_by_key(|h| self.i.facts.host(&h.name).api_version.is_none());
        let steps = |h: &HostEntry| -> Result<Vec<Step>, PlanDefect> {
            let first = [self.renewed(h)].into_iter().chain(self.restarted_kubelet(h));
            Ok(first.chain(self.components_back(h)?).collect())
        };
        let hosts = masters.into_iter().map(|h| Ok(host_steps(h, steps(h)?))).collect::<Result<_, PlanDefect>>()?;
        Ok(Phase { part: Part::ControlPlane, name: "control plane", width: Width::One, hosts })
    }

    /// The phase that renews the certificates of all control-plane hosts and etcd hosts at once, while no API server answers.
    pub(super) fn certificates_of_all(&self) -> Phase<Step> {
        let hosts = self.i.inv.core_hosts().map(|h| host_steps(h, vec![self.renewed(h)]));
        phase("certificates", Width::All, hosts.collect())
    }

    /// The phase that restarts the kubelets of control planes with their new client certificates. A kubelet whose certificate has expired does not run,
    /// and no static pod is started without it.
    pub(super) fn kubelets_of_control_planes(&self) -> Phase<Step> {
        let hosts = self.i.inv.control_planes().map(|h| host_steps(h, self.restarted_kubelet(h).into_iter().collect()));
        phase("kubelets", Width::All, hosts.collect())
    }

    /// The phase that waits until etcd and the API servers serve again, and restarts the other components of control planes.
    pub(super) fn control_planes_back(&self) -> Result<Phase<Step>, PlanDefect> {
        let masters = self.i.inv.control_planes().map(|h| Ok(host_steps(h, self.components_back(h)?)));
        let mut hosts: Vec<HostSteps<Step>> = self.etcd_alone().map(|h| host_steps(h, vec![self.serves(h)])).collect();
        hosts.extend(masters.collect::<Result<Vec<_>, PlanDefect>>()?);
        Ok(Phase { part: Part::ControlPlane, name: "control plane", width: Width::All, hosts })
    }

    /// The phase that renews the client certificates of workers' kubelets. Their pods go on running.
    pub(super) fn renewed_workers(&self) -> Phase<Step> {
        let workers: Vec<&HostEntry> = self.workers().collect();
        let steps = |h: &HostEntry| {
            let own = self.i.pki.contains_key(&h.name).then(|| self.renewed(h));
            own.into_iter().chain(self.restarted_kubelet(h)).chain(self.kubelet_back(h)).collect()
        };
        let width = if self.situation.cluster.exists() && self.i.facts.cluster.is_some() {
            Width::AtMost(self.i.kubelet_policy.nodes.at_once.of(workers.len()))
        } else {
            Width::All
        };
        Phase { part: Part::Nodes, name: "workers", width, hosts: workers.into_iter().map(|h| host_steps(h, steps(h))).collect() }
    }

    /// The hosts that have an etcd member and no control plane.
    fn etcd_alone(&self) -> impl Iterator<Item = &HostEntry> {
        self.i.inv.core_hosts().filter(|h| !h.has(Role::ControlPlane))
    }

    /// The step that writes the renewed certificates and kubeconfigs of a host.
    fn renewed(&self, h: &HostEntry) -> Step {
        self.renewed_files(h).into()
    }

    fn renewed_files(&self, h: &HostEntry) -> Vec<File> {
        self.i.pki.get(&h.name).map(|files| pki_files(files)).unwrap_or_default()
    }

    /// The wait until the host's etcd member and its API server serve with the certificates that the run has written.
    fn serves(&self, h: &HostEntry) -> Step {
        let api = h.has(Role::ControlPlane).then(|| layout::join_host_port(h.node_address(), layout::API_SERVER_PORT));
        wait::Serves { api, etcd: self.i.inv.runs_etcd(h) }.into()
    }

    /// The steps after a host has its certificates, and its kubelet runs.
    fn components_back(&self, h: &HostEntry) -> Result<Vec<Step>, PlanDefect> {
        let mut steps = vec![self.serves(h)];
        for (component, kubeconfig, port) in READERS {
            steps.extend(self.restarted(h, component, kubeconfig, port)?.map(Step::from));
        }
        steps.extend(self.kubelet_back(h));
        Ok(steps)
    }

    /// The step that restarts a component whose kubeconfig has changed, or waits until the component runs. The static pod keeps the manifest that is on
    /// the host. `None` if the component reads its present kubeconfig, or has no manifest.
    fn restarted(&self, h: &HostEntry, component: &'static str, kubeconfig: &str, port: u16) -> Result<Option<StaticPod>, PlanDefect> {
        let f = self.i.facts.host(&h.name);
        let renewed = self.i.pki.get(&h.name).into_iter().flatten().any(|file| file.path == kubeconfig && file.fresh.is_some());
        let manifest = f.text(&format!("{}/{component}.yaml", layout::MANIFESTS_DIR));
        let Some(manifest) = manifest.filter(|_| renewed || f.outdated.contains(component) || !f.pods.contains_key(component)) else {
            return Ok(None);
        };
        self.static_pod(h, component, manifest.into(), format!("https://127.0.0.1:{port}/healthz")).map(Some)
    }

    /// The step that restarts the kubelet if its client certificate is replaced. `None` if the kubelet keeps its certificate.
    fn restarted_kubelet(&self, h: &HostEntry) -> Option<Step> {
        self.starts_kubelet(h).then(|| self.kubelet_unit(h, &self.kubelet_files(h)))
    }

    /// The wait until the restarted kubelet has reported its node as Ready. `None` if the kubelet is not restarted.
    fn kubelet_back(&self, h: &HostEntry) -> Option<Step> {
        let restarted = self.i.facts.ledger.host(&h.name).done_once.contains(KUBELET);
        (restarted || self.starts_kubelet(h)).then(|| self.node_ready(h))
    }

    fn starts_kubelet(&self, h: &HostEntry) -> bool {
        let own = |f: &File| [layout::KUBELET_CLIENT_INITIAL, layout::KUBELET_CLIENT_CURRENT].contains(&f.path.as_str());
        let own: Vec<File> = self.renewed_files(h).into_iter().filter(own).collect();
        self.i.facts.host(&h.name).outdated.contains(KUBELET) || Step::from(own).pending(&h.name, self.i.facts).is_some()
    }
}
