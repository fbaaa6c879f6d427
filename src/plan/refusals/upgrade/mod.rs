//! The reasons why an upgrade must not begin, and the warnings for the operator. All of them are found at once, without side effects.

use std::collections::BTreeSet;

mod announced;
mod etcd_way;

pub(super) use etcd_way::change as etcd_change;

use super::{Refusal, UNREACHABLE_MASTER};
use crate::facts::Facts;
use crate::facts::upgrade::DeprecatedApi;
use crate::host::HostName;
use crate::inventory::{HostEntry, Inventory, Role};
use crate::layout;
use crate::plan::members::peer_url;
use crate::plan::upgrade::{Running, UpgradeStage};
use crate::step::wait::is_ready;

/// Refusals that the operator may override by name (`--allow`), because only a person can know that they do no harm.
pub const MAY_BE_ALLOWED: [&str; 3] = ["removed-api", "disruption-budget", "disk"];

/// The free disk space, in bytes, that an upgrade needs on a node: enough for the images and binaries of one version, and for an etcd snapshot
/// that is being transferred.
const DISK_BYTES: u64 = 3 << 29;

/// The data by which an upgrade is judged.
pub struct Inputs<'a> {
    pub inv: &'a Inventory,
    pub facts: &'a Facts,
    pub running: &'a Running,
    pub stages: &'a [UpgradeStage],
    /// The hosts that may change.
    pub selected: &'a [HostName],
    pub deprecated: &'a BTreeSet<DeprecatedApi>,
}

/// Every reason why the upgrade must not begin.
pub fn of(i: &Inputs<'_>) -> Vec<Refusal> {
    let mut out: Vec<Refusal> = i.inv.control_planes().filter_map(|h| control_plane(i, h)).collect();
    out.extend(members(i));
    out.extend(limit(i));
    out.extend(i.inv.hosts.iter().filter_map(|h| disk(i, h)));
    out.extend(etcd_way::of(i));
    let last = i.stages.last().map_or(0, |l| l.version().minor());
    out.extend(i.deprecated.iter().filter(|a| a.removed_in <= last).map(|a| {
        let message = format!("{} of {} is still asked for, and v1.{} has it no more", a.resource, a.group_version, a.removed_in);
        let fix = "find who asks for it in the API server's audit log or by its owners and move them on; if it does not matter, `--allow removed-api`";
        Refusal::new("", "removed-api", message, fix)
    }));
    out
}

/// The warnings, which do not stop the upgrade. Each is the host that it concerns, or a component such as `etcd`, and the message.
pub fn warnings(i: &Inputs<'_>) -> Vec<(HostName, String)> {
    let mut out = Vec::new();
    for h in i.inv.nodes() {
        let Some(node) = i.facts.node(&h.name) else { continue };
        let ours = !node["metadata"]["annotations"][layout::CORDONED_ANNOTATION].is_null();
        if node["spec"]["unschedulable"] == true && !ours {
            out.push((h.name.clone(), "it is cordoned by somebody else, and stays so".into()));
        }
        if !h.has(Role::ControlPlane) && !is_ready(node) {
            out.push((h.name.clone(), "its node is not Ready: the upgrade takes it for one that is out of service".into()));
        }
    }
    for h in i.inv.nodes().filter(|h| !i.facts.hosts.contains_key(&h.name) && !h.has(Role::ControlPlane)) {
        out.push((h.name.clone(), "it does not answer and stays as it is; run the same command again once it does".into()));
    }
    out.extend(etcd_way::held_back(i));
    out.extend(announced::warnings(i));
    out
}

