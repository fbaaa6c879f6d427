//! The first desired steps: what every host needs before Kubernetes runs on it.

use std::collections::BTreeSet;

use super::{Phases, host_steps};
use crate::inventory::{HostEntry, KubeVersion, Role};
use crate::layout;
use crate::plan::registries::Registry;
use crate::plan::{Part, Phase, Width, mirrors};
use crate::render::{self, Component, Ctx};
use crate::step::{self, Absent, Binary, CheckFlags, File, Image, Kernel, Package, Step, Unit, binary};
use crate::versions;

/// The Debian packages of a host that runs pods.
pub const NODE_PACKAGES: [&str; 8] =
    ["containerd", "runc", "containernetworking-plugins", "conntrack", "socat", "ethtool", "iptables", "curl"];

/// The Debian packages of a host that runs only etcd.
const ETCD_PACKAGES: [&str; 3] = ["containerd", "runc", "curl"];

/// The folder of the CNI plugins in Debian's package, and the plugins that are linked into CNI_BIN_DIR.
const CNI_PLUGINS_FROM: &str = "/usr/lib/cni";
const CNI_PLUGINS: [&str; 7] = ["bridge", "host-local", "loopback", "portmap", "bandwidth", "firewall", "tuning"];

/// The path and the target of each link to a CNI plugin.
pub fn cni_links() -> [(String, String); 7] {
    CNI_PLUGINS.map(|p| (format!("{}/{p}", layout::CNI_BIN_DIR), format!("{CNI_PLUGINS_FROM}/{p}")))
}

