//! Warnings about settings that the target version of an upgrade still accepts and a later version will not. They are shown early, because each
//! of them needs work on the hosts.

use std::collections::BTreeMap;

use super::super::cgroup;
use super::Inputs;
use crate::host::HostName;
use crate::versions;

/// The first minor version of Kubernetes for which a containerd that is too old causes a warning. If the container runtime lacks the CRI call
/// RuntimeConfig, the kubelet uses a fallback and reports this in its metric `kubelet_cri_losing_support`. Kubernetes 1.38 is announced to
/// remove the fallback, and kubeadm 1.37 warns. containerd has RuntimeConfig since 2.0.
const CONTAINERD_WARNED_SINCE: u64 = 34;
const CONTAINERD_NEEDED: u64 = 2;

/// The minor version of Kubernetes since which kube-proxy's mode ipvs is deprecated.
const IPVS_DEPRECATED: u64 = 35;

/// The warnings: the hosts or the component concerned, and the message.
pub(super) fn warnings(i: &Inputs<'_>) -> Vec<(HostName, String)> {
    let Some(to) = i.stages.last().map(|l| l.version()) else { return Vec::new() };
    let mut out = Vec::new();
    if to.minor() >= CONTAINERD_WARNED_SINCE {
        for (version, hosts) in old_containerds(i) {
            let message = format!("containerd {version}: Kubernetes 1.38 is announced to need containerd {CONTAINERD_NEEDED}.0 or later");
            out.push((hosts.join(", "), message));
        }
    }
    if versions::of(to).is_some_and(|v| v.kubelet.cgroup_v1) {
        let v1 = |name: &HostName| i.facts.hosts.get(name).is_some_and(cgroup::is_v1);
        let hosts: Vec<&str> = i.inv.nodes().filter(|h| v1(&h.name)).map(|h| h.name.as_str()).collect();
        if !hosts.is_empty() {
            out.push((hosts.join(", "), "cgroup v1: the kubelet of Kubernetes 1.35 does not start with it".into()));
        }
    }
    let proxy = &i.inv.addons.kube_proxy;
    if to.minor() >= IPVS_DEPRECATED && proxy.enabled && proxy.config.get("mode").is_some_and(|m| m == "ipvs") {
        let message =
            format!("its mode ipvs is deprecated since Kubernetes 1.{IPVS_DEPRECATED} and is to be removed; nftables replaces it");
        out.push(("kube-proxy".into(), message));
    }
    out
}

/// Nodes whose containerd has a major version below [`CONTAINERD_NEEDED`], by the version of containerd that their kubelets report.
fn old_containerds(i: &Inputs<'_>) -> BTreeMap<String, Vec<String>> {
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for h in i.inv.nodes() {
        let node = i.facts.node(&h.name);
        let runtime = node.and_then(|n| n["status"]["nodeInfo"]["containerRuntimeVersion"].as_str()).unwrap_or_default();
        let Some(version) = runtime.strip_prefix("containerd://") else { continue };
        let major = version.trim_start_matches('v').split('.').next().and_then(|n| n.parse::<u64>().ok());
        if major.is_some_and(|major| major < CONTAINERD_NEEDED) {
            out.entry(version.to_string()).or_default().push(h.name.clone());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::facts::{ClusterFacts, Facts, HostFacts};
    use crate::inventory::Inventory;
    use crate::plan::upgrade::{Running, UpgradeStage};

    fn said(to: &str, proxy: &str, cgroup_fs: &str, runtimes: &[(&str, &str)]) -> Vec<String> {
        let text = format!(
            "cluster: {{name: c, version: {to}}}\naddons: {{kubeProxy: {{config: {{{proxy}}}}}}}\nhosts:\n\
            - {{name: m1, address: 192.0.2.1, roles: [control-plane]}}\n- {{name: w1, address: 192.0.2.2, roles: [worker]}}\n"
        );
        let inv: Inventory = serde_yaml::from_str(&text).expect("the inventory is valid");
        let node = |runtime: &str| json!({ "status": { "nodeInfo": { "containerRuntimeVersion": runtime } } });
        let nodes = runtimes.iter().map(|(name, runtime)| (name.to_string(), node(runtime))).collect();
        let mut facts = Facts { cluster: Some(ClusterFacts { nodes, ..ClusterFacts::default() }), ..Facts::default() };
        facts.hosts.insert("w1".into(), HostFacts { cgroup_fs: cgroup_fs.into(), ..HostFacts::default() });
        let (running, deprecated, stages) = (Running::default(), BTreeSet::new(), [UpgradeStage::Kubelets(to.parse().expect("a version"))]);
        let inputs = Inputs { inv: &inv, facts: &facts, running: &running, stages: &stages, selected: &[], deprecated: &deprecated };
        warnings(&inputs).into_iter().map(|(host, message)| format!("{host}: {message}")).collect()
    }

    #[test]
    fn a_containerd_of_the_first_generation_is_named_once_with_its_hosts() {
        let hosts = [("m1", "containerd://1.7.24"), ("w1", "containerd://1.7.24")];
        assert_eq!(said("v1.33.4", "", "", &hosts), [""; 0]);
        assert_eq!(
            said("v1.37.1", "", "", &hosts),
            ["m1, w1: containerd 1.7.24: Kubernetes 1.38 is announced to need containerd 2.0 or later"]
        );
        assert_eq!(said("v1.37.1", "", "", &[("m1", "containerd://v2.1.4"), ("w1", "cri-o://1.34.0")]), [""; 0]);
    }

    #[test]
    fn cgroup_v1_is_named_before_the_kubelet_refuses_it() {
        assert_eq!(said("v1.34.9", "", "tmpfs", &[]), ["w1: cgroup v1: the kubelet of Kubernetes 1.35 does not start with it"]);
        assert_eq!(said("v1.34.9", "", "cgroup2fs", &[]), [""; 0]);
        assert_eq!(said("v1.35.1", "", "tmpfs", &[]), [""; 0], "it is refused there");
    }

    #[test]
    fn a_deprecated_mode_of_kube_proxy_is_named() {
        assert_eq!(said("v1.34.9", "mode: ipvs", "", &[]), [""; 0]);
        assert_eq!(
            said("v1.35.1", "mode: ipvs", "", &[]),
            ["kube-proxy: its mode ipvs is deprecated since Kubernetes 1.35 and is to be removed; nftables replaces it"]
        );
        assert_eq!(said("v1.35.1", "mode: nftables", "", &[]), [""; 0]);
    }
}
