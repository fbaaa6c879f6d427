//! The desired steps of `cordon`, `drain`, `uncordon` and `maintenance`.

use std::time::Duration;

use super::{DesiredSteps, HostSteps, Parallelism, Part, Phase, Width};
use crate::facts::Facts;
use crate::host::HostName;
use crate::inventory::{CniKind, HostEntry, Inventory, Role};
use crate::layout;
use crate::step::command::{Place, When};
use crate::step::drain::{DrainExtras, DrainOptions};
use crate::step::{Command, Cordon, Drain, Reboot, Step, Uncordon, wait};

/// The inputs of `cordon`, `drain`, `uncordon` and `maintenance`: the hosts to work on, and the number of workers that are worked on at once.
pub struct Inputs<'a> {
    pub inv: &'a Inventory,
    pub facts: &'a Facts,
    pub hosts: &'a [HostName],
    pub at_once: Parallelism,
}

/// What `maintenance` does on a host while the host's node is drained.
#[derive(Clone, Debug)]
pub struct Work {
    /// The program that runs on the host, and its arguments; empty if the host is only rebooted.
    pub argv: Vec<String>,
    pub command_timeout: Duration,
    /// How long a reboot may take; `None`: the host is not rebooted.
    pub reboot: Option<Duration>,
    pub options: DrainOptions,
    pub extras: DrainExtras,
}

/// The desired steps of `cordon`.
pub fn cordon(i: &Inputs<'_>) -> DesiredSteps {
    let step = |h: &HostEntry, via: &HostEntry| -> Step {
        Cordon { via: via.name.clone(), address: via.node_address(), node: h.name.clone() }.into()
    };
    i.phases("cordon", Width::All, Width::All, &|h| i.through(h).map(|via| step(h, via)).into_iter().collect())
}

/// The desired steps of `uncordon`.
pub fn uncordon(i: &Inputs<'_>) -> DesiredSteps {
    i.phases("uncordon", Width::All, Width::All, &|h| i.uncordon(h, true).into_iter().collect())
}

/// The desired steps of `drain`.
pub fn drain(i: &Inputs<'_>, options: DrainOptions, extras: &DrainExtras) -> DesiredSteps {
    i.phases("drain", Width::One, i.workers_at_once(), &|h| i.drain(h, options, extras).into_iter().collect())
}

/// The desired steps of `maintenance`. Control-plane hosts, etcd hosts and load balancers are worked on one after another. On a host with an
/// etcd member, the work begins only after a check that etcd keeps its quorum without this member, and on a control-plane host only while the API
/// server of another one answers, if there is another one.
pub fn maintenance(i: &Inputs<'_>, work: &Work) -> DesiredSteps {
    let steps = |h: &HostEntry| {
        let mut steps: Vec<Step> = i.drain(h, work.options, &work.extras).into_iter().collect();
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
    // Of the four verbs, only `maintenance` needs guards: its command or reboot can stop the host's etcd member and its API server, but a cordon or
    // a drain cannot.
    let guard = |h: &HostEntry| -> Vec<Step> {
        let other_api = i.other_api(h).filter(|_| h.has(Role::ControlPlane)).map(|m| {
            let authority = layout::join_host_port(m.node_address(), layout::API_SERVER_PORT);
            wait::OtherApi { authority }.into()
        });
        let quorum = i.inv.runs_etcd(h).then(|| wait::Quorum.into());
        other_api.into_iter().chain(quorum).collect()
    };
    i.guarded_phases("maintenance", Width::One, i.workers_at_once(), &guard, &steps)
}

impl Inputs<'_> {
    /// Makes two phases: one with the hosts that other hosts depend on, with the width `counted_on`, and after it one with the hosts that are
    /// only workers, with the width `workers`.
    fn phases(&self, name: &'static str, counted_on: Width, workers: Width, steps: &dyn Fn(&HostEntry) -> Vec<Step>) -> DesiredSteps {
        self.guarded_phases(name, counted_on, workers, &|_| vec![], steps)
    }

    /// Makes the same two phases as [`Inputs::phases`], with guards for each host.
    fn guarded_phases(
        &self,
        name: &'static str,
        counted_on: Width,
        workers: Width,
        guard: &dyn Fn(&HostEntry) -> Vec<Step>,
        steps: &dyn Fn(&HostEntry) -> Vec<Step>,
    ) -> DesiredSteps {
        let named = |h: &&HostEntry| self.hosts.contains(&h.name);
        let (plain, special): (Vec<&HostEntry>, Vec<&HostEntry>) =
            self.inv.hosts.iter().filter(named).partition(|h| is_worker(self.inv, h));
        let host_steps = |h: &HostEntry| HostSteps { host: h.name.clone(), guards: guard(h), steps: steps(h) };
        let phase =
            |width, hosts: Vec<&HostEntry>| Phase { part: Part::Other, name, width, hosts: hosts.into_iter().map(host_steps).collect() };
        vec![phase(counted_on, special), phase(workers, plain)]
    }

    fn workers_at_once(&self) -> Width {
        Width::AtMost(self.at_once.of(self.inv.hosts.iter().filter(|h| is_worker(self.inv, h)).count()))
    }

    /// The control-plane host through whose API server the node of `h` is read and changed. A host other than `h` whose API server is ready is
    /// preferred, because the API server of `h` may stop during the work. `None` if the inventory has no control-plane host.
    fn through(&self, h: &HostEntry) -> Option<&HostEntry> {
        let serves = |m: &&HostEntry| self.facts.host(&m.name).api_version.is_some();
        let other = self.other_api(h).filter(serves);
        other.or_else(|| self.inv.control_planes().find(serves)).or_else(|| self.inv.control_planes().next())
    }

    /// A control-plane host other than `h`; one whose API server is ready is preferred.
    fn other_api(&self, h: &HostEntry) -> Option<&HostEntry> {
        let others = || self.inv.control_planes().filter(|m| m.name != h.name);
        others().find(|m| self.facts.host(&m.name).api_version.is_some()).or_else(|| others().next())
    }

    fn drain(&self, h: &HostEntry, options: DrainOptions, extras: &DrainExtras) -> Option<Step> {
        let via = self.through(h).filter(|_| h.is_node())?;
        let (via, address, node, extras) = (via.name.clone(), via.node_address(), h.name.clone(), extras.clone());
        Some(Drain { via, address, node, options, until_version: None, extras }.into())
    }

    fn uncordon(&self, h: &HostEntry, whoever: bool) -> Option<Step> {
        let via = self.through(h).filter(|_| h.is_node())?;
        Some(Uncordon { via: via.name.clone(), address: via.node_address(), node: h.name.clone(), whoever }.into())
    }

    /// The step that waits until a host is back in service after maintenance. `None` for a host without a node, an etcd member, an API server
    /// or a load balancer.
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
        (node.is_some() || api.is_some() || etcd).then(|| wait::Back { node, server: format!("https://{server}"), ready, api, etcd }.into())
    }
}

/// Whether the host is only a worker, so that no other host depends on it.
fn is_worker(inv: &Inventory, h: &HostEntry) -> bool {
    h.has(Role::Worker) && !h.has(Role::ControlPlane) && !h.has(Role::LoadBalancer) && !inv.runs_etcd(h)
}
