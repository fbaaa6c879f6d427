//! The bridge CNI: its configuration and the routes between hosts.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::json;

use super::{Ctx, templates};

/// `10-clusterctl.conflist` for a node with these pod subnets.
///
/// The plugin's own masquerading would hide pods behind their nodes from each other; the routes script does it for the outside only.
pub fn bridge_conflist(_ctx: &Ctx<'_>, pod_subnets: &[IpNet]) -> String {
    let routes: Vec<&str> = [("0.0.0.0/0", true), ("::/0", false)]
        .into_iter()
        .filter(|(_, v4)| pod_subnets.iter().any(|net| net.addr().is_ipv4() == *v4))
        .map(|(route, _)| route)
        .collect();
    templates::fill("cni/bridge.conflist", json!({ "subnets": pod_subnets, "routes": routes }))
}

/// `99-loopback.conf`.
pub fn loopback_conf() -> &'static str {
    include_str!("../../templates/cni/loopback.conf")
}

/// The data file of the routes: pod subnets of the other nodes and the addresses they are behind.
pub fn routes(ctx: &Ctx<'_>, routes: &[(IpNet, IpAddr)]) -> String {
    let mut sorted = routes.to_vec();
    sorted.sort();
    templates::fill("cni/routes", json!({ "pods": ctx.inv.network.pod_cidr, "routes": sorted }))
}

/// The constant script that makes the kernel's routes those of the data file.
pub fn routes_script() -> &'static str {
    include_str!("../../templates/cni/clusterctl-routes.sh")
}

/// `clusterctl-routes.service`.
pub fn routes_unit() -> &'static str {
    include_str!("../../templates/systemd/clusterctl-routes.service")
}
