//! Checks whether every drain of an upgrade can succeed, before any pod is moved: asks the API for dry runs of the evictions, and computes what the
//! PodDisruptionBudgets allow.

use std::collections::BTreeMap;

use super::Session;
use crate::cli::session::Observed;
use crate::facts::evictions::{self, PODS};
use crate::host::HostName;
use crate::inventory::{HostEntry, Role};
use crate::plan::budgets::{Finding, Inputs, What, evicted, findings};
use crate::plan::goal::Upgrade;
use crate::plan::refusals::Refusal;
use crate::plan::upgrade::Running;

/// Returns what keeps pods on the nodes that the upgrade `u` drains: refusals for drains that can never succeed, and warnings, each with its nodes,
/// for drains that may only have to wait. Both are empty if no node is drained, or if the API did not return the pods.
pub(super) async fn judged(
    session: &Session,
    observed: &Observed,
    running: &Running,
    u: &Upgrade,
) -> (Vec<Refusal>, Vec<(HostName, String)>) {
    let (Some(options), Some(cluster), Some(pods)) = (&u.nodes.drain, &observed.facts.cluster, observed.lists.get(PODS)) else {
        return (vec![], vec![]);
    };
    let behind = |h: &&HostEntry| session.selected.contains(&h.name) && running.kubelets.get(&h.name).is_some_and(|v| *v != u.to);
    let order = |control_plane: bool| -> Vec<String> {
        let nodes = session.inventory.nodes().filter(|h| h.has(Role::ControlPlane) == control_plane);
        nodes.filter(behind).map(|h| h.name.clone()).collect()
    };
    let (masters, workers) = (order(true), order(false));
    let asked = evicted(&[masters.clone(), workers.clone()].concat(), pods);
    let via = session.masters().find(|m| m.name == cluster.via);
    let ask = via.filter(|_| !asked.is_empty()).map(|m| (m.name.clone(), evictions::request(m.node_address(), &asked)));
    let answers = session.each(ask.into_iter().collect()).await;
    let answers = answers.into_iter().find_map(|(_, a)| a.ok()).map(|out| evictions::parse(&out.stdout)).unwrap_or_default();
    let all_workers = session.inventory.nodes().filter(|h| !h.has(Role::ControlPlane)).count();
    let budgets = evictions::budgets(&observed.lists);
    let mut found: BTreeMap<String, Finding> = BTreeMap::new();
    for (order, at_once) in [(&masters, 1), (&workers, u.nodes.at_once.of(all_workers))] {
        let inputs = Inputs { order, at_once, returns: true, options, nodes: &cluster.nodes, pods, budgets: &budgets, evictions: &answers };
        found.extend(findings(&inputs).into_iter().map(|f| (f.to_string(), f)));
    }
    let (certain, perhaps): (Vec<Finding>, Vec<Finding>) = found.into_values().partition(|f| f.certain);
    let warnings = perhaps.iter().map(|f| (f.nodes.join(", "), format!("{f}; its drain waits for that"))).collect();
    (certain.iter().map(refusal).collect(), warnings)
}

fn refusal(f: &Finding) -> Refusal {
    let (name, fix) = match f.what {
        What::Budget | What::Budgets | What::Refused => (
            "disruption-budget",
            "change the budget or add replicas; `--allow disruption-budget` begins all the same, and its drain stops the upgrade",
        ),
        What::Unmanaged => ("unmanaged-pods", "delete them yourself, or let them go with `--force`"),
        What::EmptyDir => ("emptydir-data", "save that data, then let it go with `--delete-emptydir-data`"),
    };
    Refusal::drain(name, &f.to_string(), fix)
}
