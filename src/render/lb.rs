//! Load balancers before the API servers.

use std::net::IpAddr;

use serde_json::json;

use super::{Ctx, templates};
use crate::layout;

/// haproxy.cfg: TCP passthrough to the API servers whose `/readyz` says ok.
pub fn haproxy(ctx: &Ctx<'_>, backends: &[(String, IpAddr)], bind_port: u16) -> String {
    let ipv6 = backends.iter().any(|(_, address)| address.is_ipv6());
    let backends: Vec<(&String, String)> =
        backends.iter().map(|(name, address)| (name, layout::join_host_port(*address, layout::API_SERVER_PORT))).collect();
    let context = json!({
        "admin_socket": layout::HAPROXY_ADMIN_SOCKET,
        "bind": if ipv6 { format!(":::{bind_port} v4v6") } else { format!("*:{bind_port}") },
        "interval": format!("{}ms", ctx.inv.load_balancer.check_interval.as_millis()),
        "backends": backends,
    });
    templates::fill("lb/haproxy.cfg", context)
}
