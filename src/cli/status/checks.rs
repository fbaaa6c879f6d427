//! The checks that each host runs for `clusterctl status`: one URL per component.

use crate::host::HostName;
use crate::inventory::{Inventory, LoadBalancerKind, Role};
use crate::layout;

pub const API_SERVER: &str = "api-server";
pub const SCHEDULER: &str = "scheduler";
pub const CONTROLLER_MANAGER: &str = "controller-manager";
pub const ETCD: &str = "etcd";
pub const KUBELET: &str = "kubelet";
pub const ENDPOINT: &str = "endpoint";

/// The name of the check whether the API can be reached through the load balancer on this host. Control-plane hosts run the check; with the load
/// balancer `local`, the host itself runs it.
pub fn through(balancer: &str) -> String {
    format!("through/{balancer}")
}

/// The name of the check whether the host of a load balancer reaches the API server of this control-plane host.
pub fn backend(master: &str) -> String {
    format!("backend/{master}")
}

/// Name and URL of every check, by host.
pub fn of(inv: &Inventory) -> Vec<(HostName, Vec<(String, String)>)> {
    let etcd: Vec<&str> = inv.etcd_hosts().iter().map(|h| h.name.as_str()).collect();
    let (_, endpoint_port) = inv.endpoint();
    let ready = |authority: String| format!("https://{authority}/readyz");
    let api = |h: &crate::inventory::HostEntry| ready(layout::join_host_port(h.node_address(), layout::API_SERVER_PORT));
    let local = |scheme: &str, port: u16, path: &str| format!("{scheme}://127.0.0.1:{port}/{path}");
    let mut out = Vec::new();
    for host in &inv.hosts {
        let mut checks: Vec<(String, String)> = Vec::new();
        let mut add = |name: &str, url: String| checks.push((name.to_string(), url));
        if host.has(Role::ControlPlane) {
            add(API_SERVER, api(host));
            add(SCHEDULER, local("https", layout::SCHEDULER_PORT, "healthz"));
            add(CONTROLLER_MANAGER, local("https", layout::CONTROLLER_MANAGER_PORT, "healthz"));
            add(ENDPOINT, ready(inv.endpoint_authority()));
            for b in inv.balancers() {
                add(&through(&b.name), ready(layout::join_host_port(b.node_address(), endpoint_port)));
            }
        }
        if etcd.contains(&host.name.as_str()) {
            add(ETCD, local("http", layout::ETCD_METRICS_PORT, "health"));
        }
        if host.is_node() {
            add(KUBELET, local("http", layout::KUBELET_HEALTHZ_PORT, "healthz"));
        }
        if inv.load_balancer.kind == LoadBalancerKind::Local && inv.runs_balancer(host) {
            add(&through(&host.name), ready(inv.endpoint_authority()));
        }
        if inv.runs_balancer(host) {
            inv.control_planes().for_each(|m| add(&backend(&m.name), api(m)));
        }
        out.push((host.name.clone(), checks));
    }
    out
}
