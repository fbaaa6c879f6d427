//! What is wrong with one host.

use super::Blocker;
use crate::facts::HostFacts;
use crate::inventory::{HostEntry, Inventory, Role};
use crate::layout;

/// Kubernetes' own minimum for a control-plane host (kubeadm: 1700 MB), and for any node enough for kubelet, runtime and one pod.
const MEMORY_CONTROL_PLANE_KIB: u64 = 1_700_000;
const MEMORY_NODE_KIB: u64 = 700_000;

/// Images, binaries and a first etcd snapshot of a control plane fit in this.
const DISK_BYTES: u64 = 3 << 30;

/// What is wrong with one host.
pub(super) fn host_blockers(inv: &Inventory, host: &HostEntry, f: &HostFacts, fresh: bool) -> Vec<Blocker> {
    let mut out = Vec::new();
    let mut block = |name, message: String, fix: &str| out.push(Blocker::new(&host.name, name, message, fix));
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
    if inv.runs_balancer(host) {
        let (_, port) = inv.endpoint();
        if let Some(l) = f.listeners.iter().find(|l| l.port == port && !ours(&l.process)) {
            block("port", format!("port {port}, which the load balancer needs, is held by {}", l.process), "stop that program");
        }
    }
    if !host.is_node() && !host.has(Role::Etcd) {
        return out;
    }
    // Links and chains alone may be another container engine's.
    let of_kubernetes = |l: &&String| l.starts_with("container ") || l.contains("/var/lib/kubelet") || l.contains("/var/lib/etcd");
    let leftovers: Vec<&str> = f.leftovers.iter().filter(of_kubernetes).map(String::as_str).collect();
    if owner(inv, f).is_none() && !leftovers.is_empty() {
        let (some, more) = leftovers.split_at(leftovers.len().min(3));
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        let fix = "if nobody needs it any more, take it away with `clusterctl reset --limit HOST`";
        block("leftovers", format!("it is in no cluster and has leftovers of one: {}{more}", some.join(", ")), fix);
    }
    for (port, what) in ports(inv, host) {
        if let Some(l) = f.listeners.iter().find(|l| l.port == port && !ours(&l.process)) {
            block("port", format!("port {port}, which {what} needs, is held by {}", l.process), "stop that program");
        }
    }
    if !host.is_node() {
        return out;
    }
    if f.swap && inv.kubelet_for(host).config.get("failSwapOn") != Some(&serde_json::Value::Bool(false)) {
        block(
            "swap",
            "swap is on, and the kubelet refuses to start with it".into(),
            "`swapoff -a` and remove it from /etc/fstab, or set `kubelet.config.failSwapOn: false`",
        );
    }
    let (need, what) =
        if host.has(Role::ControlPlane) { (MEMORY_CONTROL_PLANE_KIB, "a control-plane host") } else { (MEMORY_NODE_KIB, "a node") };
    if f.memory_kib < need {
        block("memory", format!("it has {} MiB of memory; {what} needs {}", f.memory_kib / 1024, need / 1024), "give it more memory");
    }
    for (folder, free) in &f.disk_free {
        if fresh && *free < DISK_BYTES {
            block("disk", format!("{folder} has {} MiB free; {} are needed", free >> 20, DISK_BYTES >> 20), "make room");
        }
    }
    out
}

/// Whose cluster the host is in, and whether that is ours; `None` for a host in no cluster.
pub(in crate::plan) fn owner(inv: &Inventory, f: &HostFacts) -> Option<(String, bool)> {
    if let Some(mark) = f.text(layout::OWNERSHIP) {
        let field = |key: &str| mark.lines().find_map(|l| l.strip_prefix(key)).unwrap_or("").trim().to_string();
        let (cluster, ca) = (field("cluster:"), field("ca:"));
        return Some((format!("it belongs to cluster {cluster} (CA sha256:{})", ca.get(..12).unwrap_or(&ca)), cluster == inv.cluster.name));
    }
    let signs = [layout::ADMIN_CONF, layout::KUBELET_CONF, layout::KUBELET_CONFIG];
    let found: Vec<&str> = signs.into_iter().filter(|p| f.files.contains_key(*p)).collect();
    (!found.is_empty()).then(|| (format!("it is in a cluster that clusterctl did not make ({})", found.join(", ")), false))
}

fn ports(inv: &Inventory, host: &HostEntry) -> Vec<(u16, &'static str)> {
    let mut ports = Vec::new();
    if host.is_node() {
        ports.push((layout::KUBELET_PORT, "the kubelet"));
    }
    if inv.runs_etcd(host) {
        ports.extend([(layout::ETCD_CLIENT_PORT, "etcd"), (layout::ETCD_PEER_PORT, "etcd")]);
    }
    if host.has(Role::ControlPlane) {
        ports.extend([
            (layout::API_SERVER_PORT, "the API server"),
            (layout::CONTROLLER_MANAGER_PORT, "the controller manager"),
            (layout::SCHEDULER_PORT, "the scheduler"),
        ]);
    }
    ports
}

/// The programs that hold those ports on a host of ours.
fn ours(process: &str) -> bool {
    ["kubelet", "kube-apiserver", "etcd", "kube-controller", "kube-scheduler", "haproxy", "nginx"].iter().any(|p| process.starts_with(p))
}
