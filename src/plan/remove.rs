//! The steps that remove hosts from a running cluster, and the reasons why they must not be removed.

use std::time::Duration;

use super::members::{client_url, peer_url};
use super::refusals::Refusal;
use super::refusals::leaving::{member_of, mounts};
use super::{DesiredSteps, HostSteps, Part, Phase, Width, reset};
use crate::facts::Facts;
use crate::host::HostName;
use crate::inventory::{HostEntry, Inventory, Role};
use crate::layout;
use crate::step::drain::{DrainExtras, DrainOptions};
use crate::step::{Drain, Member, MemberState, NodeGone, StaticPodsGone, Step, wait};

/// The inputs of a removal: the hosts that are removed, and how.
pub struct Inputs<'a> {
    /// The inventory, including the hosts that are removed.
    pub inv: &'a Inventory,
    pub facts: &'a Facts,
    pub leaving: &'a [HostName],
    /// Whether the machines are gone for good. If they are, no step runs on them.
    pub dead: bool,
    /// How long a drain may take; `None`: the nodes are not drained.
    pub drain: Option<Duration>,
}

/// The desired steps that remove hosts, on these hosts and on those that remain; [`spliced`] combines them with the desired steps of the
/// remaining cluster. The check that etcd keeps its quorum runs before anything is stopped, and the data of an etcd member is deleted only
/// after the member was removed from etcd's member list. Empty if no control-plane host remains.
pub fn desired_steps(i: &Inputs<'_>) -> DesiredSteps {
    let leaving: Vec<&HostEntry> = i.inv.hosts.iter().filter(|h| i.leaving.contains(&h.name)).collect();
    let staying: Vec<&HostEntry> = i.inv.control_planes().filter(|h| !i.leaving.contains(&h.name)).collect();
    let Some(via) = staying.iter().copied().find(|h| i.facts.host(&h.name).api_version.is_some()).or(staying.first().copied()) else {
        return DesiredSteps::new();
    };
    let address = via.node_address();
    let through = |steps: Vec<Step>| vec![HostSteps { host: via.name.clone(), guards: vec![], steps }];
    let on_hosts = |steps: &dyn Fn(&HostEntry) -> Vec<Step>| {
        leaving.iter().filter(|_| !i.dead).map(|h| HostSteps { host: h.name.clone(), guards: vec![], steps: steps(h) }).collect::<Vec<_>>()
    };
    // Between the plan and the end of the drains, the API server that stays may have stopped, and then the one that leaves may be the last one.
    let stays = || wait::OtherApi { authority: layout::join_host_port(address, layout::API_SERVER_PORT) };
    let stops = |pods: &dyn Fn(&HostEntry) -> Vec<Step>| {
        on_hosts(pods).into_iter().map(|t| HostSteps { guards: vec![stays().into()], ..t }).collect::<Vec<_>>()
    };
    let nodes = || leaving.iter().filter(|h| h.is_node());
    // An etcd member is removed through a member that remains. If etcd has hosts of its own, this member is not on the control-plane host
    // `via`.
    let members: Vec<&HostEntry> = i.inv.etcd_hosts().into_iter().filter(|h| !i.leaving.contains(&h.name)).collect();
    let answers = |h: &&&HostEntry| i.facts.host(&h.name).members.is_some();
    let member_host = members.iter().find(answers).or(members.first()).copied();
    let urls: Vec<String> = members.iter().map(|h| client_url(h)).collect();

    let drains = i.drain.filter(|_| !i.dead).into_iter();
    let drains = drains
        .flat_map(|timeout| {
            nodes().map(move |h| {
                Drain {
                    via: via.name.clone(),
                    address,
                    node: h.name.clone(),
                    options: DrainOptions::leaving(timeout),
                    until_version: None,
                    extras: DrainExtras::default(),
                }
                .into()
            })
        })
        .collect();
    let pods = |h: &HostEntry| -> Vec<Step> {
        let components = layout::CONTROL_PLANE_PODS.to_vec();
        if h.has(Role::ControlPlane) { vec![StaticPodsGone { components }.into()] } else { vec![] }
    };
    let of_members = |want: MemberState| {
        let member = |h: &HostEntry| -> Step { Member { name: h.name.clone(), peer_url: peer_url(h), through: urls.clone(), want }.into() };
        // An etcd member can exist on a host whose role in the inventory has changed since, so a host in etcd's member list counts, too.
        let steps: Vec<Step> =
            leaving.iter().copied().filter(|h| i.inv.runs_etcd(h) || member_of(h, i.facts).is_some()).map(member).collect();
        member_host.map(|h| HostSteps { host: h.name.clone(), guards: vec![], steps }).into_iter().collect::<Vec<_>>()
    };
    let forget = nodes().map(|h| NodeGone { address, node: h.name.clone() }.into()).collect();
    // The Node objects are deleted last. While the Node object of a host exists, Kubernetes attaches the volumes of its pods to no other node,
    // and until the host is reset, its containers could still use these volumes.
    [
        ("check etcd", Width::One, of_members(MemberState::Dispensable)),
        ("drain", Width::One, through(drains)),
        ("stop control plane", Width::One, stops(&pods)),
        ("leave etcd", Width::One, of_members(MemberState::Gone)),
        ("reset hosts", Width::All, on_hosts(&|h| reset::host(i.inv, h, i.facts, false))),
        ("forget nodes", Width::One, through(forget)),
    ]
    .map(|(name, width, hosts)| Phase { part: Part::Other, name, width, hosts })
    .into()
}

