//! The desired steps of a cluster: all steps that it needs, in order. Whether the postcondition of a step holds already is decided later, by
//! [`super::Plan::of`].

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde_json::Value;

use super::{DesiredSteps, HostSteps, Parallelism, Part, Phase, Width};
use crate::facts::Facts;
use crate::host::{HostName, Secret};
use crate::inventory::{HostEntry, Inventory, KubeVersion, Role};
use crate::pki::FileOut;
use crate::render::{self, Component, Ctx, Node};
use crate::step::command::{Place, When};
use crate::step::{self, CheckFlags, Command, Drain, File, RollbackCopy, Step, Uncordon, Wait, drain};
use crate::{layout, versions};

mod add_ons;
pub mod adopted;
mod balancer;
pub mod etcd;
pub mod identity;
mod master;
mod node;
mod objects;
mod prepare;

pub use prepare::NODE_PACKAGES;

/// Everything that the desired steps are made from.
pub struct Inputs<'a> {
    pub inv: &'a Inventory,
    pub facts: &'a Facts,
    pub v: &'static versions::Minor,
    /// ca.crt of the cluster.
    pub ca_pem: &'a str,
    /// Whether the private key of the cluster's CA is on no host.
    pub external_ca: bool,
    /// PKI files and kubeconfigs by host, for control-plane hosts and etcd hosts.
    pub pki: &'a BTreeMap<HostName, Vec<FileOut>>,
    pub token: &'a JoinToken,
    /// The operator's CNI and add-on manifests, in order.
    pub manifests: &'a [Value],
    pub roll: &'a KubeletPolicy,
}

/// How kubelets are treated in a stage of an existing cluster.
#[derive(Clone, Debug, Default)]
pub struct KubeletPolicy {
    /// Whether this stage changes kubelets to another version.
    pub kubelets: bool,
    /// Versions of the kubelets that are not changed while the control plane is upgraded, by node.
    pub held: BTreeMap<HostName, KubeVersion>,
    /// The version that the kubelets in `held` get in a later stage. The kubelet of this version is downloaded to the hosts before anything
    /// changes. `None` if no later stage changes kubelets.
    pub next: Option<KubeVersion>,
    /// Versions of the control plane after later stages. Their images are pulled now, so that an upgrade over several minor versions cannot
    /// get stuck on an image that is missing.
    pub later: Vec<KubeVersion>,
    pub nodes: NodeChange,
    /// The file on the operator's machine for a snapshot of etcd before the API servers are changed; `None`: no snapshot is taken.
    pub snapshot: Option<PathBuf>,
}

/// How nodes are changed, one after another or several at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeChange {
    /// How a node is drained before its kubelet is changed; `None`: nodes are not drained.
    pub drain: Option<drain::DrainOptions>,
    /// How many workers in service may be changed at once.
    pub at_once: Parallelism,
    /// The operator's commands before and after the change of each node.
    pub hooks: Vec<Hook>,
}

/// A shell command of the operator before or after the change of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    pub command: String,
    pub place: Place,
    /// If true, the command runs when the node is Ready and before it is uncordoned; if false, before the node is drained.
    pub after: bool,
}

/// The time limit of a hook. A hook that runs for longer is treated as hanging.
const HOOK_LIMIT: Duration = Duration::from_secs(30 * 60);

/// The default share of the workers in service that are changed at once: one in a small cluster, several in a large one.
pub const AT_ONCE: Parallelism = Parallelism::Percent(10);

impl Default for NodeChange {
    fn default() -> Self {
        NodeChange { drain: None, at_once: AT_ONCE, hooks: vec![] }
    }
}

/// The bootstrap token of this run.
pub struct JoinToken {
    pub id: String,
    pub secret: Secret,
    /// When the token expires, as RFC 3339.
    pub expires: String,
}

