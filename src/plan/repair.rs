//! Repair of control planes whose API servers do not serve. No API can be asked, so the repair uses only the facts of the hosts themselves.

use std::collections::BTreeMap;

use super::blockers::Blocker;
use super::{DesiredSteps, Plan, Width};
use crate::facts::{Facts, HostFacts};
use crate::host::HostName;
use crate::inventory::{HostEntry, Inventory, KubeVersion};
use crate::layout;
use crate::step::{ApiWithEtcd, Step};

/// The control-plane hosts of an existing cluster that answer, but whose API server does not serve. A host that still watches a new process
/// after an earlier swap is not among these hosts.
pub fn away<'a>(inv: &'a Inventory, facts: &Facts) -> Vec<&'a HostEntry> {
    let is_away = |f: &HostFacts| f.files.contains_key(layout::ESTABLISHED) && f.api_version.is_none() && f.unsettled.is_empty();
    inv.control_planes().filter(|h| facts.hosts.get(&h.name).is_some_and(is_away)).collect()
}

/// The newest version in the manifests of a host's control plane. The API server is changed before the other components, so if its manifest is
/// absent, that manifest had this version or a newer one. `None` if no manifest is left.
pub fn control_plane_version(f: &HostFacts) -> Option<KubeVersion> {
    let tag = |component: &&str| {
        let manifest = f.text(&manifest(component))?;
        let image = manifest.lines().find_map(|line| line.trim().strip_prefix("image:"))?;
        image.trim().trim_matches(['"', '\'']).rsplit_once(':')?.1.parse().ok()
    };
    layout::CONTROL_PLANE_PODS.iter().filter_map(tag).max()
}

/// The version of the kubelet that clusterctl installed on the host. `None` if the program was changed since then, or if the path of its
/// download contains no version.
pub fn kubelet_version(f: &HostFacts) -> Option<KubeVersion> {
    f.binaries.get(layout::KUBELET)?.split('/').find_map(|part| part.parse().ok())
}

/// Groups these hosts by the version of their control plane. A host without any manifest counts as a host of the version `otherwise`.
pub fn by_version(hosts: &[&HostEntry], facts: &Facts, otherwise: &KubeVersion) -> BTreeMap<KubeVersion, Vec<HostName>> {
    let mut out: BTreeMap<KubeVersion, Vec<HostName>> = BTreeMap::new();
    for h in hosts {
        let version = control_plane_version(facts.host(&h.name)).unwrap_or_else(|| otherwise.clone());
        out.entry(version).or_default().push(h.name.clone());
    }
    out
}

/// Refuses a repair by `apply` or `plan` if a host has another version than the inventory: only `upgrade` changes versions.
pub fn other_version(inv: &Inventory, facts: &Facts) -> Option<Blocker> {
    let wanted = &inv.cluster.version;
    let hosts = inv.nodes().filter_map(|h| Some((&h.name, facts.hosts.get(&h.name)?)));
    let other: Vec<String> = hosts
        .filter_map(|(name, f)| {
            let versions = [control_plane_version(f), kubelet_version(f)].into_iter().flatten();
            Some(format!("{name} {}", versions.filter(|v| v != wanted).max()?))
        })
        .collect();
    (!other.is_empty()).then(|| {
        let message = format!("the inventory says {wanted}, these hosts have another version, and no API server answers: {}", other.join(", "));
        let fix = "an upgrade that was interrupted goes on with `clusterctl upgrade`; else write the version that the hosts have into the inventory";
        Blocker::new("", "version", message, fix)
    })
}

/// Removes from the desired steps each change of an etcd member whose manifest is in place on its host: a repair leaves such a member as it is.
/// If no API server answers and no etcd member has to be started, the control planes are restored side by side.
pub fn of(mut desired: DesiredSteps, facts: &Facts) -> DesiredSteps {
    for phase in &mut desired {
        for host_steps in &mut phase.hosts {
            let stays = facts.host(&host_steps.host).files.contains_key(&manifest("etcd"));
            host_steps.steps = std::mem::take(&mut host_steps.steps)
                .into_iter()
                .filter_map(|step| if stays { without_etcd(step) } else { Some(step) })
                .collect();
        }
        let pods = || phase.hosts.iter().flat_map(|t| &t.steps).flat_map(Step::static_pods);
        if facts.cluster.is_none() && pods().next().is_some() && pods().all(|p| p.component != "etcd") {
            phase.width = Width::All;
        }
    }
    desired
}

fn without_etcd(step: Step) -> Option<Step> {
    match step {
        Step::ApiWithEtcd(both) => Some(ApiWithEtcd { etcd: None, api: both.api }.into()),
        Step::StaticPod(pod) if pod.component == "etcd" => None,
        other => Some(other),
    }
}

/// Whether the plan restores something. Waits and checks change nothing, and the kubelet itself starts a static pod whose manifest is in place.
pub fn mends(plan: &Plan, facts: &Facts) -> bool {
    plan.steps().any(|(_, host, planned)| match &planned.step {
        Step::Wait(_) | Step::CheckFlags(_) => false,
        step => {
            let pods = step.static_pods();
            let in_place = |p: &crate::step::StaticPod| facts.host(host).text(&manifest(p.component)) == Some(p.manifest.as_str());
            pods.is_empty() || pods.into_iter().any(|p| !in_place(p))
        }
    })
}

fn manifest(component: &str) -> String {
    format!("{}/{component}.yaml", layout::MANIFESTS_DIR)
}