/// Combines the steps of the removal with `rest`, the desired steps of the cluster without the removed hosts. The check of etcd's quorum runs
/// first.
pub fn spliced(i: &Inputs<'_>, mut rest: DesiredSteps) -> DesiredSteps {
    let mut leaving = desired_steps(i).into_iter();
    let check = leaving.next();
    // Before a host is stopped, its clients must send their requests to other hosts. If an API server is removed, the load balancers are
    // therefore changed before its removal. If an etcd member on a host of its own is removed, the API servers are changed before its removal.
    let etcd = i.inv.hosts.iter().any(|h| h.has(Role::Etcd) && !h.has(Role::ControlPlane) && i.leaving.contains(&h.name));
    let last = if etcd { Part::ControlPlane } else { Part::LoadBalancers };
    let at = rest.iter().position(|p| p.part == last).map_or(0, |at| at + 1);
    let after = rest.split_off(at);
    check.into_iter().chain(rest).chain(leaving).chain(after).collect()
}

/// Every reason why the hosts must not be removed.
pub fn refusals(i: &Inputs<'_>) -> Vec<Refusal> {
    let mut out = Vec::new();
    let leaves = |h: &&HostEntry| i.leaving.contains(&h.name);
    if i.facts.cluster.is_none() {
        let fix = "see `clusterctl status`; bring a quorum of etcd members back first";
        out.push(Refusal::new("", "api-away", "no API server answers, and without one no host can leave in good order", fix));
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
            out.push(Refusal::new("", "last-host", message, fix));
        }
    }
    for h in i.inv.hosts.iter().filter(leaves) {
        match (i.facts.hosts.contains_key(&h.name), i.dead) {
            (false, false) => {
                let fix = format!("make it reachable; if the machine is gone for good, say `clusterctl remove {} --dead`", h.name);
                out.push(Refusal::new(&h.name, "unreachable", "it does not answer, so it cannot be drained and reset", fix));
            }
            (true, true) => {
                let fix = "leave out `--dead`; it is for machines that are gone for good";
                out.push(Refusal::new(&h.name, "alive", "it answers", fix));
            }
            _ => {}
        }
    }
    out.extend(mounts(i.facts, i.leaving));
    out.extend(last_api_server(i));
    out.extend(quorum(i));
    out
}

/// The refusal if no API server would be left that answers. `None` if no control plane is removed, if all of them are, or if no API server answers
/// now; the latter two have refusals of their own.
fn last_api_server(i: &Inputs<'_>) -> Option<Refusal> {
    let (leaving, staying): (Vec<&HostEntry>, Vec<&HostEntry>) = i.inv.control_planes().partition(|h| i.leaving.contains(&h.name));
    let serves = |h: &&HostEntry| i.facts.host(&h.name).api_version.is_some();
    if i.facts.cluster.is_none() || leaving.is_empty() || staying.is_empty() || staying.iter().any(serves) {
        return None;
    }
    let names = staying.iter().map(|h| h.name.as_str()).collect::<Vec<_>>().join(", ");
    let message = format!("no API server that answers would be left: those of {names} do not");
    Some(Refusal::new(
        "",
        "last-api-server",
        message,
        "see `clusterctl status`; restore their API servers first, for example with `clusterctl apply`",
    ))
}

/// The refusal if etcd would lose its quorum: enough members must be healthy both before the first removal and after the last one. `None` if the
/// quorum is kept, if no voting member is removed, or if no member answered.
fn quorum(i: &Inputs<'_>) -> Option<Refusal> {
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
    // The removal of a dead member loses no healthy vote, but the first removal still needs a quorum of all present members, because etcd must
    // agree to it.
    let all = going.len() + staying.len();
    let alive = healthy + going.iter().filter(|m| i.facts.host(&m.name).members.is_some()).count();
    let now = all / 2 + 1;
    (healthy < need || alive < now).then(|| {
        let message = format!(
            "etcd has {all} voting members, {alive} of them healthy (quorum {now}); {} would be left, {healthy} of them healthy (quorum {need})",
            staying.len()
        );
        Refusal::new("", "etcd-quorum", message, "bring the unhealthy members back first, or restore etcd from a snapshot")
    })
}
