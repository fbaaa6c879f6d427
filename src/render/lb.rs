//! Load balancers of the API servers: haproxy, nginx, and keepalived, which moves the virtual address between load balancers.

use std::net::IpAddr;

use serde_json::json;

use super::templates;
use crate::inventory::Inventory;
use crate::layout;

/// The addresses on which a load balancer listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// On every address of the host, including the virtual address, which the host has only at times.
    Everywhere,
    /// On the loopback address, for its own host only.
    Loopback,
}

/// haproxy.cfg: TCP passthrough to the API servers whose `/readyz` returns status 200.
pub fn haproxy(inv: &Inventory, backends: &[(String, IpAddr)], listen: Listen, port: u16) -> String {
    let bind = match (listen, is_ipv6(backends)) {
        (Listen::Everywhere, false) => format!("*:{port}"),
        (Listen::Everywhere, true) => format!(":::{port} v4v6"),
        (Listen::Loopback, false) => format!("127.0.0.1:{port}"),
        (Listen::Loopback, true) => format!("[::1]:{port}"),
    };
    let context = json!({
        "admin_socket": layout::HAPROXY_ADMIN_SOCKET,
        "bind": bind,
        "interval": format!("{}ms", inv.load_balancer.check_interval.as_millis()),
        "backends": servers(backends),
    });
    templates::fill("lb/haproxy.cfg", context)
}

/// nginx.conf: TCP passthrough to the API servers that accept connections.
pub fn nginx(backends: &[(String, IpAddr)], port: u16) -> String {
    let listens = if is_ipv6(backends) { vec![format!("[::]:{port} ipv6only=off")] } else { vec![port.to_string()] };
    templates::fill("lb/nginx.conf", json!({ "listens": listens, "backends": servers(backends) }))
}

/// One of the load balancers that can hold the virtual address.
pub struct Holder<'a> {
    pub name: &'a str,
    pub address: IpAddr,
    /// The network interface that has `address`. The virtual address is added to it as well.
    pub interface: &'a str,
    /// The position of the load balancer in the inventory. The first one has the highest priority.
    pub place: usize,
    /// The addresses of the other load balancers.
    pub peers: &'a [IpAddr],
    pub vip: IpAddr,
}

/// The VRRP priority of the first load balancer in the inventory. The highest priority that a load balancer may have is 254, because VRRP reserves
/// 255 for the owner of an address.
const FIRST_PRIORITY: usize = 250;

/// keepalived.conf of one load balancer.
pub fn keepalived(inv: &Inventory, holder: &Holder<'_>, port: u16) -> String {
    let prefix = if holder.vip.is_ipv6() { 128 } else { 32 };
    let context = json!({
        "name": holder.name,
        "check": layout::KEEPALIVED_CHECK,
        "port": port,
        "interface": holder.interface,
        "virtual_router_id": inv.load_balancer.virtual_router_id,
        "priority": FIRST_PRIORITY.saturating_sub(holder.place).max(1),
        "address": holder.address,
        "peers": holder.peers,
        "vip": format!("{}/{prefix}", holder.vip),
    });
    templates::fill("lb/keepalived.conf", context)
}

/// The script by which keepalived checks whether the load balancer on its host listens.
pub fn keepalived_check() -> &'static str {
    include_str!("../../templates/lb/balancer-listens")
}

fn is_ipv6(backends: &[(String, IpAddr)]) -> bool {
    backends.iter().any(|(_, address)| address.is_ipv6())
}

fn servers(backends: &[(String, IpAddr)]) -> Vec<(&String, String)> {
    backends.iter().map(|(name, address)| (name, layout::join_host_port(*address, layout::API_SERVER_PORT))).collect()
}
