//! The pages of single nodes: out of service and back, and work on a host whose node is out of service meanwhile.

use std::time::Duration;

use super::{Page, Phase, Share, Track, Width};
use crate::facts::Facts;
use crate::host::HostName;
use crate::inventory::{CniKind, HostEntry, Inventory, Role};
use crate::layout;
use crate::step::command::{Place, When};
use crate::step::drain::{ByHand, How};
use crate::step::{Command, Cordon, Drain, Reboot, Step, Uncordon, Wait};

/// Which hosts, and how many of the workers at once.
pub struct Inputs<'a> {
    pub inv: &'a Inventory,
    pub facts: &'a Facts,
    pub hosts: &'a [HostName],
    pub at_once: Share,
}

/// What is done on a host whose node is out of service.
#[derive(Clone, Debug)]
pub struct Work {
    /// Program and arguments; none where only a reboot is asked for.
    pub argv: Vec<String>,
    pub command_timeout: Duration,
    /// `None`: the host stays up.
    pub reboot: Option<Duration>,
    pub how: How,
    pub by_hand: ByHand,
}

/// Nodes that take no new pods.
pub fn cordon(i: &Inputs<'_>) -> Page {
    let step = |h: &HostEntry, via: &HostEntry| -> Step {
        Cordon { via: via.name.clone(), address: via.node_address(), node: h.name.clone() }.into()
    };
    i.phases("cordon", Width::All, Width::All, &|h| i.through(h).map(|via| step(h, via)).into_iter().collect())
}

/// Nodes that take pods again, whoever cordoned them.
pub fn uncordon(i: &Inputs<'_>) -> Page {
    i.phases("uncordon", Width::All, Width::All, &|h| i.uncordon(h, true).into_iter().collect())
}

/// Nodes whose pods have left, and that stay out of service.
pub fn drain(i: &Inputs<'_>, how: How, by_hand: &ByHand) -> Page {
    i.phases("drain", Width::One, i.workers_at_once(), &|h| i.drain(h, how, by_hand).into_iter().collect())
}

/// Work on hosts while their nodes are out of service. What others count on goes one after another and with the quorum seen before.
pub fn maintenance(i: &Inputs<'_>, work: &Work) -> Page {
    let steps = |h: &HostEntry| {
        let mut steps: Vec<Step> = i.drain(h, work.how, &work.by_hand).into_iter().collect();
        if !work.argv.is_empty() {
            steps.push(
                Command {
                    label: String::new(),
                    argv: work.argv.clone(),
                    timeout: work.command_timeout,
                    place: Place::Host,
                    when: When::Always,
                }
                .into(),
            );
        }
        steps.extend(work.reboot.map(|timeout| Reboot { timeout }.into()));
        steps.extend(i.back(h));
        steps.extend(i.uncordon(h, false));
        steps
    };
    i.phases("maintenance", Width::One, i.workers_at_once(), &steps)
}

impl Inputs<'_> {
    /// The hosts that others count on, and the workers after them.
    fn phases(&self, name: &'static str, counted_on: Width, workers: Width, steps: &dyn Fn(&HostEntry) -> Vec<Step>) -> Page {
        let named = |h: &&HostEntry| self.hosts.contains(&h.name);
        let (plain, special): (Vec<&HostEntry>, Vec<&HostEntry>) =
            self.inv.hosts.iter().filter(named).partition(|h| is_worker(self.inv, h));
        let track = |h: &HostEntry| Track { host: h.name.clone(), prelude: self.guard(h, name), steps: steps(h) };
        let phase = |width, hosts: Vec<&HostEntry>| Phase { name, width, tracks: hosts.into_iter().map(track).collect() };
        vec![phase(counted_on, special), phase(workers, plain)]
    }

    /// Only work on the host itself can take a member away.
    fn guard(&self, h: &HostEntry, phase: &str) -> Vec<Step> {
        if phase == "maintenance" && self.inv.runs_etcd(h) { vec![Wait::Quorum.into()] } else { vec![] }
    }

    fn workers_at_once(&self) -> Width {
        Width::AtMost(self.at_once.of(self.inv.hosts.iter().filter(|h| is_worker(self.inv, h)).count()))
    }

    /// The control-plane host a node is asked about through: another one that serves, for its own may be what goes.
    fn through(&self, h: &HostEntry) -> Option<&HostEntry> {
        let serves = |m: &&HostEntry| self.facts.host(&m.name).api_version.is_some();
        let others = || self.inv.control_planes().filter(|m| m.name != h.name);
        others().find(serves).or_else(|| self.inv.control_planes().find(serves)).or_else(|| self.inv.control_planes().next())
    }

    fn drain(&self, h: &HostEntry, how: How, by_hand: &ByHand) -> Option<Step> {
        let via = self.through(h).filter(|_| h.is_node())?;
        let (via, address, node, by_hand) = (via.name.clone(), via.node_address(), h.name.clone(), by_hand.clone());
        Some(Drain { via, address, node, how, until_version: None, by_hand }.into())
    }

    fn uncordon(&self, h: &HostEntry, whoever: bool) -> Option<Step> {
        let via = self.through(h).filter(|_| h.is_node())?;
        Some(Uncordon { via: via.name.clone(), address: via.node_address(), node: h.name.clone(), whoever }.into())
    }

    /// What shows that a host is back in service.
    fn back(&self, h: &HostEntry) -> Option<Step> {
        let port = match (h.has(Role::ControlPlane), h.has(Role::LoadBalancer)) {
            (true, _) => Some(layout::API_SERVER_PORT),
            (false, true) => Some(self.inv.endpoint().1),
            (false, false) => None,
        };
        let api = port.map(|port| layout::join_host_port(h.node_address(), port));
        let server = api.clone().unwrap_or_else(|| self.inv.endpoint_authority());
        let (node, etcd) = (h.is_node().then(|| h.name.clone()), self.inv.runs_etcd(h));
        let ready = self.inv.network.cni.kind != CniKind::None;
        (node.is_some() || api.is_some() || etcd).then(|| Wait::Back { node, server: format!("https://{server}"), ready, api, etcd }.into())
    }
}

/// A worker and nothing else: the others of its kind do without it.
fn is_worker(inv: &Inventory, h: &HostEntry) -> bool {
    h.has(Role::Worker) && !h.has(Role::ControlPlane) && !h.has(Role::LoadBalancer) && !inv.runs_etcd(h)
}
