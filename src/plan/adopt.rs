//! The steps of an adoption: they write mark files on the hosts of a cluster that kubeadm created, and change nothing else. No running component
//! reads these files.

use super::desired::adopted::mark_of;
use super::refusals::{Refusal, UNREACHABLE_MASTER, mixed, owner};
use super::{DesiredSteps, HostSteps, Part, Phase, Width, desired};
use crate::facts::{Facts, HostFacts};
use crate::inventory::{HostEntry, Inventory, Role};
use crate::layout;
use crate::step::{File, Step};

/// The cluster's ca.crt: the file of the first control-plane host that has it. `None` if no control-plane host has it.
pub fn ca_pem<'a>(inv: &Inventory, facts: &'a Facts) -> Option<&'a str> {
    inv.control_planes().find_map(|m| ca_of(facts.host(&m.name)))
}

fn ca_of(f: &HostFacts) -> Option<&str> {
    f.text(&format!("{}/ca.crt", layout::PKI_DIR))
}

/// The desired steps of an adoption. A host that has the ownership mark of clusterctl already, such as a host that joined after an earlier
/// adoption, is not changed.
pub fn desired_steps(inv: &Inventory, facts: &Facts) -> DesiredSteps {
    let ca = ca_pem(inv, facts).unwrap_or_default();
    let hosts = inv.hosts.iter().filter(|h| !facts.host(&h.name).files.contains_key(layout::OWNERSHIP));
    let hosts = hosts.map(|h| HostSteps { host: h.name.clone(), guards: vec![], steps: vec![marks(inv, h, ca)] }).collect();
    vec![Phase { part: Part::Other, name: "adopt hosts", width: Width::All, hosts }]
}

/// The mark files of one host. The ownership file is written last: a host that has this file has all of its marks.
fn marks(inv: &Inventory, h: &HostEntry, ca: &str) -> Step {
    let mut files = Vec::new();
    if h.is_node() {
        files.push(File::text(layout::ADOPTED, mark_of(&inv.cluster.version.to_string())));
    }
    if h.has(Role::ControlPlane) || h.has(Role::Etcd) {
        files.push(File::text(layout::ESTABLISHED, format!("{}\n", inv.cluster.name)));
    }
    files.push(File::text(layout::OWNERSHIP, desired::ownership(inv, ca)));
    files.into()
}

/// Every reason why the cluster must not be adopted.
pub fn refusals(inv: &Inventory, facts: &Facts) -> Vec<Refusal> {
    let mut out: Vec<Refusal> = inv.hosts.iter().flat_map(|h| host_refusals(inv, h, facts)).collect();
    out.extend(mixed(inv, facts));
    let Some(cluster) = &facts.cluster else {
        out.push(Refusal::new(
            "",
            "api-away",
            "no API server of the inventory's control-plane hosts answers",
            "bring the cluster up first",
        ));
        return out;
    };
    for (name, node) in &cluster.nodes {
        let labels = &node["metadata"]["labels"];
        let master = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"].iter().any(|l| labels[l].is_string());
        if master && inv.host(name).is_none() {
            let message = "it is a control-plane node of the cluster, and the inventory does not have it";
            out.push(Refusal::new(name, "missing-master", message, "write it into the inventory, or take it out of the cluster first"));
        }
    }
    out
}

fn host_refusals(inv: &Inventory, h: &HostEntry, facts: &Facts) -> Vec<Refusal> {
    let mut out = Vec::new();
    let mut block = |name, message: String, fix: &str| out.push(Refusal::new(&h.name, name, message, fix));
    let Some(f) = facts.hosts.get(&h.name) else {
        block(
            UNREACHABLE_MASTER,
            "it does not answer; a cluster is adopted with all its hosts".into(),
            "make it reachable, or take its node out of the cluster first",
        );
        return out;
    };
    if let Some((whose, false)) = owner(inv, f).filter(|_| f.files.contains_key(layout::OWNERSHIP)) {
        block("foreign-cluster", whose, "use the inventory of that cluster");
    }
    if !h.is_node() {
        return out;
    }
    if let (Some(own), Some(ca)) = (ca_of(f), ca_pem(inv, facts))
        && own.trim() != ca.trim()
    {
        block("foreign-cluster", "its CA is another than the cluster's".into(), "take it out of the inventory");
    }
    let wanted = inv.cluster.version.to_string();
    match facts.node(&h.name) {
        None if facts.cluster.is_some() => {
            block(
                "no-node",
                "the cluster has no node of this name".into(),
                "take it out of the inventory, and `join` it after the adoption",
            );
        }
        None => {}
        Some(node) => {
            let said = |key: &str| node["status"]["nodeInfo"][key].as_str().unwrap_or_default().to_string();
            let (kubelet, runtime) = (said("kubeletVersion"), said("containerRuntimeVersion"));
            if kubelet != wanted {
                block("version", format!("its kubelet is {kubelet}, the cluster {wanted}"), "finish the upgrade with kubeadm, then adopt");
            }
            if !runtime.starts_with("containerd://") {
                block(
                    "runtime",
                    format!("its container runtime is {runtime}; clusterctl knows containerd alone"),
                    "move the node to containerd first",
                );
            }
        }
    }
    if let Some(api) = f.api_version.as_ref().filter(|api| **api != wanted) {
        block("version", format!("its API server is {api}, the cluster {wanted}"), "finish the upgrade with kubeadm, then adopt");
    }
    out
}
