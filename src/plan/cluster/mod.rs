//! The page of a cluster: every step, in order, that a whole cluster needs. No step asks whether it is needed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde_json::Value;

use super::{Page, Phase, Share, Track, Width};
use crate::facts::Facts;
use crate::host::{HostName, Secret};
use crate::inventory::{CniKind, HostEntry, Inventory, KubeVersion, Role};
use crate::pki::FileOut;
use crate::render::{self, Component, Ctx, Node};
use crate::step::command::{Place, When};
use crate::step::{self, Accepts, Command, Drain, File, NodeMeta, Object, Spare, Step, Token, Uncordon, Wait, drain};
use crate::{layout, versions};

mod add_ons;
pub mod adopted;
mod balancer;
pub mod etcd;
mod master;
mod node;
mod prepare;

pub use prepare::NODE_PACKAGES;

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
    pub roll: &'a Roll,
}

/// How a change goes over the nodes of a cluster that stands.
#[derive(Clone, Debug)]
pub struct Roll {
    /// Whether the page is about kubelets that come to another version, one node or a few at a time.
    pub kubelets: bool,
    /// Kubelets that stay at their version while the control plane goes ahead, by node.
    pub held: BTreeMap<HostName, KubeVersion>,
    /// What these kubelets come to later: brought to their hosts before anything changes.
    pub next: Option<KubeVersion>,
    /// What the control plane comes to after this page: its images are brought along, so that a way of several parts does not end on one that
    /// cannot be got any more.
    pub later: Vec<KubeVersion>,
    /// How pods leave a node before its kubelet comes to another version; `None`: they stay.
    pub drain: Option<drain::How>,
    /// How many workers that are in service already may change at once.
    pub at_once: Share,
    /// The operator's commands around a node's turn.
    pub hooks: Vec<Hook>,
    /// Where a snapshot of etcd goes before API servers come to another version.
    pub snapshot: Option<PathBuf>,
}

/// A command around the turn of a node whose kubelet comes to another version, read by `/bin/sh`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    pub command: String,
    pub place: Place,
    /// After the node is Ready and before it takes pods again; else before it is drained.
    pub after: bool,
}

/// A hook that needs longer than this hangs.
const HOOK_LIMIT: Duration = Duration::from_secs(30 * 60);

/// Of workers in service this part changes at once where nobody says otherwise: enough for a large cluster, one by one in a small one.
pub const AT_ONCE: Share = Share::Percent(10);

impl Default for Roll {
    fn default() -> Self {
        Roll {
            kubelets: false,
            held: BTreeMap::new(),
            next: None,
            later: vec![],
            drain: None,
            at_once: AT_ONCE,
            hooks: vec![],
            snapshot: None,
        }
    }
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

/// The phases in which what is needed comes to the hosts and nothing that runs is touched, by their names.
pub const PREPARE: [&str; 2] = ["prepare members", "prepare hosts"];

/// The phases in which kubelets come to another version, by their names.
pub const NODES_CHANGE: [&str; 2] = ["control-plane nodes", "workers"];

/// The kubelet's default for `maxPods`.
const PODS_PER_NODE: u32 = 110;

/// Whether a cluster stands already: then masters change one at a time, and members join it instead of starting it together.
pub fn established(facts: &Facts) -> bool {
    facts.hosts.values().any(|h| h.files.contains_key(layout::ESTABLISHED))
}

/// Objects go through one API server: one that serves now, on a cluster that stands.
pub fn asked<'a>(inv: &'a Inventory, facts: &Facts) -> Option<&'a HostEntry> {
    let serves = |m: &&HostEntry| facts.host(&m.name).api_version.is_some();
    inv.control_planes().find(serves).or(inv.control_planes().next())
}

