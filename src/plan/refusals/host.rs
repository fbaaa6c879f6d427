//! The refusals that concern one host.

use super::{Refusal, listed};
use crate::facts::{FileKind, HostFacts};
use crate::inventory::{HostEntry, Inventory, Role};
use crate::layout;
use crate::pki;
use crate::plan::desired::mark_field;
use crate::plan::situation::ClusterState;
use crate::render::kernel::sysctls;

/// The minimum memory of a control-plane host, which is that of kubeadm (1700 MB). The minimum for any other node, [`MEMORY_NODE_KIB`], is
/// enough for the kubelet, the container runtime and one pod.
const MEMORY_CONTROL_PLANE_KIB: u64 = 1_700_000;
const MEMORY_NODE_KIB: u64 = 700_000;

/// The free disk space, in bytes, that a host of a new cluster needs: enough for the images, the binaries and a first etcd snapshot of a
/// control plane.
const DISK_BYTES: u64 = 3 << 30;

/// The name of the refusal to change a policy that the kubelet stores in a state file. This refusal is ignored for hosts that the run does not
/// change.
pub const KUBELET_STATE: &str = "kubelet-state";

/// The managers of the kubelet that store their policy in a state file: the manager, the field of the kubelet's configuration and the flag for
/// its policy, and Kubernetes' default policy.
const POLICIES: [(&str, &str, &str, &str); 2] =
    [("cpu", "cpuManagerPolicy", "cpu-manager-policy", "none"), ("memory", "memoryManagerPolicy", "memory-manager-policy", "None")];

/// The refusals that concern one host.
pub(super) fn host_refusals(inv: &Inventory, host: &HostEntry, f: &HostFacts, cluster: ClusterState) -> Vec<Refusal> {
    let mut out = Vec::new();
    let mut block = |name, message: String, fix: &str| out.push(Refusal::new(&host.name, name, message, fix));
    if !matches!(f.machine.as_str(), "x86_64" | "aarch64") {
        block("architecture", format!("it is a {} machine; x86_64 and aarch64 are supported", f.machine), "use another host");
    }
    if inv.artifacts.packages && !matches!(f.os_id.as_str(), "debian" | "ubuntu") {
        block(
            "os",
            format!("it runs {}; packages are installed on Debian and Ubuntu", f.os_name),
            "install containerd, runc, the CNI plugins, conntrack, socat, ethtool, iptables and curl yourself and set `artifacts.packages: false`",
        );
    }
    if let Some((owner, same)) = owner(inv, f)
        && !same
    {
        let fix = match f.files.contains_key(layout::OWNERSHIP) {
            true => "reset the host with the inventory of that cluster (`clusterctl reset --limit HOST`), or take it out of this one",
            false => {
                "take over its cluster with `clusterctl adopt`, clean the host with `clusterctl reset --limit HOST`, or take it out of this inventory"
            }
        };
        block("foreign-cluster", owner, fix);
    }
    if inv.load_balancer.vip.is_some() && host.has(Role::LoadBalancer) && !f.addresses.contains_key(&host.node_address()) {
        let message =
            format!("none of its interfaces has the address {}, so keepalived cannot hold the VIP beside it", host.node_address());
        block("vip-interface", message, "write the address that the host itself has as `privateAddress`");
    }
    out.extend(super::balancer::refusals(inv, host, f));
    let mut block = |name, message: String, fix: &str| out.push(Refusal::new(&host.name, name, message, fix));
    if !host.is_node() && !host.has(Role::Etcd) {
        return out;
    }
    // Only containers and the mounts and data of the kubelet and etcd count, because network links and packet-filter chains can be those of
    // another container engine.
    let of_kubernetes = |l: &&String| l.starts_with("container ") || l.contains("/var/lib/kubelet") || l.contains("/var/lib/etcd");
    let leftovers: Vec<&str> = f.leftovers.iter().filter(of_kubernetes).map(String::as_str).collect();
    if owner(inv, f).is_none() && !leftovers.is_empty() {
        let fix = "if nobody needs it any more, take it away with `clusterctl reset --limit HOST`";
        block("leftovers", format!("it is in no cluster and has leftovers of one: {}", listed(&leftovers, 3)), fix);
    }
    // If the inventory gives the host another name than that of its present node, the kubelet would register as another node, and the pods of
    // the present node would end.
    if let Some(node) = f.resolved(layout::KUBELET_CLIENT_CURRENT).and_then(pki::node_of).filter(|node| *node != host.name) {
        let fix = format!("write `name: {node}`, or remove the host under that name first and join it anew");
        block("node-name", format!("its kubelet is node {node}, and the inventory calls the host {}", host.name), &fix);
    }
    for (port, what, program) in ports(inv, host) {
        if let Some(l) = f.listeners.iter().find(|l| l.port == port && !l.process.starts_with(program)) {
            block("port", format!("port {port}, which {what} needs, is held by {}", l.process), "stop that program");
        }
    }
    // If the host lacks the program `ip`, no addresses are known, so the address is not checked.
    if !f.addresses.is_empty() && !f.addresses.contains_key(&host.node_address()) {
        let message = format!("none of its interfaces has the address {}, so nothing of the cluster can listen there", host.node_address());
        block("address", message, "write the address that the host itself has as `privateAddress`");
    }
    if !host.is_node() {
        return out;
    }
    for file in inv.control_plane.files.iter().filter(|_| host.has(Role::ControlPlane)) {
        if f.files.get(&file.path).is_some_and(|now| now.kind == FileKind::Directory) {
            let message = format!("{} is a folder there, and a file in `controlPlane.files`", file.path);
            block("file", message, "choose another path for the file, or move the folder away");
        }
    }
    if f.swap && !is_off(inv, host, "failSwapOn", "fail-swap-on") {
        block(
            "swap",
            "swap is on, and the kubelet refuses to start with it".into(),
            "`swapoff -a` and remove it from /etc/fstab, or set `kubelet.config.failSwapOn: false`",
        );
    }
    for (key, want) in sysctls(inv) {
        if let Some((value, file)) = f.boot_sysctls.get(key).filter(|(value, _)| value != want) {
            let message = format!(
                "{file} sets {key} = {value}; at the next boot it is read after {}, and pods lose their network",
                layout::SYSCTL_CONF
            );
            block("sysctl-at-boot", message, "take that line out of the file, or set the value to 1 there");
        }
    }
    for (manager, field, flag, default) in POLICIES {
        let kubelet = inv.kubelet_for(host);
        let by_field = kubelet.config.get(field).and_then(serde_json::Value::as_str).unwrap_or(default);
        let want = kubelet.extra_args.get(flag).map_or(by_field, String::as_str);
        // The kubelet of an adopted host keeps its configuration, which the inventory may not contain, so an adopted host is not refused.
        let present = f.kubelet_policies.get(manager).filter(|now| *now != want && !now.is_empty());
        if let Some(now) = present.filter(|_| !f.files.contains_key(layout::ADOPTED)) {
            let state = format!("/var/lib/kubelet/{manager}_manager_state");
            block(
                KUBELET_STATE,
                format!("{field} changes from {now} to {want}, and a kubelet does not start with the state of another policy ({state})"),
                &format!(
                    "for each node, run `clusterctl drain NODE`, `clusterctl exec --root --limit NODE -- rm {state}`, `clusterctl apply --limit NODE` \
                     and `clusterctl uncordon NODE`; or set {field} back"
                ),
            );
        }
    }
    let (need, what) =
        if host.has(Role::ControlPlane) { (MEMORY_CONTROL_PLANE_KIB, "a control-plane host") } else { (MEMORY_NODE_KIB, "a node") };
    if f.memory_kib < need {
        block("memory", format!("it has {} MiB of memory; {what} needs {}", f.memory_kib / 1024, need / 1024), "give it more memory");
    }
    for (folder, free) in &f.disk_free {
        if !cluster.exists() && *free < DISK_BYTES {
            block("disk", format!("{folder} has {} MiB free; {} are needed", free >> 20, DISK_BYTES >> 20), "make room");
        }
    }
    out.extend(super::cgroup::refusal(inv, host, f));
    out
}

