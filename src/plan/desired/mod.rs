//! The desired steps of a cluster: all steps that it needs, in order. Whether the postcondition of a step holds already is decided later, by
//! [`super::Plan::of`].

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use super::encryption::{Targets, rewrite};
use super::files::ControlPlaneFile;
use super::kubelet_policy::KubeletPolicy;
use super::registries::Registry;
use super::situation::{ClusterState, Situation};
use super::{DesiredSteps, HostSteps, Part, Phase, Width};
use crate::facts::Facts;
use crate::host::{HostName, Secret};
use crate::inventory::{HostEntry, Inventory, KubeVersion, Role};
use crate::pki::FileOut;
use crate::render::{self, Component, Ctx, FileCopy, Node};
use crate::step::{self, File, Step};
use crate::{layout, versions};

mod add_ons;
pub mod adopted;
mod balancer;
mod core_dns;
mod etcd;
mod identity;
mod master;
mod node;
mod objects;
mod prepare;
mod renewal;

pub use core_dns::keeps_corefile;
pub use prepare::{NODE_PACKAGES, cni_links};

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
    /// The operator's files for control-plane hosts.
    pub files: &'a [ControlPlaneFile],
    /// The registries of the inventory with the operator's files about them.
    pub registries: &'a [Registry],
    pub kubelet_policy: &'a KubeletPolicy,
    /// The configurations of the encryption of stored values.
    pub encryption: &'a Targets,
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

/// The control-plane host through whose API server objects are read and changed: the first one whose API server answers now, or else the first
/// one of the inventory. `None` if the inventory has no control-plane host.
fn api_host<'a>(inv: &'a Inventory, facts: &Facts) -> Option<&'a HostEntry> {
    let serves = |m: &&HostEntry| facts.host(&m.name).api_version.is_some();
    inv.control_planes().find(serves).or(inv.control_planes().next())
}

/// The desired steps of a cluster, as phases in order: one list for each state of the cluster. A phase may be empty.
pub fn desired_steps(i: &Inputs<'_>) -> Result<DesiredSteps, PlanDefect> {
    let p = Phases::new(i);
    let control_plane = p.control_plane()?;
    let mut desired = match p.situation.cluster {
        ClusterState::Founding => vec![
            p.prepare_hosts(&control_plane),
            p.load_balancers(),
            p.etcd(),
            control_plane,
            // The pod subnets of nodes are assigned before any controller manager runs, which would otherwise assign other subnets.
            p.nodes(),
            p.dead_kubelet_certificates(),
            p.controller_managers_and_objects()?,
            // A worker joins through the endpoint.
            p.endpoint(),
            p.joining_workers()?,
            p.settle(),
            p.done(),
        ],
        ClusterState::Standing => vec![
            p.prepare_members(),
            p.prepare_hosts(&control_plane),
            p.load_balancers(),
            p.etcd(),
            p.snapshot(),
            // A node has its pod subnet before its kubelet registers; otherwise a running controller manager would assign another subnet. The
            // bindings for the groups and users in new certificates are created before any API server presents such a certificate.
            p.nodes_and_bindings(),
            // While a node's kube-proxy is replaced, the rules of that node can point to pods that have moved, so no node is drained before the
            // rollout is complete.
            p.kube_proxy_before_nodes(),
            control_plane,
            p.dead_kubelet_certificates(),
            p.cluster_objects()?,
            p.workers_in_service()?,
            p.joining_workers()?,
            p.settle(),
            // The endpoint is checked after all changes, because a load balancer of the operator that does not work must not prevent repairs.
            p.endpoint(),
            p.done(),
        ],
        ClusterState::WithoutApi => vec![
            p.prepare_members(),
            p.prepare_hosts(&control_plane),
            p.load_balancers(),
            p.etcd(),
            p.snapshot(),
            control_plane,
            // All later phases depend on facts that only an API server knows, so they are left out.
        ],
    };
    // Values are rewritten once every API server of the cluster writes as it should. Nothing else waits for that.
    if p.situation.cluster == ClusterState::Standing
        && let Some(via) = p.api_host
    {
        desired.extend(rewrite::phases(&i.encryption.rewrite, via, i.inv, i.facts, false));
    }
    Ok(desired)
}

/// The desired steps of a renewal of certificates, as phases in order. No etcd member and no API server is stopped: both read renewed certificates without
/// a restart. So the steps need no quorum and no API server, and they bring a cluster back whose certificates have all expired.
pub fn renewal_steps(i: &Inputs<'_>) -> Result<DesiredSteps, PlanDefect> {
    let p = Phases::new(i);
    Ok(match p.situation.cluster {
        ClusterState::Standing => vec![p.bindings_of_renewed(), p.renewed_etcd(), p.renewed_control_plane()?, p.renewed_workers()],
        // Members of etcd with expired certificates do not talk to each other, so every host gets its certificates before any component is waited for.
        _ => vec![p.certificates_of_all(), p.kubelets_of_control_planes(), p.control_planes_back()?, p.renewed_workers()],
    })
}

fn host_steps(host: &HostEntry, steps: Vec<Step>) -> HostSteps<Step> {
    HostSteps { host: host.name.clone(), guards: vec![], steps }
}

