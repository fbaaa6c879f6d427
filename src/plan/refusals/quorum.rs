//! Refuses to work on a cluster whose etcd has no quorum: nothing can be read or changed in it, and no change of the hosts that answer would
//! help.

use super::Refusal;
use crate::facts::{Facts, HostFacts};
use crate::inventory::{HostEntry, Inventory};

/// Refuses a run if no API server answers and fewer etcd hosts answer than the quorum needs, although the members on the hosts that answer are
/// running. If one of these members is not running, the run is not refused, because a repair starts this member and may thereby restore the
/// quorum.
pub fn lost(inv: &Inventory, facts: &Facts) -> Option<Refusal> {
    let leads = facts.members().is_some_and(|list| list.iter().any(|m| m.leader));
    if facts.cluster.is_some() || leads {
        return None;
    }
    let hosts = inv.etcd_hosts();
    let (answer, silent): (Vec<&HostEntry>, Vec<&HostEntry>) = hosts.iter().partition(|h| facts.hosts.contains_key(&h.name));
    let runs = |f: &HostFacts| f.pods.contains_key("etcd") || f.units.get("etcd").is_some_and(|u| u.active == "active");
    let quorum = hosts.len() / 2 + 1;
    if answer.len() >= quorum || !answer.iter().all(|h| runs(facts.host(&h.name))) {
        return None;
    }
    let silent: Vec<&str> = silent.iter().map(|h| h.name.as_str()).collect();
    let message = format!(
        "etcd has no quorum: of its {} hosts {} answer, {quorum} are needed, and these do not answer: {}",
        hosts.len(),
        answer.len(),
        silent.join(", ")
    );
    Some(Refusal::new("", "etcd-quorum", message, "bring them back, and see the members with `clusterctl status`"))
}
