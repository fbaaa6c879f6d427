//! The page's first part: what every host needs before anything of Kubernetes runs on it.

use super::Parts;
use crate::inventory::{HostEntry, Role};
use crate::layout;
use crate::render::{self, Component};
use crate::step::{self, Binary, File, Image, Kernel, Package, Step, Unit, binary};

/// Packages of a Debian host that runs pods.
const NODE_PACKAGES: [&str; 8] = ["containerd", "runc", "containernetworking-plugins", "conntrack", "socat", "ethtool", "iptables", "curl"];

/// Those of one that runs etcd alone.
const ETCD_PACKAGES: [&str; 3] = ["containerd", "runc", "curl"];

/// Where Debian's package puts the CNI plugins, and which of them pods need where CNI_BIN_DIR is read.
const CNI_PLUGINS_FROM: &str = "/usr/lib/cni";
const CNI_PLUGINS: [&str; 7] = ["bridge", "host-local", "loopback", "portmap", "bandwidth", "firewall", "tuning"];

impl Parts<'_> {
    pub(super) fn prepare(&self, h: &HostEntry) -> Vec<Step> {
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

    /// etcd comes out of its image, like everywhere: one source, one version.
    fn prepare_etcd(&self, h: &HostEntry) -> Vec<Step> {
        let image = self.image(Component::Etcd);
        let mut steps: Vec<Step> = Vec::new();
        if !h.is_node() {
            steps.push(self.mirrors().into());
            steps.push(Unit::new("containerd", step::digest(b"as its package left it")).into());
        }
        steps.push(Image { references: vec![image.clone()] }.into());
        for name in ["etcd", "etcdctl"] {
            let source = binary::Source::Image { reference: image.clone(), path: format!("{}/{name}", layout::BIN_DIR) };
            steps.push(Binary { path: format!("{}/{name}", layout::BIN_DIR), source }.into());
        }
        steps
    }

    /// Where the runtime looks for images first.
    fn mirrors(&self) -> Vec<File> {
        let mirrors = self.i.inv.artifacts.registry_mirrors.iter();
        mirrors
            .map(|(registry, mirrors)| {
                let path = format!("{}/{registry}/hosts.toml", layout::CONTAINERD_CERTS_DIR);
                File::text(path, render::containerd::hosts_toml(registry, mirrors))
            })
            .collect()
    }

    fn prepare_node(&self, h: &HostEntry) -> Vec<Step> {
        let inv = self.i.inv;
        let config =
            render::containerd::containerd_config(&self.ctx(), &self.image(Component::Pause), render::containerd::ConfigVersion::V2);
        let digest = step::digest(config.as_bytes());
        let mut files = vec![
            File::text(layout::MODULES_LOAD, render::kernel::modules()),
            File::text(layout::SYSCTL_CONF, render::kernel::sysctl(&self.ctx())),
            File::text(layout::CONTAINERD_CONFIG, config).unit("containerd"),
        ];
        files.extend(self.mirrors());
        if inv.artifacts.packages {
            files.extend(CNI_PLUGINS.map(|p| File::link(format!("{}/{p}", layout::CNI_BIN_DIR), format!("{CNI_PLUGINS_FROM}/{p}"))));
        }
        let mut sysctls =
            vec![("net.ipv4.ip_forward".to_string(), "1".to_string()), ("net.bridge.bridge-nf-call-iptables".into(), "1".into())];
        if inv.network.pod_cidr.network().is_ipv6() {
            sysctls = vec![("net.ipv6.conf.all.forwarding".into(), "1".into()), ("net.bridge.bridge-nf-call-ip6tables".into(), "1".into())];
        }
        let mut images = vec![Component::Pause];
        let mut binaries = vec!["kubelet"];
        if inv.addons.kube_proxy.enabled {
            images.push(Component::Proxy);
        }
        if h.has(Role::ControlPlane) {
            images.extend([Component::ApiServer, Component::ControllerManager, Component::Scheduler]);
            binaries.push("kubectl");
        }
        let member = self.runs_etcd_pod(h);
        if member {
            images.push(Component::Etcd);
        }
        let mut steps: Vec<Step> = vec![
            files.into(),
            Kernel { modules: vec!["overlay".into(), "br_netfilter".into()], sysctls }.into(),
            Unit::new("containerd", digest).into(),
            Image { references: images.into_iter().map(|c| self.image(c)).collect() }.into(),
        ];
        for name in binaries {
            let url = format!(
                "{}/release/{}/bin/linux/{}/{name}",
                inv.artifacts.binaries.trim_end_matches('/'),
                inv.cluster.version,
                self.arch(h)
            );
            steps.push(Binary { path: format!("{}/{name}", layout::BIN_DIR), source: binary::Source::Url(url) }.into());
        }
        if member {
            let source = binary::Source::Image { reference: self.image(Component::Etcd), path: "/usr/local/bin/etcdctl".into() };
            steps.push(Binary { path: format!("{}/etcdctl", layout::BIN_DIR), source }.into());
        }
        steps
    }

    /// The architecture by the download site's names.
    fn arch(&self, h: &HostEntry) -> &'static str {
        match self.i.facts.host(&h.name).machine.as_str() {
            "aarch64" => "arm64",
            _ => "amd64",
        }
    }
}
