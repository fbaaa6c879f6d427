//! Refusals for hosts that are to be removed from a cluster or reset: whose cluster they belong to, what is mounted on them, and what etcd needs.

use super::{Refusal, foreign, mixed};
use crate::facts::{Facts, MemberFact};
use crate::host::HostName;
use crate::inventory::{HostEntry, Inventory, Role};
use crate::layout;
use crate::plan::members::peer_url;
use crate::plan::situation::ClusterState;

/// The entry of a host's member in etcd's member list, found by its peer URL or by its name. `None` also while no member answers.
pub fn member_of<'a>(h: &HostEntry, facts: &'a Facts) -> Option<&'a MemberFact> {
    facts.members()?.iter().find(|m| m.peer_urls.contains(&peer_url(h)) || m.name == h.name)
}

/// Whether a host has a member of etcd, by the member list and regardless of the role that the inventory gives the host. While no member answers,
/// the host's etcd role or a member's data on the host decides.
pub fn has_member(inv: &Inventory, h: &HostEntry, facts: &Facts) -> bool {
    match facts.members() {
        Some(_) => member_of(h, facts).is_some(),
        None => inv.runs_etcd(h) || facts.host(&h.name).files.contains_key(layout::ETCD_MEMBER_DIR),
    }
}

/// Every reason not to reset hosts. `selected` are the hosts that the operator selected; `leaving` are those of them that answer.
pub fn of_reset(inv: &Inventory, facts: &Facts, selected: &[HostName], leaving: &[HostName]) -> Vec<Refusal> {
    let mut out = not_ours(inv, facts, leaving);
    out.extend(mounts(facts, leaving));
    // If every control-plane host and every host with an etcd member is selected, the whole cluster is reset, so etcd's quorum does not matter.
    let goes_on = inv.core_hosts().any(|h| !selected.contains(&h.name)) && ClusterState::of(facts).exists();
    if !goes_on && !others_vote(inv, facts, selected) {
        return out;
    }
    let members = facts.members().map_or_else(|| inv.etcd_hosts().len(), <[_]>::len);
    for h in inv.hosts.iter().filter(|h| leaving.contains(&h.name)) {
        if has_member(inv, h, facts) {
            out.push(Refusal::member_stays(&h.name, members));
        } else if h.has(Role::ControlPlane) {
            let fix = format!("take it out with `clusterctl remove {}`, or reset the whole cluster", h.name);
            out.push(Refusal::new(&h.name, "control-plane", "it is a control-plane host of a cluster that goes on", fix));
        }
    }
    out
}

/// Whether etcd has a leader and a voting member on a host that is not selected. An inventory may list only a part of a cluster, and the rest of the
/// cluster then goes on without the hosts that it lists.
fn others_vote(inv: &Inventory, facts: &Facts, selected: &[HostName]) -> bool {
    let hosts = || inv.hosts.iter().filter(|h| selected.contains(&h.name));
    let is_selected = |m: &MemberFact| hosts().any(|h| m.peer_urls.contains(&peer_url(h)) || m.name == h.name);
    let list = facts.members().unwrap_or_default();
    list.iter().any(|m| m.leader) && list.iter().any(|m| !m.learner && !is_selected(m))
}

/// Refuses hosts of another cluster. It is recognized by its name or, if it has the same name as the inventory's cluster, by its CA.
fn not_ours(inv: &Inventory, facts: &Facts, leaving: &[HostName]) -> Vec<Refusal> {
    let mut out = foreign(inv, facts, leaving);
    let other_ca = mixed(inv, facts).into_iter().filter(|b| leaving.contains(&b.host));
    for mut refusal in other_ca.filter(|b| out.iter().all(|known| known.host != b.host)).collect::<Vec<_>>() {
        refusal.fix =
            "use the inventory of the cluster that it belongs to; a host that is left over from an earlier cluster of this name is reset \
                       with an inventory that lists only this host"
                .into();
        out.push(refusal);
    }
    out
}

/// Refuses hosts on which a file system is mounted at or inside a folder that is to be removed, because the removal would also delete the files of
/// this file system.
pub fn mounts(facts: &Facts, leaving: &[HostName]) -> Vec<Refusal> {
    let mounted = leaving.iter().filter(|h| !facts.host(h).mounts.is_empty());
    mounted
        .map(|h| {
            let message = format!("at or inside folders that are to be removed these are mounted: {}", facts.host(h).mounts.join(", "));
            Refusal::new(h, "mount", message, "unmount them, for good also in /etc/fstab, then run the same command again")
        })
        .collect()
}
