//! Kernel modules and settings that pods need.

use serde_json::json;

use super::{Ctx, templates};
use crate::inventory::Inventory;

/// The modules file.
pub fn modules() -> &'static str {
    include_str!("../../templates/kernel/modules.conf")
}

/// What that file sets beside what makes it last, as far as pods cannot do without: dotted names and values.
pub fn sysctls(inv: &Inventory) -> [(&'static str, &'static str); 2] {
    match inv.network.pod_cidr.network().is_ipv6() {
        true => [("net.ipv6.conf.all.forwarding", "1"), ("net.bridge.bridge-nf-call-ip6tables", "1")],
        false => [("net.ipv4.ip_forward", "1"), ("net.bridge.bridge-nf-call-iptables", "1")],
    }
}

/// The sysctl file.
pub fn sysctl(ctx: &Ctx<'_>) -> String {
    templates::fill("kernel/sysctl.conf", json!({ "ipv6": ctx.inv.network.pod_cidr.addr().is_ipv6() }))
}
