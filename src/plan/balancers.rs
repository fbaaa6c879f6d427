//! Which load balancers on a host are clusterctl's. The operator may use the same programs for something else, and those are neither replaced nor
//! stopped.

use crate::facts::HostFacts;
use crate::inventory::{HostEntry, Inventory, LoadBalancerKind, Role};
use crate::layout;
use crate::render::is_written_by_us;

/// The units that the inventory's load balancer has on the host.
pub fn wanted(inv: &Inventory, host: &HostEntry) -> Vec<&'static str> {
    let program = match inv.load_balancer.kind {
        _ if !inv.runs_balancer(host) => return Vec::new(),
        LoadBalancerKind::Nginx => "nginx",
        _ => "haproxy",
    };
    [program].into_iter().chain(inv.load_balancer.vip.map(|_| "keepalived")).collect()
}

/// Whether clusterctl has set up this unit: it has recorded a start of the unit, or it wrote the unit's configuration.
pub fn is_ours(f: &HostFacts, unit: &str) -> bool {
    f.units.get(unit).is_some_and(|u| !u.stamp.is_empty()) || f.text(config(unit)).is_some_and(is_written_by_us)
}

/// Whether the unit is clusterctl's because clusterctl has set it up, or because it is the load balancer of an adopted cluster, or because somebody
/// has replaced its configuration. The latter two are told from a program of the operator by the mark of a host with the role `load-balancer`.
pub fn belongs(inv: &Inventory, host: &HostEntry, f: &HostFacts, unit: &str) -> bool {
    let has_mark = host.has(Role::LoadBalancer) && f.files.contains_key(layout::OWNERSHIP);
    is_ours(f, unit) || has_mark && wanted(inv, host).contains(&unit)
}

/// The units that a reset of the host stops, in this order: keepalived is the first, so that the virtual address moves to another host before the
/// load balancer ends. Another kind of load balancer than that of the inventory may have been set up before.
pub fn set_up(inv: &Inventory, host: &HostEntry, f: &HostFacts) -> Vec<&'static str> {
    let possible: &[&str] = match host.has(Role::LoadBalancer) {
        true => &["keepalived", "nginx", "haproxy"],
        false if inv.runs_balancer(host) => &["haproxy"],
        false => &[],
    };
    possible.iter().copied().filter(|unit| belongs(inv, host, f, unit)).collect()
}

/// The files of a unit that a reset removes.
pub fn files(unit: &str) -> Vec<&'static str> {
    let check = (unit == "keepalived").then_some(layout::KEEPALIVED_CHECK);
    [config(unit)].into_iter().chain(check).collect()
}

/// The path of the unit's configuration.
pub fn config(unit: &str) -> &'static str {
    match unit {
        "keepalived" => layout::KEEPALIVED_CONFIG,
        "nginx" => layout::NGINX_CONFIG,
        _ => layout::HAPROXY_CONFIG,
    }
}
