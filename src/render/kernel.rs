//! Kernel modules and settings that pods need.

use serde_json::json;

use super::{Ctx, templates};

/// The modules file.
pub fn modules() -> &'static str {
    include_str!("../../templates/kernel/modules.conf")
}

/// The sysctl file.
pub fn sysctl(ctx: &Ctx<'_>) -> String {
    templates::fill("kernel/sysctl.conf", json!({ "ipv6": ctx.inv.network.pod_cidr.addr().is_ipv6() }))
}