/// A phase without a special purpose.
fn phase(name: &'static str, width: Width, hosts: Vec<HostSteps<Step>>) -> Phase<Step> {
    Phase { part: Part::Other, name, width, hosts }
}

/// Makes the phases of the desired steps, one method per phase, in the files of this folder. The fields are the inputs, and values derived from
/// them that several phases use.
struct Phases<'a> {
    i: &'a Inputs<'a>,
    situation: Situation,
    endpoint: String,
    repository: String,
    subnets: BTreeMap<HostName, IpNet>,
    /// The operator's files with their copies on the hosts.
    copies: Vec<FileCopy>,
    /// The host whose API server is used; see [`api_host`].
    api_host: Option<&'a HostEntry>,
    /// The control-plane hosts and the etcd hosts in the order in which they change.
    masters: Vec<&'a HostEntry>,
    etcd_hosts: Vec<&'a HostEntry>,
}

impl<'a> Phases<'a> {
    fn new(i: &'a Inputs<'a>) -> Self {
        Phases {
            i,
            situation: Situation::of(i.inv, i.facts, i.ca_pem, i.kubelet_policy),
            endpoint: i.inv.endpoint_authority(),
            repository: image_repository(i.inv, i.v),
            subnets: super::subnets::assign(i.inv, i.facts),
            copies: i.files.iter().map(ControlPlaneFile::copy).collect(),
            api_host: api_host(i.inv, i.facts),
            masters: etcd::leader_last(i.inv.control_planes().collect(), i.facts),
            etcd_hosts: etcd::leader_last(i.inv.etcd_hosts(), i.facts),
        }
    }

    fn ctx(&self) -> Ctx<'_> {
        Ctx {
            inv: self.i.inv,
            v: self.i.v,
            endpoint: &self.endpoint,
            image_repository: &self.repository,
            external_ca: self.i.external_ca,
            files: &self.copies,
        }
    }

    fn node<'b>(&'b self, h: &'b HostEntry) -> Node<'b> {
        let f = self.i.facts.host(&h.name);
        let resolved = f.units.get("systemd-resolved").is_some_and(|u| u.active == "active");
        let encryption = self.i.encryption.files.get(&h.name).map(|file| file.path.as_str());
        Node { entry: h, address: h.node_address(), ca_dirs: &f.ca_dirs, systemd_resolved: resolved, hostname: &f.hostname, encryption }
    }

    fn image(&self, component: Component) -> String {
        render::image(&self.ctx(), component)
    }

    /// The context for the files of a node, whose kubelet may be older than the control plane.
    fn kubelet_ctx(&self, h: &HostEntry) -> Ctx<'_> {
        Ctx { v: versions::of(self.kubelet_version(h)).unwrap_or(self.i.v), ..self.ctx() }
    }

    fn kubelet_version(&self, h: &HostEntry) -> &KubeVersion {
        self.i.kubelet_policy.held.get(&h.name).unwrap_or(&self.i.inv.cluster.version)
    }

    /// The workers of the inventory, in its order. A control-plane host does not count, even if it is a worker, too.
    fn workers(&self) -> impl Iterator<Item = &'a HostEntry> {
        self.i.inv.nodes().filter(|h| !h.has(Role::ControlPlane))
    }

    /// Steps that use the API, on the host whose API server is used; `steps` gets the address of this host. Empty if the inventory has no
    /// control-plane host.
    fn through_api(&self, steps: impl FnOnce(IpAddr) -> Vec<Step>) -> Vec<HostSteps<Step>> {
        self.api_host.map(|h| host_steps(h, steps(h.node_address()))).into_iter().collect()
    }

    /// The ownership mark: the file by which later runs recognize the cluster of the host.
    fn ownership(&self) -> File {
        File::text(layout::OWNERSHIP, ownership(self.i.inv, self.i.ca_pem))
    }

    /// The last phase, which writes the mark of a finished cluster on each control-plane host and etcd host.
    fn done(&self) -> Phase<Step> {
        let counted_on = self.i.inv.hosts.iter().filter(|h| h.has(Role::ControlPlane) || h.has(Role::Etcd));
        phase("done", Width::All, counted_on.map(|h| host_steps(h, vec![self.established()])).collect())
    }

    /// The mark of a finished cluster, from which on the etcd member of the host counts for the quorum. A host that joins gets it as soon as its
    /// member votes and its API server is ready: from then on, others count on the member, whatever becomes of the rest of the run.
    fn established(&self) -> Step {
        vec![File::text(layout::ESTABLISHED, format!("{}\n", self.i.inv.cluster.name))].into()
    }
}

/// All objects that are applied to the cluster. An observation requests the same objects from the API.
pub fn all_objects(inv: &Inventory, v: &'static versions::Minor, ca_pem: &str, manifests: &[Value]) -> Vec<Value> {
    let (endpoint, repository) = (inv.endpoint_authority(), image_repository(inv, v));
    let ctx = Ctx { inv, v, endpoint: &endpoint, image_repository: &repository, external_ca: false, files: &[] };
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