/// The refusal if a control-plane host does not answer, its API server is not ready, or its node is not Ready. The control plane must be
/// complete before the upgrade takes one of its hosts out of service. A state that an interrupted upgrade has left behind, such as a node that
/// clusterctl cordoned, is not refused.
fn control_plane(i: &Inputs<'_>, h: &HostEntry) -> Option<Refusal> {
    let Some(f) = i.facts.hosts.get(&h.name) else {
        let fix = format!("make it reachable; if the machine is gone for good, `clusterctl remove {} --dead` first", h.name);
        return Some(Refusal::new(
            &h.name,
            UNREACHABLE_MASTER,
            "it does not answer, and without it one more control-plane host would be one too many",
            fix,
        ));
    };
    if f.api_version.is_none() && f.unsettled.is_empty() {
        let fix = "see `clusterctl status`, mend it, then run the same command again";
        return Some(Refusal::new(&h.name, "api-server", "its API server does not serve", fix));
    }
    let found = i.facts.node(&h.name)?;
    let ours = !found["metadata"]["annotations"][layout::CORDONED_ANNOTATION].is_null();
    (!is_ready(found) && !ours).then(|| {
        Refusal::new(
            &h.name,
            "not-ready",
            "its node is not Ready",
            "see `kubectl describe node` and mend it, then run the same command again",
        )
    })
}

/// The refusal if a voting etcd member does not answer. Every member must answer, because the upgrade takes each member in turn out of service
/// for some seconds.
fn members(i: &Inputs<'_>) -> Option<Refusal> {
    let list = i.facts.members()?;
    let host = |urls: &[String]| i.inv.etcd_hosts().into_iter().find(|h| urls.contains(&peer_url(h)));
    let answers = |urls: &[String]| {
        host(urls).is_some_and(|h| {
            let f = i.facts.host(&h.name);
            f.members.is_some() || f.unsettled.contains("etcd")
        })
    };
    let voters: Vec<_> = list.iter().filter(|m| !m.learner).collect();
    let away: Vec<&str> =
        voters.iter().filter(|m| !answers(&m.peer_urls)).map(|m| if m.name.is_empty() { m.id.as_str() } else { m.name.as_str() }).collect();
    (!away.is_empty()).then(|| {
        let (all, quorum, healthy) = (voters.len(), voters.len() / 2 + 1, voters.len() - away.len());
        let message = format!(
            "of {all} etcd members {healthy} are healthy (quorum {quorum}), and these are not: {}; the upgrade takes one more down at a time",
            away.join(", ")
        );
        Refusal::new("", "etcd-member-away", message, "bring them back, or take them out with `clusterctl remove HOST --dead`")
    })
}

/// The refusal if `--limit` leaves out a control-plane host that is older than the target version, although the upgrade also changes kubelets
/// of workers or has more than two stages. A kubelet must never be newer than an API server.
fn limit(i: &Inputs<'_>) -> Option<Refusal> {
    let to = i.stages.last()?.version();
    let behind: Vec<&str> =
        i.running.api_servers.iter().filter(|(h, v)| *v < to && !i.selected.contains(h)).map(|(h, _)| h.as_str()).collect();
    let others = i.inv.nodes().any(|h| !h.has(Role::ControlPlane) && i.selected.contains(&h.name));
    (!behind.is_empty() && (others || i.stages.len() > 2)).then(|| {
        let message = format!(
            "`--limit` leaves out control-plane hosts that are behind {to}: {}; a kubelet is never ahead of its API server",
            behind.join(", ")
        );
        let all = i.inv.control_planes().map(|h| h.name.as_str()).collect::<Vec<_>>().join(",");
        Refusal::new("", "kubelet-ahead", message, format!("upgrade the control plane first: `--limit {all}`"))
    })
}

fn disk(i: &Inputs<'_>, h: &HostEntry) -> Option<Refusal> {
    let f = i.facts.hosts.get(&h.name).filter(|_| h.is_node() && i.selected.contains(&h.name))?;
    let to = i.stages.last()?.version();
    if i.running.kubelets.get(&h.name) == Some(to) {
        return None;
    }
    let (folder, free) = f.disk_free.iter().find(|(_, free)| **free < DISK_BYTES)?;
    let message = format!("{folder} has {} MiB free; {} are needed for what the upgrade brings", free >> 20, DISK_BYTES >> 20);
    Some(Refusal::new(&h.name, "disk", message, "make room"))
}
