//! The page of a cluster: every step, in order, that a whole cluster needs. No step asks whether it is needed.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use super::{Page, Phase, Track, Width};
use crate::facts::{Facts, ObjectRef};
use crate::host::{HostName, Secret};
use crate::inventory::{CniKind, HostEntry, Inventory, Role};
use crate::pki::FileOut;
use crate::render::{self, Component, Ctx, Node};
use crate::step::{self, File, Ids, NodeMeta, Object, Step, Token, TokensGone, Wait};
use crate::{layout, versions};

mod balancer;
pub mod etcd;
mod master;
mod node;
mod prepare;

/// Everything a page is made of. Nothing in it is looked up later.
pub struct Inputs<'a> {
    pub inv: &'a Inventory,
    pub facts: &'a Facts,
    pub v: &'static versions::Minor,
    /// ca.crt of the cluster.
    pub ca_pem: &'a str,
    /// Whether the CA's key is nowhere on the hosts.
    pub external_ca: bool,
    /// PKI files and kubeconfigs by control-plane host.
    pub pki: &'a BTreeMap<HostName, Vec<FileOut>>,
    pub token: &'a JoinToken,
    /// The operator's CNI and add-on manifests, in order.
    pub manifests: &'a [Value],
}

/// The bootstrap token of this run.
pub struct JoinToken {
    pub id: String,
    pub secret: Secret,
    /// RFC 3339.
    pub expires: String,
}

/// Why no page can be made; a defect of ours rather than of the inventory.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    #[error("the manifest of {component} on {host} is not readable")]
    Manifest {
        host: HostName,
        component: &'static str,
        #[source]
        source: serde_yaml::Error,
    },
    #[error("the bootstrap token is not text")]
    Token,
}

/// The kubelet's default for `maxPods`.
const PODS_PER_NODE: u32 = 110;

/// Whether a cluster stands already: then masters change one at a time, and members join it instead of starting it together.
pub fn established(facts: &Facts) -> bool {
    facts.hosts.values().any(|h| h.files.contains_key(layout::ESTABLISHED))
}

/// The page.
pub fn page(i: &Inputs<'_>) -> Result<Page, PageError> {
    let p = Parts::new(i);
    let masters: Vec<&HostEntry> = i.inv.control_planes().collect();
    let workers: Vec<&HostEntry> = i.inv.nodes().filter(|h| !h.has(Role::ControlPlane)).collect();
    let change = if established(i.facts) { Width::One } else { Width::All };
    // Objects go through one API server: one that serves now, on a cluster that stands.
    let serves = |m: &&&HostEntry| i.facts.host(&m.name).api_version.is_some();
    let asked = masters.iter().find(serves).or(masters.first()).copied();
    let via = asked.map_or(IpAddr::from([0, 0, 0, 0]), |m| m.node_address());
    let first = |steps: Vec<Step>| asked.map(|m| track(m, steps)).into_iter().collect::<Vec<_>>();

    let mut page = Page::new();
    let mut phase = |name, width, tracks: Vec<Track<Step>>| page.push(Phase { name, width, tracks });
    phase("prepare hosts", Width::All, i.inv.hosts.iter().map(|h| track(h, p.prepare(h))).collect());
    phase("load balancer", change, i.inv.hosts.iter().filter(|h| i.inv.runs_balancer(h)).map(|h| track(h, p.balancer(h))).collect());
    if !i.inv.etcd_is_stacked() {
        let members = i.inv.etcd_hosts().into_iter();
        phase("etcd", change, members.map(|h| Track { prelude: p.guard(h), ..track(h, p.etcd_host(h)) }).collect());
    }
    let control_plane =
        masters.iter().map(|h| p.master(h).map(|steps| Track { prelude: p.guard(h), ..track(h, steps) })).collect::<Result<_, _>>()?;
    let nodes = first(i.inv.nodes().map(|h| p.node_meta(h, via)).collect());
    // A node has its subnet before its kubelet can register: a controller manager that runs would choose one of its own.
    if established(i.facts) {
        phase("nodes", Width::All, nodes);
        phase("control plane", change, control_plane);
    } else {
        phase("control plane", change, control_plane);
        phase("nodes", Width::All, nodes);
    }
    let mut tracks: Vec<Track<Step>> =
        masters.iter().map(|h| p.controller_manager(h).map(|s| track(h, vec![s]))).collect::<Result<_, _>>()?;
    tracks.extend(first(p.objects(via)?));
    phase("cluster objects", change, tracks);
    if !established(i.facts) {
        phase("endpoint", Width::All, p.endpoint_reached().collect());
    }
    phase("workers", Width::All, workers.iter().map(|h| p.worker(h).map(|steps| track(h, steps))).collect::<Result<_, _>>()?);
    phase("settle", Width::All, masters.iter().map(|h| track(h, vec![p.node_ready(h)])).chain(first(p.settle(via))).collect());
    if established(i.facts) {
        // A balancer that is not ours keeps nothing of ours from being mended.
        phase("endpoint", Width::All, p.endpoint_reached().collect());
    }
    let counted_on = i.inv.hosts.iter().filter(|h| h.has(Role::ControlPlane) || h.has(Role::Etcd));
    phase("done", Width::All, counted_on.map(|h| track(h, vec![p.established()])).collect());
    Ok(page)
}

fn track(host: &HostEntry, steps: Vec<Step>) -> Track<Step> {
    Track { host: host.name.clone(), prelude: vec![], steps }
}

/// What the phases share.
struct Parts<'a> {
    i: &'a Inputs<'a>,
    endpoint: String,
    repository: String,
    subnets: BTreeMap<HostName, IpNet>,
}

