//! The bridge CNI: its configuration and the routes between hosts.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::json;

use super::{Ctx, templates};

/// `10-clusterctl.conflist` for a node with these pod subnets.
///
/// The plugin's own masquerading is off, because with it pods would see each other under the addresses of their nodes. The routes script
/// masquerades only packets that leave the pod range.
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

/// The data file of the routes: the pod subnets of the other nodes, each with the address of its node.
pub fn routes(ctx: &Ctx<'_>, routes: &[(IpNet, IpAddr)]) -> String {
    let mut sorted = routes.to_vec();
    sorted.sort();
    templates::fill("cni/routes", json!({ "pods": ctx.inv.network.pod_cidr, "routes": sorted }))
}

/// The script that makes the kernel's routes the same as those of the data file. Its text is constant.
pub fn routes_script() -> &'static str {
    include_str!("../../templates/cni/clusterctl-routes.sh")
}

/// `clusterctl-routes.service`.
pub fn routes_unit() -> &'static str {
    include_str!("../../templates/systemd/clusterctl-routes.service")
}
