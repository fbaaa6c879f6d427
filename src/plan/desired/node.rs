//! The steps for one node: the kubelet's files and units, how a worker joins, and how a node is taken out of service for a change.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::{Phases, PlanDefect, host_steps};
use crate::host::Secret;
use crate::inventory::{CniKind, HostEntry, Role};
use crate::layout;
use crate::plan::situation::NodeState;
use crate::plan::{Part, Phase, Width};
use crate::render;
use crate::step::command::When;
use crate::step::drain::DrainExtras;
use crate::step::{self, Absent, Bootstrap, Command, Content, Drain, File, Step, Uncordon, Unit, wait};

/// The time limit of a hook. A hook that runs for longer is treated as hanging.
const HOOK_LIMIT: Duration = Duration::from_secs(30 * 60);

impl Phases<'_> {
    /// The phase that changes the workers in service, a few at a time.
    pub(super) fn workers_in_service(&self) -> Result<Phase<Step>, PlanDefect> {
        let (present, _) = self.changing_workers();
        self.workers_phase(Width::AtMost(self.i.kubelet_policy.nodes.at_once.of(present.len())), &present)
    }

    /// The phase in which workers join, or join again, all at once.
    pub(super) fn joining_workers(&self) -> Result<Phase<Step>, PlanDefect> {
        let (_, joining) = self.changing_workers();
        self.workers_phase(Width::All, &joining)
    }

    /// The workers whose kubelets may change in this stage: those in service, and those that join.
    fn changing_workers(&self) -> (Vec<&HostEntry>, Vec<&HostEntry>) {
        self.workers().filter(|h| !self.situation.host(h).is_held).partition(|h| self.situation.host(h).node == NodeState::InService)
    }

    fn workers_phase(&self, width: Width, hosts: &[&HostEntry]) -> Result<Phase<Step>, PlanDefect> {
        let hosts = hosts.iter().map(|h| self.worker(h).map(|steps| host_steps(h, steps)));
        Ok(Phase { part: Part::Nodes, name: "workers", width, hosts: hosts.collect::<Result<_, _>>()? })
    }

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
        let mut steps: Vec<Step> = Vec::new();
        if self.keeps_kubelet(h) {
            return steps;
        }
        if self.situation.host(h).runs_pods() {
            steps.extend(self.runtime(h));
            steps.push(self.kubelet_binary(h, self.kubelet_version(h), false));
        }
        if self.i.inv.network.cni.kind == CniKind::Bridge {
            steps.push(Unit::new("clusterctl-routes", digest_of("clusterctl-routes", files)).into());
        }
        steps.push(self.kubelet_unit(h, files));
        steps
    }

    /// The step that starts the kubelet with these files, or restarts it.
    pub(super) fn kubelet_unit(&self, h: &HostEntry, files: &[File]) -> Step {
        let digest = format!("{} {}", digest_of("kubelet", files), self.kubelet_version(h));
        Unit::new("kubelet", step::digest(digest.as_bytes())).into()
    }

    fn worker(&self, h: &HostEntry) -> Result<Vec<Step>, PlanDefect> {
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
        wait::Node { node: h.name.clone(), server, version: self.kubelet_version(h).to_string(), ready }.into()
    }

    /// The commands of the operator before the drain of the node, or, if `after` is true, after its change.
    pub(super) fn hooks(&self, h: &HostEntry, after: bool) -> impl Iterator<Item = Step> {
        let version = self.kubelet_version(h).to_string();
        let (node, label) = (h.name.clone(), if after { "after the change" } else { "before the drain" });
        let hooks = self.i.kubelet_policy.nodes.hooks.iter().filter(move |hook| hook.after == after);
        hooks.map(move |hook| {
            let when =
                if after { When::After { node: node.clone() } } else { When::Before { node: node.clone(), version: version.clone() } };
            let argv = ["/bin/sh", "-c", &hook.command].map(String::from).to_vec();
            Command { label: label.into(), argv, timeout: HOOK_LIMIT, place: hook.place, when }.into()
        })
    }

    /// The drain of the node before its kubelet is changed. `None` if this stage drains no nodes.
    pub(super) fn drain(&self, h: &HostEntry) -> Option<Step> {
        let (api_host, options) = (self.api_host?, self.i.kubelet_policy.nodes.drain?);
        let (via, address) = (api_host.name.clone(), api_host.node_address());
        let until_version = Some(self.kubelet_version(h).to_string());
        Some(Drain { via, address, node: h.name.clone(), options, until_version, extras: DrainExtras::default() }.into())
    }

    /// The end of a drain by clusterctl. `None` if the inventory has no control-plane host.
    pub(super) fn uncordon(&self, h: &HostEntry) -> Option<Step> {
        let api_host = self.api_host?;
        Some(Uncordon { via: api_host.name.clone(), address: api_host.node_address(), node: h.name.clone(), whoever: false }.into())
    }
}

/// The digest of those of the files that this unit reads at its start.
fn digest_of(unit: &str, files: &[File]) -> String {
    let inputs = files.iter().filter(|f| f.unit == Some(unit)).filter_map(|f| match &f.content {
        Content::Bytes(b) => Some(b.expose()),
        _ => None,
    });
    step::digest(&inputs.collect::<Vec<_>>().concat())
}
