//! The steps that restore etcd from a snapshot, on all members at once, while no API server and no etcd runs.

use super::members::peer_url;
use super::{DesiredSteps, HostSteps, Part, Phase, Width};
use crate::facts::Facts;
use crate::facts::restore::{Mark, Stage};
use crate::host::HostName;
use crate::inventory::{CniKind, HostEntry, Inventory, Role};
use crate::layout;
use crate::step::restore::{self, Restore, Target, mark_of};

/// The desired steps of a restore. Each phase ends on all hosts before the next one begins: no data is exchanged while an API server or a member runs
/// anywhere, and no member starts with restored data before all members have it.
pub fn desired_steps(inv: &Inventory, facts: &Facts, target: &Target) -> DesiredSteps {
    let members = inv.etcd_hosts();
    let service = !inv.etcd_is_stacked();
    let cluster: Vec<String> = members.iter().map(|h| format!("{}={}", h.name, peer_url(h))).collect();
    let of = |hosts: &[&HostEntry], part: &dyn Fn(&HostEntry) -> restore::Part| -> Vec<HostSteps<_>> {
        let steps = |h: &HostEntry| vec![Restore { target: target.clone(), part: part(h) }.into()];
        hosts.iter().map(|h| HostSteps { host: h.name.clone(), guards: vec![], steps: steps(h) }).collect()
    };
    let masters: Vec<&HostEntry> = inv.control_planes().collect();
    let both: Vec<&HostEntry> = inv.core_hosts().collect();
    // The restore does not wait for a worker that does not answer. Its kubelet starts anew when its machine does.
    let nodes: Vec<&HostEntry> = inv.nodes().filter(|h| facts.hosts.contains_key(&h.name)).collect();
    let prepare = |h: &HostEntry| restore::Part::Prepare { name: h.name.clone(), cluster: cluster.join(","), peer: peer_url(h) };
    let kubelet = |h: &HostEntry| restore::Part::Kubelet {
        node: h.name.clone(),
        server: server_for(inv, h),
        ready: inv.network.cni.kind != CniKind::None,
    };
    [
        ("bring the snapshot", of(&members, &prepare)),
        ("stop the API", of(&masters, &|_| restore::Part::StopApi)),
        ("stop etcd", of(&members, &|_| restore::Part::StopEtcd { service })),
        ("exchange the data", of(&members, &|_| restore::Part::Exchange { service })),
        ("start etcd", of(&members, &|_| restore::Part::StartEtcd { service })),
        ("quorum", of(&members, &|_| restore::Part::AwaitEtcd { service })),
        ("start the API", of(&masters, &|h| restore::Part::StartApi { address: h.node_address() })),
        ("finish", of(&both, &|_| restore::Part::Finish)),
        // The kubelets come last, because a node that does not come back must not keep the restore from its end.
        ("kubelets", of(&nodes, &kubelet)),
    ]
    .map(|(name, hosts)| Phase { part: Part::Other, name, width: Width::All, hosts })
    .into()
}

/// The URL of the API server that the kubelet of this host uses.
fn server_for(inv: &Inventory, h: &HostEntry) -> String {
    match h.has(Role::ControlPlane) {
        true => format!("https://{}", layout::join_host_port(h.node_address(), layout::API_SERVER_PORT)),
        false => format!("https://{}", inv.endpoint_authority()),
    }
}

/// The hosts on which a restore has begun and not finished, with their marks.
pub fn unfinished(facts: &Facts) -> Vec<(&HostName, Mark)> {
    facts.hosts.iter().filter_map(|(name, f)| Some((name, mark_of(f)?))).filter(|(_, mark)| mark.is_unfinished()).collect()
}

/// The token of the restore of this snapshot that the hosts have begun or finished; `None` if a new restore of it begins.
///
/// A restore that is unfinished on a host continues. One that all members have finished is not repeated: the snapshot has been restored, and what was
/// written since would be lost.
pub fn token_of(inv: &Inventory, facts: &Facts, snapshot: &str) -> Option<String> {
    let begun = unfinished(facts).into_iter().map(|(_, mark)| mark).filter(|m| m.snapshot == snapshot);
    if let Some(mark) = begun.max_by_key(|m| m.stage) {
        return Some(mark.token);
    }
    let members = inv.etcd_hosts();
    let marks: Vec<Mark> = members.iter().filter_map(|h| mark_of(facts.host(&h.name))).collect();
    let first = marks.first().filter(|m| m.snapshot == snapshot)?;
    let same = |m: &Mark| m.stage >= Stage::Finished && m.snapshot == first.snapshot && m.token == first.token;
    (marks.len() == members.len() && marks.iter().all(same)).then(|| first.token.clone())
}