/// Why the desired steps cannot be made. This is a defect of clusterctl, not of the inventory.
#[derive(Debug, thiserror::Error)]
pub enum PlanDefect {
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

/// Whether the cluster exists already: a host has the mark of a finished cluster. In an existing cluster, control planes change one at a time,
/// and etcd members join instead of starting together.
pub fn established(facts: &Facts) -> bool {
    facts.hosts.values().any(|h| h.files.contains_key(layout::ESTABLISHED))
}

/// The control-plane host through whose API server objects are read and changed: the first one whose API server answers now, or else the first
/// one of the inventory. `None` if the inventory has no control-plane host.
pub fn asked<'a>(inv: &'a Inventory, facts: &Facts) -> Option<&'a HostEntry> {
    let serves = |m: &&HostEntry| facts.host(&m.name).api_version.is_some();
    inv.control_planes().find(serves).or(inv.control_planes().next())
}

/// The desired steps of a cluster, as phases in order.
pub fn desired_steps(i: &Inputs<'_>) -> Result<DesiredSteps, PlanDefect> {
    let p = Parts::new(i);
    let workers: Vec<&HostEntry> = i.inv.nodes().filter(|h| !h.has(Role::ControlPlane)).collect();
    let change = if established(i.facts) { Width::One } else { Width::All };
    let via = p.via.map_or(IpAddr::from([0, 0, 0, 0]), |m| m.node_address());
    let first = |steps: Vec<Step>| p.via.map(|m| host_steps(m, steps)).into_iter().collect::<Vec<_>>();

    let mut desired = DesiredSteps::new();
    let mut phase = |part, name, width, hosts: Vec<HostSteps<Step>>| desired.push(Phase { part, name, width, hosts });
    let control_plane: Vec<HostSteps<Step>> = p
        .masters
        .iter()
        .map(|h| p.master(h).map(|steps| HostSteps { guards: p.guard(h), ..host_steps(h, steps) }))
        .collect::<Result<_, _>>()?;
    // The check of the flags on a host: every new control-plane binary parses its flags before anything that runs is changed.
    let programs = |h: &HostEntry| {
        let steps = control_plane.iter().filter(|t| t.host == h.name).flat_map(|t| &t.steps);
        CheckFlags::of(steps.flat_map(Step::static_pods))
    };
    // Hosts with an etcd member are prepared one after another, because writing images on all of them at once would slow down the disks of all
    // members.
    let members = i.inv.hosts.iter().filter(|h| p.is_member(h));
    phase(Part::Prepare, "prepare members", Width::One, members.map(|h| host_steps(h, p.prepare(h))).collect());
    let unprepared = |h: &HostEntry| if p.is_member(h) { vec![] } else { p.prepare(h) };
    let prepared = |h| host_steps(h, unprepared(h).into_iter().chain(programs(h).map(Step::from)).collect());
    phase(Part::Prepare, "prepare hosts", Width::All, i.inv.hosts.iter().map(prepared).collect());
    phase(
        Part::LoadBalancers,
        "load balancer",
        change,
        i.inv.hosts.iter().filter(|h| i.inv.runs_balancer(h)).map(|h| host_steps(h, p.balancer(h))).collect(),
    );
    if !i.inv.etcd_is_stacked() {
        phase(
            Part::Other,
            "etcd",
            change,
            p.etcd_hosts.iter().map(|h| HostSteps { guards: p.guard(h), ..host_steps(h, p.etcd_host(h)) }).collect(),
        );
    }
    let snapshot = i.roll.snapshot.iter().filter(|_| established(i.facts)).filter_map(|to| p.snapshot(to.clone()));
    phase(Part::Other, "snapshot", Width::All, snapshot.collect());
    if established(i.facts) && i.facts.cluster.is_none() {
        // No API server answers. All later phases depend on facts that only an API server knows, so they are left out.
        phase(Part::ControlPlane, "control plane", change, control_plane);
        return Ok(desired);
    }
    let mut nodes = first(i.inv.nodes().map(|h| p.node_meta(h, via)).collect());
    // A node must have its pod subnet before its kubelet registers; otherwise a running controller manager would choose another subnet.
    if established(i.facts) {
        // The bindings for the groups and users in new certificates are created before any API server presents such a certificate.
        nodes.extend(first(p.bindings(via).into_iter().collect()));
        phase(Part::Other, "nodes", Width::All, nodes);
        // While a node's kube-proxy is replaced, the rules of that node can point to pods that have moved. Therefore no node is drained
        // before the rollout is complete.
        let renewed = i.roll.kubelets.then(|| p.proxy(via, false)).flatten();
        phase(Part::BeforeNodes, "kube-proxy", Width::All, first(renewed.into_iter().collect()));
        let (part, name) = if i.roll.kubelets { (Part::Nodes, "control-plane nodes") } else { (Part::ControlPlane, "control plane") };
        phase(part, name, change, control_plane);
    } else {
        phase(Part::ControlPlane, "control plane", change, control_plane);
        phase(Part::Other, "nodes", Width::All, nodes);
    }
    // From this phase on, a host whose kubelet certificate was removed counts as a host that joins, so the bootstrap token is created for it,
    // too.
    phase(Part::Other, "dead kubelet certificates", Width::All, p.dead_identities());
    let mut hosts: Vec<HostSteps<Step>> = Vec::new();
    if !established(i.facts) {
        hosts = p.masters.iter().map(|h| p.controller_manager(h).map(|s| host_steps(h, vec![s]))).collect::<Result<_, _>>()?;
    }
    hosts.extend(first(p.objects(via)?));
    phase(Part::Other, "cluster objects", change, hosts);
    if !established(i.facts) {
        phase(Part::Other, "endpoint", Width::All, p.endpoint_reached().collect());
    }
    // Workers in service are changed a few at a time; workers that join are changed all at once.
    let free = workers.iter().copied().filter(|h| !p.is_held(h));
    let (present, coming): (Vec<&HostEntry>, Vec<&HostEntry>) = free.partition(|h| p.runs_pods(h) && p.has_identity(h));
    for (width, hosts) in [(Width::AtMost(i.roll.nodes.at_once.of(present.len())), present), (Width::All, coming)] {
        phase(
            Part::Nodes,
            "workers",
            width,
            hosts.into_iter().map(|h| p.worker(h).map(|steps| host_steps(h, steps))).collect::<Result<_, _>>()?,
        );
    }
    phase(
        Part::Other,
        "settle",
        Width::All,
        p.masters.iter().filter(|h| !p.is_held(h)).map(|h| host_steps(h, vec![p.node_ready(h)])).chain(first(p.settle(via))).collect(),
    );
    if established(i.facts) {
        // In an existing cluster, the endpoint is checked after all changes, because a load balancer of the operator that does not work must
        // not prevent repairs.
        phase(Part::Other, "endpoint", Width::All, p.endpoint_reached().collect());
    }
    let counted_on = i.inv.hosts.iter().filter(|h| h.has(Role::ControlPlane) || h.has(Role::Etcd));
    phase(Part::Other, "done", Width::All, counted_on.map(|h| host_steps(h, vec![p.established()])).collect());
    Ok(desired)
}