impl<'a> Parts<'a> {
    fn new(i: &'a Inputs<'a>) -> Self {
        Parts {
            i,
            endpoint: i.inv.endpoint_authority(),
            repository: image_repository(i.inv, i.v),
            subnets: super::subnets::assign(i.inv, i.facts),
        }
    }

    fn ctx(&self) -> Ctx<'_> {
        Ctx { inv: self.i.inv, v: self.i.v, endpoint: &self.endpoint, image_repository: &self.repository, external_ca: self.i.external_ca }
    }

    fn node<'b>(&'b self, h: &'b HostEntry) -> Node<'b> {
        let f = self.i.facts.host(&h.name);
        let resolved = f.units.get("systemd-resolved").is_some_and(|u| u.active == "active");
        Node { entry: h, address: h.node_address(), ca_dirs: &f.ca_dirs, systemd_resolved: resolved, hostname: &f.hostname }
    }

    fn image(&self, component: Component) -> String {
        render::image(&self.ctx(), component)
    }

    /// What must hold before a control-plane host of a standing cluster is touched.
    fn guard(&self, h: &HostEntry) -> Vec<Step> {
        // A host that is still coming in has nothing that the others count on.
        let counted_on = self.i.facts.host(&h.name).files.contains_key(layout::ESTABLISHED);
        if counted_on && self.i.inv.runs_etcd(h) { vec![Wait::Quorum.into()] } else { vec![] }
    }

    /// The mark by which a later run knows whose host this is.
    fn ownership(&self) -> File {
        File::text(layout::OWNERSHIP, ownership(self.i.inv, self.i.ca_pem))
    }

    fn established(&self) -> Step {
        vec![File::text(layout::ESTABLISHED, format!("{}\n", self.i.inv.cluster.name))].into()
    }

    fn node_meta(&self, h: &HostEntry, address: IpAddr) -> Step {
        let meta = render::objects::node_meta(&self.ctx(), h);
        let taints = meta.taints.iter().map(|t| format!("{}={}:{:?}", t.key, t.value.as_deref().unwrap_or(""), t.effect)).collect();
        let pod_cidr = (self.i.inv.network.cni.kind == CniKind::Bridge).then(|| self.subnets.get(&h.name).copied()).flatten();
        let f = self.i.facts.host(&h.name);
        let disk = f.disk_free.values().max().copied().unwrap_or_default();
        let capacity = [
            ("cpu", f.cpus.to_string()),
            ("memory", format!("{}Ki", f.memory_kib)),
            ("ephemeral-storage", disk.to_string()),
            ("pods", PODS_PER_NODE.to_string()),
        ];
        let capacity = capacity.map(|(k, v)| (k.to_string(), v)).into();
        NodeMeta { address, node: h.name.clone(), labels: meta.labels, annotations: meta.annotations, taints, pod_cidr, capacity }.into()
    }

    fn objects(&self, address: IpAddr) -> Result<Vec<Step>, PageError> {
        let objects = all_objects(self.i.inv, self.i.v, self.i.ca_pem, self.i.manifests);
        let mut steps: Vec<Step> = vec![Object { address, objects }.into()];
        let workers: Vec<HostName> = self.i.inv.nodes().filter(|h| !h.has(Role::ControlPlane)).map(|h| h.name.clone()).collect();
        let token = self.i.token;
        let secret = std::str::from_utf8(token.secret.expose()).map_err(|_| PageError::Token)?;
        let object = render::objects::bootstrap_token(&token.id, secret, &token.expires, crate::facts::cluster::TOKEN_DESCRIPTION);
        steps.push(Token { address, id: token.id.clone(), object: object.to_string().into(), for_hosts: workers }.into());
        Ok(steps)
    }

    fn settle(&self, address: IpAddr) -> Vec<Step> {
        let addons = &self.i.inv.addons;
        let rollout = |kind: &str, name: &str| -> Step {
            let object = ObjectRef { group: "apps".into(), kind: kind.into(), namespace: "kube-system".into(), name: name.into() };
            Wait::Rollout { address, object }.into()
        };
        let mut steps = Vec::new();
        if addons.kube_proxy.enabled {
            steps.push(rollout("DaemonSet", "kube-proxy"));
        }
        if addons.core_dns.enabled && addons.core_dns.wait && self.i.inv.network.cni.kind != CniKind::None {
            steps.push(rollout("Deployment", "coredns"));
        }
        steps.push(TokensGone { address, ids: Ids::OfRuns }.into());
        steps
    }
}

/// The objects of a cluster: what to apply, and so what to ask for.
pub fn all_objects(inv: &Inventory, v: &'static versions::Minor, ca_pem: &str, manifests: &[Value]) -> Vec<Value> {
    let (endpoint, repository) = (inv.endpoint_authority(), image_repository(inv, v));
    let ctx = Ctx { inv, v, endpoint: &endpoint, image_repository: &repository, external_ca: false };
    let masters: Vec<(String, IpAddr)> = inv.control_planes().map(|m| (m.name.clone(), m.node_address())).collect();
    let mut objects = render::objects::cluster_objects(&ctx, ca_pem, &masters);
    objects.extend(manifests.iter().cloned());
    objects
}

/// What the ownership mark of a host says.
pub fn ownership(inv: &Inventory, ca_pem: &str) -> String {
    format!("cluster: {}\nca: {}\n", inv.cluster.name, step::digest(ca_pem.trim().as_bytes()))
}

fn image_repository(inv: &Inventory, v: &'static versions::Minor) -> String {
    inv.artifacts.image_repository.clone().unwrap_or_else(|| v.images.repository.into())
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V6(a) => format!("[{a}]"),
        IpAddr::V4(a) => a.to_string(),
    }
}
