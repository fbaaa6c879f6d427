//! The refusals that concern the load balancer of a host: what it needs is used by somebody else.

use super::Refusal;
use crate::facts::HostFacts;
use crate::inventory::{HostEntry, Inventory};
use crate::plan::balancers::{belongs, config, wanted};

/// The refusals for a host whose load balancer would replace another program's configuration, or needs a port that another program holds. A program
/// of the same name is another program unless clusterctl has set it up.
pub(super) fn refusals(inv: &Inventory, host: &HostEntry, f: &HostFacts) -> Vec<Refusal> {
    let mut out = Vec::new();
    if !inv.runs_balancer(host) {
        return out;
    }
    let (_, port) = inv.endpoint();
    let is_known = |process: &str| ["haproxy", "nginx"].iter().any(|p| process.starts_with(p) && belongs(inv, host, f, p));
    if let Some(l) = f.listeners.iter().find(|l| l.port == port && !is_known(&l.process)) {
        let message = format!("port {port}, which the load balancer needs, is held by {}", l.process);
        out.push(Refusal::new(&host.name, "port", message, "stop that program"));
    }
    for unit in wanted(inv, host).into_iter().filter(|unit| !belongs(inv, host, f, unit)) {
        let mut ports: Vec<u16> = f.listeners.iter().filter(|l| l.process.starts_with(unit)).map(|l| l.port).collect();
        ports.sort_unstable();
        ports.dedup();
        let does = match unit {
            "keepalived" if f.units.get(unit).is_some_and(|u| u.active == "active") => "runs".to_string(),
            _ if ports.is_empty() || ports == [port] => continue,
            _ => format!("serves port {}", ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")),
        };
        let message =
            format!("{unit} {does} on this host already, and the load balancer would replace its configuration, {}", config(unit));
        let fix = format!(
            "give the load balancer a host of its own, or stop {unit} there with `systemctl disable --now {unit}` if nobody needs it"
        );
        out.push(Refusal::new(&host.name, "balancer", message, fix));
    }
    out
}