fn host_steps(host: &HostEntry, steps: Vec<Step>) -> HostSteps<Step> {
    HostSteps { host: host.name.clone(), guards: vec![], steps }
}

/// The inputs of the desired steps, and values derived from them that several phases use.
struct Parts<'a> {
    i: &'a Inputs<'a>,
    endpoint: String,
    repository: String,
    subnets: BTreeMap<HostName, IpNet>,
    /// The host whose API server is used; see [`asked`].
    via: Option<&'a HostEntry>,
    /// The control-plane hosts and the etcd hosts in the order in which they change.
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

    /// The context for the files of a node, whose kubelet may be older than the control plane.
    fn kubelet_ctx(&self, h: &HostEntry) -> Ctx<'_> {
        Ctx { v: versions::of(self.kubelet_version(h)).unwrap_or(self.i.v), ..self.ctx() }
    }

    fn kubelet_version(&self, h: &HostEntry) -> &KubeVersion {
        self.i.roll.held.get(&h.name).unwrap_or(&self.i.inv.cluster.version)
    }

    /// Whether the host's kubelet has registered with the cluster already, so that pods may run on the node. The container runtime is then
    /// changed only after the node was drained.
    fn runs_pods(&self, h: &HostEntry) -> bool {
        let node = self.i.facts.node(&h.name);
        established(self.i.facts) && node.is_some_and(|n| n["status"]["nodeInfo"]["kubeletVersion"].is_string())
    }

    /// Whether the host's kubelet and its container runtime are not changed in this stage.
    fn is_held(&self, h: &HostEntry) -> bool {
        self.i.roll.held.contains_key(&h.name)
    }

    fn hooks(&self, h: &HostEntry, after: bool) -> impl Iterator<Item = Step> {
        let version = self.kubelet_version(h).to_string();
        let (node, label) = (h.name.clone(), if after { "after the change" } else { "before the drain" });
        let hooks = self.i.roll.nodes.hooks.iter().filter(move |hook| hook.after == after);
        hooks.map(move |hook| {
            let when =
                if after { When::After { node: node.clone() } } else { When::Before { node: node.clone(), version: version.clone() } };
            let argv = ["/bin/sh", "-c", &hook.command].map(String::from).to_vec();
            Command { label: label.into(), argv, timeout: HOOK_LIMIT, place: hook.place, when }.into()
        })
    }

    fn drain(&self, h: &HostEntry) -> Option<Step> {
        let (via, how) = (self.via?, self.i.roll.nodes.drain?);
        let until_version = Some(self.kubelet_version(h).to_string());
        Some(
            Drain {
                via: via.name.clone(),
                address: via.node_address(),
                node: h.name.clone(),
                how,
                until_version,
                by_hand: drain::DrainExtras::default(),
            }
            .into(),
        )
    }

    fn uncordon(&self, h: &HostEntry) -> Option<Step> {
        let via = self.via?;
        Some(Uncordon { via: via.name.clone(), address: via.node_address(), node: h.name.clone(), whoever: false }.into())
    }

    /// The guards of a control-plane host or an etcd host: the check that etcd keeps its quorum without this host, and a copy of etcd's files
    /// for a rollback if etcd is a systemd service. Empty for a host whose etcd member does not count for the quorum, and for a host without a
    /// member.
    fn guard(&self, h: &HostEntry) -> Vec<Step> {
        let spare = self.runs_etcd_service(h).then(|| RollbackCopy.into());
        if self.is_member(h) { [Wait::Quorum.into()].into_iter().chain(spare).collect() } else { vec![] }
    }

    /// Whether the host's etcd member counts for the quorum. The member of a host that is still joining does not.
    fn is_member(&self, h: &HostEntry) -> bool {
        self.i.inv.runs_etcd(h) && self.i.facts.host(&h.name).files.contains_key(layout::ESTABLISHED)
    }

    /// The ownership mark: the file by which later runs recognize the cluster of the host.
    fn ownership(&self) -> File {
        File::text(layout::OWNERSHIP, ownership(self.i.inv, self.i.ca_pem))
    }

    fn established(&self) -> Step {
        vec![File::text(layout::ESTABLISHED, format!("{}\n", self.i.inv.cluster.name))].into()
    }
}