impl Phases<'_> {
    /// The phase that prepares the hosts whose etcd members count for the quorum. They are prepared one after another, because writing images on
    /// all of them at once would slow down the disks of all members.
    pub(super) fn prepare_members(&self) -> Phase<Step> {
        let members = self.i.inv.hosts.iter().filter(|h| self.situation.host(h).counts_for_quorum);
        let hosts = members.map(|h| host_steps(h, self.prepare(h))).collect();
        Phase { part: Part::Prepare, name: "prepare members", width: Width::One, hosts }
    }

    /// The phase that prepares all other hosts. On each control-plane host, every new binary of the phase `control_plane` then parses its flags,
    /// before anything that runs is changed.
    pub(super) fn prepare_hosts(&self, control_plane: &Phase<Step>) -> Phase<Step> {
        let check_flags = |h: &HostEntry| {
            let steps = control_plane.hosts.iter().filter(|t| t.host == h.name).flat_map(|t| &t.steps);
            CheckFlags::of(steps.flat_map(Step::static_pods)).map(Step::from)
        };
        let prepare = |h: &HostEntry| if self.situation.host(h).counts_for_quorum { vec![] } else { self.prepare(h) };
        let hosts = self.i.inv.hosts.iter().map(|h| host_steps(h, prepare(h).into_iter().chain(check_flags(h)).collect()));
        Phase { part: Part::Prepare, name: "prepare hosts", width: Width::All, hosts: hosts.collect() }
    }

    fn prepare(&self, h: &HostEntry) -> Vec<Step> {
        let inv = self.i.inv;
        let mut names: Vec<&str> = Vec::new();
        let etcd = self.runs_etcd_service(h);
        if h.is_node() {
            names.extend(NODE_PACKAGES);
        } else if etcd {
            names.extend(ETCD_PACKAGES);
        }
        names.extend(self.balancer_packages(h));
        let mut steps: Vec<Step> = Vec::new();
        if inv.artifacts.packages {
            steps.push(Package { names: names.into_iter().map(String::from).collect() }.into());
        }
        if h.is_node() {
            steps.extend(self.prepare_node(h));
        }
        if etcd {
            steps.extend(self.prepare_etcd(h));
        }
        steps
    }

    /// The steps that prepare a host for etcd as a systemd service. The programs of etcd are taken from its image, so that all hosts have the
    /// same version from the same source.
    fn prepare_etcd(&self, h: &HostEntry) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        if !h.is_node() {
            steps.push(self.registries(h).into());
            steps.extend(self.no_other_registries(h));
            steps.push(Unit::new("containerd", step::digest(b"as its package left it")).into());
        }
        steps.push(self.images(h).into());
        steps.extend([("etcd", true), ("etcdctl", false)].map(|(name, staged)| self.etcd_binary(name, staged)));
        steps
    }

    pub(super) fn etcd_binary(&self, name: &str, staged: bool) -> Step {
        let path = format!("{}/{name}", layout::BIN_DIR);
        let source = binary::Source::Image { reference: self.image(Component::Etcd), path: path.clone() };
        Binary { path, source, staged }.into()
    }

    /// The files by which containerd finds and opens registries.
    fn registries(&self, h: &HostEntry) -> Vec<File> {
        let f = self.i.facts.host(&h.name);
        self.i.registries.iter().flat_map(|r| r.files(f)).collect()
    }

    /// The step that removes the files about registries that have left the inventory, after the other files no longer refer to them.
    fn no_other_registries(&self, h: &HostEntry) -> Option<Step> {
        let wanted: Vec<String> = self.i.registries.iter().flat_map(Registry::paths).collect();
        let paths = mirrors::paths(self.i.facts.host(&h.name), &wanted);
        let why = "the inventory does not have this registry or its CA any more\n".into();
        (!paths.is_empty()).then(|| Absent { paths, locked: false, why }.into())
    }

    fn prepare_node(&self, h: &HostEntry) -> Vec<Step> {
        let inv = self.i.inv;
        let mut files = vec![
            File::text(layout::MODULES_LOAD, render::kernel::modules()),
            File::text(layout::SYSCTL_CONF, render::kernel::sysctl(&self.ctx())),
        ];
        files.extend(self.registries(h));
        if inv.artifacts.packages && !self.situation.host(h).is_adopted {
            files.extend(cni_links().map(|(path, target)| File::link(path, target)));
        }
        let sysctls = render::kernel::sysctls(inv).map(|(key, value)| (key.into(), value.into())).into();
        let mut steps: Vec<Step> = vec![files.into()];
        steps.extend(self.no_other_registries(h));
        steps.extend([Kernel { modules: vec!["overlay".into(), "br_netfilter".into()], sysctls }.into()]);
        let later = self.situation.host(h).runs_pods();
        if !later {
            steps.extend(self.runtime(h));
        }
        steps.push(self.images(h).into());
        match &self.i.kubelet_policy.next {
            Some(next) if later => steps.push(self.kubelet_binary(h, next, true)),
            _ if later => {}
            _ if self.keeps_kubelet(h) => {}
            _ => steps.push(self.kubelet_binary(h, self.kubelet_version(h), false)),
        }
        if h.has(Role::ControlPlane) {
            steps.push(self.kubectl(h, self.has_kubectl(h)));
        }
        if self.runs_etcd_pod(h) {
            steps.push(self.etcd_binary("etcdctl", false));
        }
        steps
    }

    /// All images that the host needs at the version of this stage, and at the versions of the control plane in later stages.
    fn images(&self, h: &HostEntry) -> Image {
        let mut components: Vec<Component> = Vec::new();
        if h.is_node() {
            components.push(Component::Pause);
            if self.i.inv.addons.kube_proxy.enabled {
                components.push(Component::Proxy);
            }
        }
        if h.has(Role::ControlPlane) {
            components.extend([Component::ApiServer, Component::ControllerManager, Component::Scheduler]);
        }
        if self.runs_etcd_pod(h) || self.runs_etcd_service(h) {
            components.push(Component::Etcd);
        }
        let mut references: Vec<String> = components.iter().map(|c| self.image(*c)).collect();
        if h.is_node() {
            references.push(self.pause(h));
        }
        for version in &self.i.kubelet_policy.later {
            let mut inv = self.i.inv.clone();
            inv.cluster.version = version.clone();
            let Some(v) = versions::of(version) else { continue };
            let repository = super::image_repository(&inv, v);
            let ctx = Ctx { inv: &inv, v, image_repository: &repository, ..self.ctx() };
            references.extend(components.iter().map(|c| render::image(&ctx, *c)));
        }
        let mut seen = BTreeSet::new();
        references.retain(|r| seen.insert(r.clone()));
        Image { references }
    }

    /// The sandbox image of the pods on this node, which depends on the version of the node's kubelet.
    fn pause(&self, h: &HostEntry) -> String {
        render::image(&self.kubelet_ctx(h), Component::Pause)
    }

    /// The steps for containerd's configuration and unit. They run before the first pod starts on the host, or after the node was drained.
    /// Empty for an adopted host, whose container runtime clusterctl does not change.
    pub(super) fn runtime(&self, h: &HostEntry) -> Vec<Step> {
        if self.situation.host(h).is_adopted {
            return Vec::new();
        }
        let config = render::containerd::containerd_config(&self.ctx(), &self.pause(h), render::containerd::ConfigVersion::V2);
        let digest = step::digest(config.as_bytes());
        vec![vec![File::text(layout::CONTAINERD_CONFIG, config).unit("containerd")].into(), Unit::new("containerd", digest).into()]
    }

    pub(super) fn kubelet_binary(&self, h: &HostEntry, version: &KubeVersion, staged: bool) -> Step {
        self.binary(h, "kubelet", version, staged)
    }

    /// The step for kubectl on a control-plane host; clusterctl's scripts use it, too. A new version replaces an existing kubectl only after
    /// the API server was changed, so that after a rollback of the API server, kubectl is not newer. `staged`: the new version is only
    /// downloaded.
    pub(super) fn kubectl(&self, h: &HostEntry, staged: bool) -> Step {
        self.binary(h, "kubectl", &self.i.inv.cluster.version, staged)
    }

    pub(super) fn has_kubectl(&self, h: &HostEntry) -> bool {
        self.situation.host(h).runs_pods() && self.i.facts.host(&h.name).binaries.contains_key(&format!("{}/kubectl", layout::BIN_DIR))
    }

    fn binary(&self, h: &HostEntry, name: &str, version: &KubeVersion, staged: bool) -> Step {
        let from = self.i.inv.artifacts.binaries.trim_end_matches('/');
        let url = format!("{from}/release/{version}/bin/linux/{}/{name}", self.arch(h));
        Binary { path: format!("{}/{name}", layout::BIN_DIR), source: binary::Source::Url(url), staged }.into()
    }

    /// The host's CPU architecture, as the URLs of Kubernetes' binaries name it.
    fn arch(&self, h: &HostEntry) -> &'static str {
        match self.i.facts.host(&h.name).machine.as_str() {
            "aarch64" => "arm64",
            _ => "amd64",
        }
    }
}
