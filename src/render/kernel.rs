//! The files with the kernel modules and settings that pods need.

use serde_json::json;

use super::{Ctx, templates};
use crate::inventory::Inventory;

/// The file that loads the kernel modules at boot.
pub fn modules() -> &'static str {
    include_str!("../../templates/kernel/modules.conf")
}

/// The settings of the running kernel without which pods cannot work, as dotted names and values. The sysctl file sets them again at each boot.
pub fn sysctls(inv: &Inventory) -> [(&'static str, &'static str); 2] {
    match inv.network.pod_cidr.network().is_ipv6() {
        true => [("net.ipv6.conf.all.forwarding", "1"), ("net.bridge.bridge-nf-call-ip6tables", "1")],
        false => [("net.ipv4.ip_forward", "1"), ("net.bridge.bridge-nf-call-iptables", "1")],
    }
}

/// The sysctl file, which sets the kernel settings at boot.
pub fn sysctl(ctx: &Ctx<'_>) -> String {
    templates::fill("kernel/sysctl.conf", json!({ "ipv6": ctx.inv.network.pod_cidr.addr().is_ipv6() }))
}
