//! The steps for one load balancer, on a host of its own or on the loopback address of a worker.

use std::net::IpAddr;

use super::{Phases, host_steps, phase};
use crate::inventory::{HostEntry, LoadBalancerKind, Role};
use crate::layout;
use crate::plan::balancers::is_ours;
use crate::plan::{Part, Phase, Width};
use crate::render::lb::{self, Holder, Listen};
use crate::step::file::Check;
use crate::step::{self, File, Step, Stopped, Unit, wait};

/// The name in keepalived's configuration for an interface that is not known. A host with such an interface is refused before anything is
/// changed.
const UNKNOWN_INTERFACE: &str = "eth0";

impl Phases<'_> {
    /// The phase that changes the load balancers.
    pub(super) fn load_balancers(&self) -> Phase<Step> {
        let hosts = self.i.inv.hosts.iter().filter(|h| self.i.inv.runs_balancer(h)).map(|h| host_steps(h, self.balancer(h)));
        Phase { part: Part::LoadBalancers, name: "load balancer", width: self.situation.cluster.width(), hosts: hosts.collect() }
    }

    /// The phase that waits, on every node, until the API is ready at the endpoint of the operator's own load balancer; without it, no worker
    /// can join. Empty for all other kinds of load balancers.
    pub(super) fn endpoint(&self) -> Phase<Step> {
        let external = self.i.inv.load_balancer.kind == LoadBalancerKind::External;
        let hosts = self.i.inv.nodes().filter(|_| external);
        let wait = || wait::Endpoint { authority: self.endpoint.clone() }.into();
        phase("endpoint", Width::All, hosts.map(|h| host_steps(h, vec![wait()])).collect())
    }

    /// The packages that the host's load balancer needs.
    pub(super) fn balancer_packages(&self, h: &HostEntry) -> Vec<&'static str> {
        let mut names = match self.i.inv.load_balancer.kind {
            _ if !self.i.inv.runs_balancer(h) => return Vec::new(),
            LoadBalancerKind::Nginx => vec!["nginx", "libnginx-mod-stream"],
            _ => vec!["haproxy"],
        };
        names.extend(self.i.inv.load_balancer.vip.map(|_| "keepalived"));
        names
    }

    /// The steps for the host's load balancer. Of the load balancers that clusterctl has set up, a host with the role `load-balancer` runs exactly
    /// what the inventory names: one kind of load balancer, and keepalived only with a virtual address.
    fn balancer(&self, h: &HostEntry) -> Vec<Step> {
        let inv = self.i.inv;
        let (_, port) = inv.endpoint();
        let backends: Vec<(String, IpAddr)> = inv.control_planes().map(|m| (m.name.clone(), m.node_address())).collect();
        let (name, other, path, config, check) = match inv.load_balancer.kind {
            LoadBalancerKind::Nginx => ("nginx", "haproxy", layout::NGINX_CONFIG, lb::nginx(&backends, port), Check::Nginx),
            kind => {
                let listen = if kind == LoadBalancerKind::Local { Listen::Loopback } else { Listen::Everywhere };
                ("haproxy", "nginx", layout::HAPROXY_CONFIG, lb::haproxy(inv, &backends, listen, port), Check::Haproxy)
            }
        };
        let digest = step::digest(config.as_bytes());
        let mut steps: Vec<Step> = vec![vec![self.ownership(), File::text(path, config).unit(name).check(check)].into()];
        // The operator may use nginx and keepalived for something else.
        let had = |unit| h.has(Role::LoadBalancer) && is_ours(self.i.facts.host(&h.name), unit);
        if had(other) {
            steps.push(Stopped { name: other }.into());
        }
        steps.push(Unit { reload: true, port: Some(port), ..Unit::new(name, digest) }.into());
        match inv.load_balancer.vip {
            Some(vip) => steps.extend(self.keepalived(h, vip, port)),
            None if had("keepalived") => steps.push(Stopped { name: "keepalived" }.into()),
            None => {}
        }
        steps
    }

    fn keepalived(&self, h: &HostEntry, vip: IpAddr, port: u16) -> [Step; 3] {
        let inv = self.i.inv;
        let address = h.node_address();
        let peers: Vec<IpAddr> = inv.balancers().filter(|b| b.name != h.name).map(HostEntry::node_address).collect();
        let place = inv.balancers().position(|b| b.name == h.name).unwrap_or_default();
        let interface = self.i.facts.host(&h.name).addresses.get(&address).map_or(UNKNOWN_INTERFACE, String::as_str);
        let holder = Holder { name: &h.name, address, interface, place, peers: &peers, vip };
        let config = lb::keepalived(inv, &holder, port);
        let script = lb::keepalived_check();
        let digest = step::digest(format!("{config}{script}").as_bytes());
        // The script is written first, because keepalived looks for it when it checks its configuration.
        let script = File::text(layout::KEEPALIVED_CHECK, script).mode(0o755).unit("keepalived");
        let config = File::text(layout::KEEPALIVED_CONFIG, config).unit("keepalived").check(Check::Keepalived);
        [vec![script].into(), vec![config].into(), Unit { reload: true, ..Unit::new("keepalived", digest) }.into()]
    }
}