/// Whether the inventory sets a boolean setting of the host's kubelet to false. A flag of the kubelet wins over the field of its configuration.
pub(super) fn is_off(inv: &Inventory, host: &HostEntry, field: &str, flag: &str) -> bool {
    let kubelet = inv.kubelet_for(host);
    match kubelet.extra_args.get(flag) {
        Some(value) => ["false", "False", "FALSE", "f", "F", "0"].contains(&value.as_str()),
        None => kubelet.config.get(field) == Some(&serde_json::Value::Bool(false)),
    }
}

/// A sentence that names the cluster of the host, and whether it is the inventory's cluster by its name; `None` for a host that is in no
/// cluster.
pub(in crate::plan) fn owner(inv: &Inventory, f: &HostFacts) -> Option<(String, bool)> {
    if let Some(mark) = f.text(layout::OWNERSHIP) {
        let (cluster, ca) = (mark_field(mark, "cluster:"), mark_field(mark, "ca:"));
        return Some((format!("it belongs to cluster {cluster} (CA sha256:{})", ca.get(..12).unwrap_or(ca)), cluster == inv.cluster.name));
    }
    let signs = [layout::ADMIN_CONF, layout::KUBELET_CONF, layout::KUBELET_CONFIG];
    let found: Vec<&str> = signs.into_iter().filter(|p| f.files.contains_key(*p)).collect();
    (!found.is_empty()).then(|| (format!("it is in a cluster that clusterctl did not make ({})", found.join(", ")), false))
}

/// Every port that a host's components need, with the component's name for messages and the beginning of the name of its program. The kernel cuts
/// the names of programs at 15 characters.
fn ports(inv: &Inventory, host: &HostEntry) -> Vec<(u16, &'static str, &'static str)> {
    let mut ports = Vec::new();
    if host.is_node() {
        ports.push((layout::KUBELET_PORT, "the kubelet", "kubelet"));
        if !inv.kubelet_for(host).config.contains_key("healthzPort") {
            ports.push((layout::KUBELET_HEALTHZ_PORT, "the kubelet", "kubelet"));
        }
        let proxy = &inv.addons.kube_proxy;
        for (port, field) in
            [(layout::KUBE_PROXY_METRICS_PORT, "metricsBindAddress"), (layout::KUBE_PROXY_HEALTHZ_PORT, "healthzBindAddress")]
        {
            if proxy.enabled && !proxy.config.contains_key(field) {
                ports.push((port, "kube-proxy", "kube-proxy"));
            }
        }
    }
    if inv.runs_etcd(host) {
        let etcd = [layout::ETCD_CLIENT_PORT, layout::ETCD_PEER_PORT, layout::ETCD_METRICS_PORT];
        ports.extend(etcd.map(|port| (port, "etcd", "etcd")));
    }
    if host.has(Role::ControlPlane) {
        ports.extend([
            (layout::API_SERVER_PORT, "the API server", "kube-apiserver"),
            (layout::CONTROLLER_MANAGER_PORT, "the controller manager", "kube-controller"),
            (layout::SCHEDULER_PORT, "the scheduler", "kube-scheduler"),
        ]);
    }
    ports
}
