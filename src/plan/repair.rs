//! The repair of control planes whose API servers are not ready. Perhaps no API server answers, so the repair uses only the facts that the
//! hosts themselves report.

use std::collections::BTreeMap;

use super::refusals::Refusal;
use super::upgrade::kubelet_fits;
use super::{DesiredSteps, Plan, Width};
use crate::facts::{Facts, HostFacts};
use crate::host::HostName;
use crate::inventory::{HostEntry, Inventory, KubeVersion};
use crate::layout;
use crate::step::{ApiWithEtcd, Step};

/// The control-plane hosts of an existing cluster that can be reached, but whose API server is not ready. A host that still watches a new
/// process after the replacement of a static pod is left out, because it restores the old manifest itself if the process crashes.
pub fn away<'a>(inv: &'a Inventory, facts: &Facts) -> Vec<&'a HostEntry> {
    let is_away = |f: &HostFacts| f.files.contains_key(layout::ESTABLISHED) && f.api_version.is_none() && f.unsettled.is_empty();
    inv.control_planes().filter(|h| facts.hosts.get(&h.name).is_some_and(is_away)).collect()
}

/// The newest version in the image tags of a host's static pod manifests; etcd's manifest does not count. If the manifest of the API server is
/// absent, it had this version or a newer one, because the API server is changed before the other components. `None` if none of these manifests
/// is left.
pub fn control_plane_version(f: &HostFacts) -> Option<KubeVersion> {
    let tag = |component: &&str| {
        let manifest = f.text(&manifest(component))?;
        let image = manifest.lines().find_map(|line| line.trim().strip_prefix("image:"))?;
        image.trim().trim_matches(['"', '\'']).rsplit_once(':')?.1.parse().ok()
    };
    layout::CONTROL_PLANE_PODS.iter().filter_map(tag).max()
}

/// The version of the kubelet that clusterctl installed on the host. `None` if the kubelet's binary was changed since then, or if the URL of
/// its download contains no version.
pub fn kubelet_version(f: &HostFacts) -> Option<KubeVersion> {
    f.binaries.get(layout::KUBELET)?.split('/').find_map(|part| part.parse().ok())
}

/// Groups these hosts by the version of their control plane; see [`control_plane_version`]. A host for which it is `None` is put into the group
/// of the version `otherwise`.
pub fn by_version(hosts: &[&HostEntry], facts: &Facts, otherwise: &KubeVersion) -> BTreeMap<KubeVersion, Vec<HostName>> {
    let mut out: BTreeMap<KubeVersion, Vec<HostName>> = BTreeMap::new();
    for h in hosts {
        let version = control_plane_version(facts.host(&h.name)).unwrap_or_else(|| otherwise.clone());
        out.entry(version).or_default().push(h.name.clone());
    }
    out
}

/// Refuses a repair by `apply` or `plan` if a host has another version than the inventory, because only `upgrade` changes versions. `None` if
/// no host does.
pub fn other_version(inv: &Inventory, facts: &Facts) -> Option<Refusal> {
    let wanted = &inv.cluster.version;
    let hosts = inv.nodes().filter_map(|h| Some((&h.name, facts.hosts.get(&h.name)?)));
    let other: Vec<String> = hosts
        .filter_map(|(name, f)| {
            // An older kubelet that may run beside the API server stays as it is; see `Kubelets::OfInventory`.
            let kubelet = kubelet_version(f).filter(|v| !kubelet_fits(v, wanted));
            let versions = control_plane_version(f).filter(|v| v != wanted).into_iter().chain(kubelet);
            Some(format!("{name} {}", versions.max()?))
        })
        .collect();
    (!other.is_empty()).then(|| {
        let message = format!("the inventory says {wanted}, these hosts have another version, and no API server answers: {}", other.join(", "));
        let fix = "an upgrade that was interrupted goes on with `clusterctl upgrade`; else write the version that the hosts have into the inventory";
        Refusal::new("", "version", message, fix)
    })
}

/// Changes the desired steps of a cluster into those of a repair. On a host that has etcd's static pod manifest, each change of the etcd member
/// is removed, because a repair leaves such a member as it is. If no API server answers, a phase that starts static pods but no etcd member
/// runs on all its hosts at once.
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

/// Whether the plan restores anything. Waits and checks of flags do not count, because they change nothing. A static pod whose manifest is in
/// place does not count either, because the kubelet starts it without clusterctl.
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