/// The page.
pub fn page(i: &Inputs<'_>) -> Result<Page, PageError> {
    let p = Parts::new(i);
    let workers: Vec<&HostEntry> = i.inv.nodes().filter(|h| !h.has(Role::ControlPlane)).collect();
    let change = if established(i.facts) { Width::One } else { Width::All };
    let via = p.via.map_or(IpAddr::from([0, 0, 0, 0]), |m| m.node_address());
    let first = |steps: Vec<Step>| p.via.map(|m| track(m, steps)).into_iter().collect::<Vec<_>>();

    let mut page = Page::new();
    let mut phase = |name, width, tracks: Vec<Track<Step>>| page.push(Phase { name, width, tracks });
    let control_plane: Vec<Track<Step>> =
        p.masters.iter().map(|h| p.master(h).map(|steps| Track { prelude: p.guard(h), ..track(h, steps) })).collect::<Result<_, _>>()?;
    // Every program has read its flags before anything that runs is touched.
    let programs = |h: &HostEntry| {
        let steps = control_plane.iter().filter(|t| t.host == h.name).flat_map(|t| &t.steps);
        Accepts::of(steps.flat_map(Step::static_pods))
    };
    // Images and programs written beside every member at once would take the disk from all of etcd.
    let members = i.inv.hosts.iter().filter(|h| p.is_member(h));
    phase(PREPARE[0], Width::One, members.map(|h| track(h, p.prepare(h))).collect());
    let unprepared = |h: &HostEntry| if p.is_member(h) { vec![] } else { p.prepare(h) };
    let prepared = |h| track(h, unprepared(h).into_iter().chain(programs(h).map(Step::from)).collect());
    phase(PREPARE[1], Width::All, i.inv.hosts.iter().map(prepared).collect());
    phase("load balancer", change, i.inv.hosts.iter().filter(|h| i.inv.runs_balancer(h)).map(|h| track(h, p.balancer(h))).collect());
    if !i.inv.etcd_is_stacked() {
        phase("etcd", change, p.etcd_hosts.iter().map(|h| Track { prelude: p.guard(h), ..track(h, p.etcd_host(h)) }).collect());
    }
    let snapshot = i.roll.snapshot.iter().filter(|_| established(i.facts)).filter_map(|to| p.snapshot(to.clone()));
    phase("snapshot", Width::All, snapshot.collect());
    let mut nodes = first(i.inv.nodes().map(|h| p.node_meta(h, via)).collect());
    // A node has its subnet before its kubelet can register: a controller manager that runs would choose one of its own.
    if established(i.facts) {
        // Who has another group in the certificates to come is bound before the first server shows one.
        nodes.extend(first(p.bindings(via).into_iter().collect()));
        phase("nodes", Width::All, nodes);
        phase(if i.roll.kubelets { NODES_CHANGE[0] } else { "control plane" }, change, control_plane);
    } else {
        phase("control plane", change, control_plane);
        phase("nodes", Width::All, nodes);
    }
    let mut tracks: Vec<Track<Step>> = Vec::new();
    if !established(i.facts) {
        tracks = p.masters.iter().map(|h| p.controller_manager(h).map(|s| track(h, vec![s]))).collect::<Result<_, _>>()?;
    }
    // By then the new kube-proxy has had time to show itself, and no worker has changed yet.
    let shown = i.roll.kubelets.then(|| p.proxy(via, true)).flatten();
    tracks.extend(first(p.objects(via)?.into_iter().chain(shown).collect()));
    phase("cluster objects", change, tracks);
    if !established(i.facts) {
        phase("endpoint", Width::All, p.endpoint_reached().collect());
    }
    // Who is in service changes a few at a time; who comes in, side by side.
    let free = workers.iter().copied().filter(|h| !p.is_held(h));
    let (present, coming): (Vec<&HostEntry>, Vec<&HostEntry>) = free.partition(|h| p.runs_pods(h));
    for (width, hosts) in [(Width::AtMost(i.roll.at_once.of(present.len())), present), (Width::All, coming)] {
        phase(NODES_CHANGE[1], width, hosts.into_iter().map(|h| p.worker(h).map(|steps| track(h, steps))).collect::<Result<_, _>>()?);
    }
    phase(
        "settle",
        Width::All,
        p.masters.iter().filter(|h| !p.is_held(h)).map(|h| track(h, vec![p.node_ready(h)])).chain(first(p.settle(via))).collect(),
    );
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
    /// The host whose API server is asked.
    via: Option<&'a HostEntry>,
    /// The control planes and etcd's hosts in the order in which they change.
    masters: Vec<&'a HostEntry>,
    etcd_hosts: Vec<&'a HostEntry>,
}

