//! The page of hosts that leave a cluster which goes on, and why they may not.

use std::time::Duration;

use super::blockers::Blocker;
use super::cluster::etcd::{client_url, peer_url};
use super::{Page, Phase, Track, Width, reset};
use crate::facts::Facts;
use crate::host::HostName;
use crate::inventory::{HostEntry, Inventory, Role};
use crate::step::drain::{ByHand, How};
use crate::step::{Drain, Member, NodeGone, Standing, StaticPodsGone, Step};

/// Who leaves, and how.
pub struct Inputs<'a> {
    /// With the leaving hosts.
    pub inv: &'a Inventory,
    pub facts: &'a Facts,
    pub leaving: &'a [HostName],
    /// The machines are gone: nothing is done on them.
    pub dead: bool,
    /// `None`: pods are not asked to move.
    pub drain: Option<Duration>,
}

/// What leads requests to other hosts comes before; what the remaining hosts then need comes after. The data of a member goes last.
pub fn page(i: &Inputs<'_>) -> Page {
    let leaving: Vec<&HostEntry> = i.inv.hosts.iter().filter(|h| i.leaving.contains(&h.name)).collect();
    let staying: Vec<&HostEntry> = i.inv.control_planes().filter(|h| !i.leaving.contains(&h.name)).collect();
    let Some(via) = staying.iter().copied().find(|h| i.facts.host(&h.name).api_version.is_some()).or(staying.first().copied()) else {
        return Page::new();
    };
    let address = via.node_address();
    let through = |steps: Vec<Step>| vec![Track { host: via.name.clone(), prelude: vec![], steps }];
    let on_hosts = |steps: &dyn Fn(&HostEntry) -> Vec<Step>| {
        leaving.iter().filter(|_| !i.dead).map(|h| Track { host: h.name.clone(), prelude: vec![], steps: steps(h) }).collect::<Vec<_>>()
    };
    let nodes = || leaving.iter().filter(|h| h.is_node());
    // Members leave through one that stays: on another host than the API's where etcd has hosts of its own.
    let members: Vec<&HostEntry> = i.inv.etcd_hosts().into_iter().filter(|h| !i.leaving.contains(&h.name)).collect();
    let answers = |h: &&&HostEntry| i.facts.host(&h.name).members.is_some();
    let asked = members.iter().find(answers).or(members.first()).copied();
    let urls: Vec<String> = members.iter().map(|h| client_url(h)).collect();

    let drains = i.drain.filter(|_| !i.dead).into_iter();
    let drains = drains
        .flat_map(|timeout| {
            nodes().map(move |h| {
                Drain {
                    via: via.name.clone(),
                    address,
                    node: h.name.clone(),
                    how: How::leaving(timeout),
                    until_version: None,
                    by_hand: ByHand::default(),
                }
                .into()
            })
        })
        .collect();
    let pods = |h: &HostEntry| -> Vec<Step> {
        let components = vec!["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
        if h.has(Role::ControlPlane) { vec![StaticPodsGone { components }.into()] } else { vec![] }
    };
    let leave = |h: &HostEntry| -> Step {
        Member { name: h.name.clone(), peer_url: peer_url(h), through: urls.clone(), want: Standing::Gone }.into()
    };
    let leave: Vec<Step> = i.inv.etcd_hosts().into_iter().filter(|h| i.leaving.contains(&h.name)).map(leave).collect();
    let leave = asked.map(|h| Track { host: h.name.clone(), prelude: vec![], steps: leave });
    let forget = nodes().map(|h| NodeGone { address, node: h.name.clone() }.into()).collect();
    [
        ("drain", Width::One, through(drains)),
        ("stop control plane", Width::One, on_hosts(&pods)),
        ("leave etcd", Width::One, leave.into_iter().collect()),
        ("forget nodes", Width::One, through(forget)),
        ("reset hosts", Width::All, on_hosts(&|h| reset::host(i.inv, h, i.facts, false))),
    ]
    .map(|(name, width, tracks)| Phase { name, width, tracks })
    .into()
}

/// What is left to take off hosts that leave together with what the others need without them.
pub fn spliced(i: &Inputs<'_>, mut rest: Page) -> Page {
    let leaving = page(i);
    // Requests are led away first: by the balancers from an API server, by the API servers from an etcd on a host of its own.
    let etcd = i.inv.hosts.iter().any(|h| h.has(Role::Etcd) && !h.has(Role::ControlPlane) && i.leaving.contains(&h.name));
    let last = if etcd { "control plane" } else { "load balancer" };
    let at = rest.iter().position(|p| p.name == last).map_or(0, |at| at + 1);
    let after = rest.split_off(at);
    rest.into_iter().chain(leaving).chain(after).collect()
}

/// Every reason not to let them go.
pub fn blockers(i: &Inputs<'_>) -> Vec<Blocker> {
    let mut out = Vec::new();
    let leaves = |h: &&HostEntry| i.leaving.contains(&h.name);
    if i.facts.cluster.is_none() {
        let fix = "see `clusterctl status`; bring a quorum of etcd members back first";
        out.push(Blocker::new("", "api-away", "no API server answers, and without one no host can leave in good order", fix));
    }
    for role in [Role::ControlPlane, Role::LoadBalancer, Role::Etcd] {
        let of_role = || i.inv.hosts.iter().filter(move |h| h.has(role));
        if of_role().count() > 0 && of_role().all(|h| leaves(&h)) {
            let (message, fix) = match role {
                Role::ControlPlane => {
                    ("no control-plane host would be left", "take the whole cluster off its hosts with `clusterctl reset`")
                }
                Role::Etcd => ("no etcd host would be left", "add another etcd host to the inventory and `clusterctl join` it first"),
                _ => ("no load balancer would be left", "add another load-balancer host to the inventory and `clusterctl join` it first"),
            };
            out.push(Blocker::new("", "last-host", message, fix));
        }
    }
    for h in i.inv.hosts.iter().filter(leaves) {
        match (i.facts.hosts.contains_key(&h.name), i.dead) {
            (false, false) => {
                let fix = format!("make it reachable; if the machine is gone for good, say `clusterctl remove {} --dead`", h.name);
                out.push(Blocker::new(&h.name, "unreachable", "it does not answer, so it cannot be drained and reset", fix));
            }
            (true, true) => {
                let fix = "leave out `--dead`; it is for machines that are gone for good";
                out.push(Blocker::new(&h.name, "alive", "it answers", fix));
            }
            _ => {}
        }
    }
    out.extend(quorum(i));
    out
}

/// The arithmetic of etcd's membership: of the members that stay, enough must be healthy at every moment.
fn quorum(i: &Inputs<'_>) -> Option<Blocker> {
    let list = i.facts.members()?;
    let goes = |name: &str| i.leaving.iter().any(|l| l == name);
    let hosts: Vec<&HostEntry> = i.inv.etcd_hosts().into_iter().filter(|h| goes(&h.name)).collect();
    let leaves = |urls: &[String], name: &str| goes(name) || hosts.iter().any(|h| urls.contains(&peer_url(h)));
    let voters: Vec<_> = list.iter().filter(|m| !m.learner).collect();
    let (going, staying): (Vec<_>, Vec<_>) = voters.into_iter().partition(|m| leaves(&m.peer_urls, &m.name));
    if going.is_empty() {
        return None;
    }
    let healthy = staying.iter().filter(|m| i.facts.host(&m.name).members.is_some()).count();
    let need = staying.len() / 2 + 1;
    // A member that leaves while it is dead takes no vote along; the first removal needs the quorum of all.
    let all = going.len() + staying.len();
    let alive = healthy + going.iter().filter(|m| i.facts.host(&m.name).members.is_some()).count();
    let now = all / 2 + 1;
    (healthy < need || alive < now).then(|| {
        let message = format!(
            "etcd has {all} voting members, {alive} of them healthy (quorum {now}); {} would be left, {healthy} of them healthy (quorum {need})",
            staying.len()
        );
        Blocker::new("", "etcd-quorum", message, "bring the unhealthy members back first, or restore etcd from a snapshot")
    })
}