/// All objects that are applied to the cluster. An observation requests the same objects from the API.
pub fn all_objects(inv: &Inventory, v: &'static versions::Minor, ca_pem: &str, manifests: &[Value]) -> Vec<Value> {
    let (endpoint, repository) = (inv.endpoint_authority(), image_repository(inv, v));
    let ctx = Ctx { inv, v, endpoint: &endpoint, image_repository: &repository, external_ca: false };
    let masters: Vec<(String, IpAddr)> = inv.control_planes().map(|m| (m.name.clone(), m.node_address())).collect();
    let mut objects = render::objects::cluster_objects(&ctx, ca_pem, &masters);
    objects.extend(manifests.iter().cloned());
    objects
}

/// The text of the ownership mark of a host.
pub fn ownership(inv: &Inventory, ca_pem: &str) -> String {
    format!("cluster: {}\nca: {}\n", inv.cluster.name, step::digest(ca_pem.trim().as_bytes()))
}

/// The value of a field of an ownership mark, such as `cluster:`; empty if the mark does not have the field.
pub fn mark_field<'a>(mark: &'a str, field: &str) -> &'a str {
    mark.lines().find_map(|l| l.strip_prefix(field)).unwrap_or("").trim()
}

fn image_repository(inv: &Inventory, v: &'static versions::Minor) -> String {
    inv.artifacts.image_repository.clone().unwrap_or_else(|| v.images.repository.into())
}
