//! The steps for one node: the kubelet's files and units, and how a worker joins.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Parts, PlanDefect};
use crate::host::Secret;
use crate::inventory::{CniKind, HostEntry, Role};
use crate::layout;
use crate::render;
use crate::step::{self, Absent, Bootstrap, Content, File, Step, Unit, Wait};

impl Parts<'_> {
    pub(super) fn kubelet_files(&self, h: &HostEntry) -> Vec<File> {
        let (ctx, node) = (self.kubelet_ctx(h), self.node(h));
        if self.keeps_kubelet(h) {
            return vec![self.ownership(), File::folder(layout::MANIFESTS_DIR, 0o700)];
        }
        let mut files = vec![
            self.ownership(),
            File::text(layout::KUBELET_UNIT, render::kubelet::kubelet_unit()).unit("kubelet"),
            File::text(layout::KUBELET_DROP_IN, render::kubelet::kubelet_drop_in()).unit("kubelet"),
            File::text(layout::KUBELET_CONFIG, render::kubelet::kubelet_config(&ctx, &node)).unit("kubelet"),
            File::text(layout::KUBELET_FLAGS_ENV, render::kubelet::kubelet_flags_env(&ctx, &node)).unit("kubelet"),
            File::folder(layout::MANIFESTS_DIR, 0o700),
        ];
        files.extend(render::kubelet::instance_config(&ctx).map(|text| File::text(layout::KUBELET_INSTANCE_CONFIG, text).unit("kubelet")));
        if self.i.inv.network.cni.kind == CniKind::Bridge {
            let own: Vec<IpNet> = self.subnets.get(&h.name).copied().into_iter().collect();
            let routes = render::cni::routes(&ctx, &self.routes_of(h));
            files.extend([
                File::text(layout::CNI_BRIDGE_CONF, render::cni::bridge_conflist(&ctx, &own)),
                File::text(layout::CNI_LOOPBACK_CONF, render::cni::loopback_conf()),
                File::text(layout::ROUTES_DATA, routes).unit("clusterctl-routes"),
                File::text(layout::ROUTES_SCRIPT, render::cni::routes_script()).mode(0o755).unit("clusterctl-routes"),
                File::text(layout::ROUTES_UNIT, render::cni::routes_unit()).unit("clusterctl-routes"),
            ]);
        }
        files
    }

    fn routes_of(&self, h: &HostEntry) -> Vec<(IpNet, IpAddr)> {
        let others = self.i.inv.nodes().filter(|o| o.name != h.name);
        others.filter_map(|o| self.subnets.get(&o.name).map(|s| (*s, o.node_address()))).collect()
    }

    /// The steps that start the kubelet and the service `clusterctl-routes` with these files. If pods already run on the node, the container
    /// runtime and the kubelet's binary are changed before that. Empty if the host keeps the kubelet that kubeadm set up.
    pub(super) fn units(&self, h: &HostEntry, files: &[File]) -> Vec<Step> {
        let digest_of = |unit: &str| {
            let inputs = files.iter().filter(|f| f.unit == Some(unit)).filter_map(|f| match &f.content {
                Content::Bytes(b) => Some(b.expose()),
                _ => None,
            });
            step::digest(&inputs.collect::<Vec<_>>().concat())
        };
        let kubelet = step::digest(format!("{} {}", digest_of("kubelet"), self.kubelet_version(h)).as_bytes());
        let mut steps: Vec<Step> = Vec::new();
        if self.keeps_kubelet(h) {
            return steps;
        }
        if self.runs_pods(h) {
            steps.extend(self.runtime(h));
            steps.push(self.kubelet_binary(h, self.kubelet_version(h), false));
        }
        if self.i.inv.network.cni.kind == CniKind::Bridge {
            steps.push(Unit::new("clusterctl-routes", digest_of("clusterctl-routes")).into());
        }
        steps.push(Unit::new("kubelet", kubelet).into());
        steps
    }

    pub(super) fn worker(&self, h: &HostEntry) -> Result<Vec<Step>, PlanDefect> {
        let mut files = vec![File::text(format!("{}/ca.crt", layout::PKI_DIR), self.i.ca_pem)];
        let kubelet = self.kubelet_files(h);
        let units = self.units(h, &kubelet);
        files.extend(kubelet);
        let secret = std::str::from_utf8(self.i.token.secret.expose()).map_err(|_| PlanDefect::Token)?;
        let token = Secret::from(format!("{}.{secret}", self.i.token.id));
        let kubeconfig = render::objects::bootstrap_kubeconfig(&self.ctx(), self.i.ca_pem, &token);
        let mut steps: Vec<Step> = self.hooks(h, false).chain(self.drain(h)).collect();
        steps.extend([files.into(), Bootstrap { kubeconfig }.into()]);
        steps.extend(units);
        steps.push(self.node_ready(h));
        steps.extend(self.hooks(h, true));
        steps.extend(self.uncordon(h));
        steps.push(Absent { paths: vec![layout::BOOTSTRAP_KUBELET_CONF.into()], locked: false, why: String::new() }.into());
        Ok(steps)
    }

    pub(super) fn node_ready(&self, h: &HostEntry) -> Step {
        let server = match h.has(Role::ControlPlane) {
            true => format!("https://{}", layout::join_host_port(h.node_address(), layout::API_SERVER_PORT)),
            false => format!("https://{}", self.endpoint),
        };
        let ready = self.i.inv.network.cni.kind != CniKind::None;
        Wait::Node { node: h.name.clone(), server, version: self.kubelet_version(h).to_string(), ready }.into()
    }
}