impl<'a> Parts<'a> {
    fn new(i: &'a Inputs<'a>) -> Self {
        Parts {
            i,
            endpoint: i.inv.endpoint_authority(),
            repository: image_repository(i.inv, i.v),
            subnets: super::subnets::assign(i.inv, i.facts),
            via: asked(i.inv, i.facts),
            masters: etcd::leader_last(i.inv.control_planes().collect(), i.facts),
            etcd_hosts: etcd::leader_last(i.inv.etcd_hosts(), i.facts),
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

    /// What a node's files are made of: its kubelet may be behind the control plane.
    fn kubelet_ctx(&self, h: &HostEntry) -> Ctx<'_> {
        Ctx { v: versions::of(self.kubelet_version(h)).unwrap_or(self.i.v), ..self.ctx() }
    }

    fn kubelet_version(&self, h: &HostEntry) -> &KubeVersion {
        self.i.roll.held.get(&h.name).unwrap_or(&self.i.inv.cluster.version)
    }

    /// Whether the host's node is in the cluster already, so that what restarts under its pods waits until they have left.
    fn runs_pods(&self, h: &HostEntry) -> bool {
        let node = self.i.facts.cluster.as_ref().and_then(|c| c.nodes.get(&h.name));
        established(self.i.facts) && node.is_some_and(|n| n["status"]["nodeInfo"]["kubeletVersion"].is_string())
    }

    /// Whether the host's kubelet, and what it and its pods stand on, stays as it is in this page.
    fn is_held(&self, h: &HostEntry) -> bool {
        self.i.roll.held.contains_key(&h.name)
    }

    fn hooks(&self, h: &HostEntry, after: bool) -> impl Iterator<Item = Step> {
        let version = self.kubelet_version(h).to_string();
        let (node, label) = (h.name.clone(), if after { "after the change" } else { "before the drain" });
        let hooks = self.i.roll.hooks.iter().filter(move |hook| hook.after == after);
        hooks.map(move |hook| {
            let when =
                if after { When::After { node: node.clone() } } else { When::Before { node: node.clone(), version: version.clone() } };
            let argv = ["/bin/sh", "-c", &hook.command].map(String::from).to_vec();
            Command { label: label.into(), argv, timeout: HOOK_LIMIT, place: hook.place, when }.into()
        })
    }

    fn drain(&self, h: &HostEntry) -> Option<Step> {
        let (via, how) = (self.via?, self.i.roll.drain?);
        let until_version = Some(self.kubelet_version(h).to_string());
        Some(
            Drain {
                via: via.name.clone(),
                address: via.node_address(),
                node: h.name.clone(),
                how,
                until_version,
                by_hand: drain::ByHand::default(),
            }
            .into(),
        )
    }

    fn uncordon(&self, h: &HostEntry) -> Option<Step> {
        let via = self.via?;
        Some(Uncordon { via: via.name.clone(), address: via.node_address(), node: h.name.clone(), whoever: false }.into())
    }

    /// What must hold before a control-plane host of a standing cluster is touched.
    fn guard(&self, h: &HostEntry) -> Vec<Step> {
        let spare = self.runs_etcd_service(h).then(|| Spare.into());
        if self.is_member(h) { [Wait::Quorum.into()].into_iter().chain(spare).collect() } else { vec![] }
    }

    /// Whether etcd counts on this host's member; a host that is still coming in has nothing that the others count on.
    fn is_member(&self, h: &HostEntry) -> bool {
        self.i.inv.runs_etcd(h) && self.i.facts.host(&h.name).files.contains_key(layout::ESTABLISHED)
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

    /// What binds the cluster's own certificates to their rights, where the version has it.
    fn bindings(&self, address: IpAddr) -> Option<Step> {
        let objects = render::objects::admins(&self.ctx());
        (!objects.is_empty()).then(|| Object { address, objects }.into())
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
