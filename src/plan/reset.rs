//! The steps that remove the cluster from hosts. Installed packages are not removed.

use super::desired::cni_links;
use super::{DesiredSteps, HostSteps, Part, Phase, Width, balancers, mirrors};
use crate::facts::{Facts, FileKind, HostFacts};
use crate::host::HostName;
use crate::inventory::{HostEntry, Inventory, Role, below};
use crate::layout;
use crate::step::package::CONTAINERD_IO;
use crate::step::{Absent, Clean, NodeGone, Step, Stopped};

/// The inputs of a reset.
pub struct Inputs<'a> {
    pub inv: &'a Inventory,
    pub facts: &'a Facts,
    /// The hosts that are reset.
    pub leaving: &'a [HostName],
    /// Whether containerd's configuration, the binaries and the images are kept.
    pub keep_software: bool,
}

/// The desired steps of a reset. A node is deleted from the API only after its containers have ended. Until then, Kubernetes attaches the
/// volumes of its pods to no other node.
pub fn desired_steps(i: &Inputs<'_>) -> DesiredSteps {
    let stays = |name: &str| !i.leaving.iter().any(|l| l == name);
    let leaving = i.inv.hosts.iter().filter(|h| !stays(&h.name));
    let hosts =
        leaving.map(|h| HostSteps { host: h.name.clone(), guards: vec![], steps: host(i.inv, h, i.facts, i.keep_software) }).collect();
    let mut desired = vec![Phase { part: Part::Other, name: "reset hosts", width: Width::All, hosts }];
    let via = i.inv.control_planes().find(|h| stays(&h.name) && i.facts.host(&h.name).api_version.is_some());
    if let Some(via) = via {
        let steps = i.leaving.iter().map(|node| NodeGone { address: via.node_address(), node: node.clone() }.into()).collect();
        desired.push(Phase {
            part: Part::Other,
            name: "forget nodes",
            width: Width::One,
            hosts: vec![HostSteps { host: via.name.clone(), guards: vec![], steps }],
        });
    }
    desired
}

/// Whether the host's containerd also runs containers for another program, so that it is not stopped, and its configuration is kept: Docker is
/// installed, which uses this containerd, or there are containers outside of Kubernetes.
fn serves_others(f: &HostFacts) -> bool {
    [CONTAINERD_IO, "docker.io"].iter().any(|p| f.packages.contains(*p)) || !f.other_containers.is_empty()
}

/// The links to CNI plugins that clusterctl made. Other plugins in the same folder belong to the operator.
fn plugin_links(f: &HostFacts) -> Vec<String> {
    let ours = |(path, target): &(String, String)| f.files.get(path).is_some_and(|fact| fact.kind == FileKind::Link(target.clone()));
    cni_links().into_iter().filter(ours).map(|(path, _)| path).collect()
}

/// The steps that remove the cluster from one host.
pub(super) fn host(inv: &Inventory, h: &HostEntry, facts: &Facts, keep_software: bool) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut paths: Vec<&str> = Vec::new();
    let mut found: Vec<String> = Vec::new();
    let f = facts.host(&h.name);
    let adopted = f.files.contains_key(layout::ADOPTED);
    let etcd = inv.runs_etcd(h) && !inv.etcd_is_stacked();
    if etcd {
        steps.push(Stopped { name: "etcd" }.into());
        paths.extend([layout::ETCD_UNIT, layout::ETCD_ENV]);
    }
    if h.is_node() {
        steps.extend([Stopped { name: "kubelet" }.into(), Stopped { name: "clusterctl-routes" }.into()]);
        paths.extend([
            layout::KUBELET_UNIT,
            layout::KUBELET_DROP_IN_DIR,
            layout::CNI_BRIDGE_CONF,
            layout::CNI_LOOPBACK_CONF,
            layout::ROUTES_UNIT,
            layout::ROUTES_SCRIPT,
        ]);
        if h.has(Role::ControlPlane) {
            // Only the files are removed, and not their folders, which can be the operator's.
            let files = inv.control_plane.files.iter().map(|f| f.path.as_str());
            paths.extend(files.filter(|path| below(path, layout::KUBERNETES_DIR).is_none()));
        }
    }
    if etcd || h.is_node() {
        steps.push(Clean { images: !keep_software, found: vec![] }.into());
        paths.push(layout::KUBERNETES_DIR);
        if !keep_software {
            // An adopted host keeps its own container runtime.
            if !adopted && !serves_others(f) {
                steps.push(Stopped { name: "containerd" }.into());
                paths.extend(h.is_node().then_some(layout::CONTAINERD_CONFIG));
            }
            paths.extend(layout::BINARIES);
            found.extend(mirrors::paths(f, &[]));
        }
    }
    if h.is_node() && !keep_software {
        paths.extend([layout::MODULES_LOAD, layout::SYSCTL_CONF]);
        if !adopted {
            found.extend(plugin_links(f));
        }
    }
    for unit in balancers::set_up(inv, h, f) {
        steps.push(Stopped { name: unit }.into());
        paths.extend(balancers::files(unit));
    }
    found.extend(paths.into_iter().map(String::from));
    steps.push(Absent { paths: found, locked: false, why: String::new() }.into());
    // clusterctl's own folder is removed last, because it contains the lock of this run.
    let locked = !keep_software && steps.iter().any(|s| s.pending(&h.name, facts).is_some());
    let state = if keep_software { layout::STATE_OF_CLUSTER.to_vec() } else { vec![layout::STATE_DIR] };
    steps.push(Absent { paths: state.into_iter().map(String::from).collect(), locked, why: String::new() }.into());
    steps
}
