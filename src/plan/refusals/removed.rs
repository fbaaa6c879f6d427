//! Flags, admission plugins, feature gates and API versions of the inventory with which the programs of its version would not start: refused
//! before anything changes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Refusal;
use crate::inventory::Inventory;
use crate::versions::{self, etcd, locked, removed};

/// Refuses each flag, admission plugin, feature gate and API version in the inventory that the inventory's Kubernetes or etcd version no longer
/// has, and each feature gate with a value that the Kubernetes version does not allow.
pub(super) fn of(inv: &Inventory) -> Vec<Refusal> {
    let mut found = Found { minor: inv.cluster.version.minor(), out: Vec::new() };
    let plane = &inv.control_plane;
    found.flags("", "controlPlane.apiServer.extraArgs", "kube-apiserver", &plane.api_server.extra_args);
    found.flags("", "controlPlane.controllerManager.extraArgs", "kube-controller-manager", &plane.controller_manager.extra_args);
    found.flags("", "controlPlane.scheduler.extraArgs", "kube-scheduler", &plane.scheduler.extra_args);
    found.flags("", "kubelet.extraArgs", "kubelet", &inv.kubelet.extra_args);
    found.config("", "kubelet.config", &inv.kubelet.config);
    found.config("", "addons.kubeProxy.config", &inv.addons.kube_proxy.config);
    if inv.etcd.external.is_none() {
        found.etcd(inv);
    }
    for host in &inv.hosts {
        found.flags(&host.name, "kubelet.extraArgs", "kubelet", &host.kubelet.extra_args);
        found.config(&host.name, "kubelet.config", &host.kubelet.config);
    }
    found.out
}

struct Found {
    minor: u64,
    out: Vec<Refusal>,
}

impl Found {
    fn say(&mut self, host: &str, place: &str, what: String, since: Option<u64>) {
        let Some(since) = since.filter(|since| *since <= self.minor) else { return };
        let message = format!("{place} names {what}, which Kubernetes has no more since v1.{since}");
        self.out.push(Refusal::new(host, "removed-option", message, "take it out of the inventory, or move on to what replaced it"));
    }

    fn flags(&mut self, host: &str, place: &str, program: &str, args: &BTreeMap<String, String>) {
        for (flag, value) in args {
            self.say(host, place, format!("the flag --{flag} of {program}"), removed::flag(program, flag));
            let words = value.split(',').map(str::trim);
            match flag.as_str() {
                "feature-gates" => words.for_each(|w| self.gate(host, place, w)),
                "runtime-config" => words.for_each(|w| self.api_version(host, place, w)),
                "enable-admission-plugins" | "disable-admission-plugins" => {
                    words.for_each(|w| self.say(host, place, format!("the admission plugin {w}"), removed::admission_plugin(w)));
                }
                _ => {}
            }
        }
    }

    fn config(&mut self, host: &str, place: &str, config: &Map<String, Value>) {
        let gates = config.get("featureGates").and_then(Value::as_object);
        gates.into_iter().flatten().for_each(|(gate, value)| self.gate(host, place, &format!("{gate}={value}")));
    }

    /// Checks one entry of `feature-gates`, such as `NAME=true`. A component may precede the name, as in `kube:NAME=true`.
    fn gate(&mut self, host: &str, place: &str, word: &str) {
        let (name, value) = word.split_once('=').unwrap_or((word, "true"));
        let gate = name.rsplit_once(':').map_or(name, |(_, gate)| gate).trim();
        self.say(host, place, format!("the feature gate {gate}"), removed::feature_gate(gate));
        let Some(locked) = locked::feature_gate(self.minor, gate).filter(|locked| boolean(value).is_some_and(|set| set != *locked)) else {
            return;
        };
        let message = format!("{place} sets the feature gate {gate} to {}, and Kubernetes v1.{} locks it to {locked}", !locked, self.minor);
        self.out.push(Refusal::new(
            host,
            "locked-feature-gate",
            message,
            "take the gate out of the inventory; no program of that version starts with it",
        ));
    }

    /// Checks an entry of `runtime-config`: `group/version` or `group/version/resource`, with a value.
    fn api_version(&mut self, host: &str, place: &str, word: &str) {
        let name = word.split('=').next().unwrap_or(word);
        let group_version = name.splitn(3, '/').take(2).collect::<Vec<_>>().join("/");
        let Some(since) = removed::group_version(&group_version).filter(|since| *since <= self.minor) else { return };
        let message =
            format!("{place} names the API version {group_version} of runtime-config, which Kubernetes has no more since v1.{since}");
        let fix = "delete the objects that were made with that API version, then take the entry out of the inventory";
        self.out.push(Refusal::new(host, "removed-option", message, fix));
    }

    /// Checks etcd's flags by the version of etcd: `etcd.imageTag` of the inventory, or else the default of the Kubernetes version.
    fn etcd(&mut self, inv: &Inventory) {
        let default = versions::of(&inv.cluster.version).map(|v| v.images.etcd);
        let Some(version) = inv.etcd.image_tag.as_deref().or(default).and_then(etcd::version) else { return };
        for flag in inv.etcd.extra_args.keys() {
            let Some((major, minor)) = etcd::removed_flag(flag).filter(|since| *since <= (version.0, version.1)) else { continue };
            let message = format!("etcd.extraArgs names the flag --{flag}, which etcd has no more since {major}.{minor}");
            let fix = match flag.starts_with("experimental") {
                true => "name the flag without `experimental-`, or the entry of `feature-gates` that replaced it; see etcd's upgrade guide",
                false => "take it out of the inventory",
            };
            self.out.push(Refusal::new("", "removed-option", message, fix));
        }
    }
}

/// A boolean as Go's `strconv.ParseBool` reads it.
fn boolean(text: &str) -> Option<bool> {
    match text.trim() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(version: &str) -> Vec<String> {
        let text = format!(
            "cluster: {{name: c, version: {version}, endpoint: \"10.0.0.9:6443\"}}\nloadBalancer: {{kind: external}}\n\
            controlPlane: {{apiServer: {{extraArgs: {{enable-admission-plugins: \"NodeRestriction,PodSecurityPolicy\", \
            feature-gates: \"EphemeralContainers=true\", logtostderr: \"true\", audit-log-path: \"-\"}}}}}}\n\
            kubelet: {{config: {{featureGates: {{DynamicKubeletConfig: false}}}}}}\nhosts:\n\
            - {{name: m1, address: 10.0.0.1, roles: [control-plane], kubelet: {{extraArgs: {{network-plugin: cni}}}}}}\n"
        );
        let inv: Inventory = serde_yaml::from_str(&text).expect("the inventory is valid");
        of(&inv).into_iter().map(|b| format!("{}: {}", b.host, b.message.split(',').next().unwrap_or_default())).collect()
    }

    #[test]
    fn what_a_version_knows_is_no_matter() {
        assert_eq!(found("v1.21.14"), [""; 0]);
    }

    #[test]
    fn what_it_has_no_more_is_named_with_its_place() {
        let all = [
            ": controlPlane.apiServer.extraArgs names the admission plugin PodSecurityPolicy",
            ": controlPlane.apiServer.extraArgs names the feature gate EphemeralContainers",
            ": controlPlane.apiServer.extraArgs names the flag --logtostderr of kube-apiserver",
            ": kubelet.config names the feature gate DynamicKubeletConfig",
            "m1: kubelet.extraArgs names the flag --network-plugin of kubelet",
        ];
        assert_eq!(found("v1.28.1"), all);
    }

    fn refused(version: &str, sections: &str) -> Vec<String> {
        let text = format!(
            "cluster: {{name: c, version: {version}}}\n{sections}\nhosts:\n- {{name: m1, address: 10.0.0.1, roles: [control-plane]}}\n"
        );
        let inv: Inventory = serde_yaml::from_str(&text).expect("the inventory is valid");
        of(&inv).into_iter().map(|b| format!("{}: {}", b.name, b.message)).collect()
    }

    #[test]
    fn a_locked_gate_is_refused_with_the_other_value_alone() {
        let api = |gates: &str| format!("controlPlane: {{apiServer: {{extraArgs: {{feature-gates: \"{gates}\"}}}}}}");
        assert_eq!(refused("v1.35.2", &api("NodeLogQuery=false")), [""; 0], "it is not locked yet");
        assert_eq!(refused("v1.36.2", &api("NodeLogQuery=true,GitRepoVolumeDriver=false")), [""; 0]);
        assert_eq!(
            refused("v1.36.2", &api("Other=false,kube:NodeLogQuery=False,GitRepoVolumeDriver=true")),
            [
                "locked-feature-gate: controlPlane.apiServer.extraArgs sets the feature gate NodeLogQuery to false, and Kubernetes v1.36 locks it to true",
                "locked-feature-gate: controlPlane.apiServer.extraArgs sets the feature gate GitRepoVolumeDriver to true, and Kubernetes v1.36 locks it to false",
            ]
        );
        assert_eq!(
            refused("v1.34.2", "kubelet: {config: {featureGates: {NodeSwap: false, KubeletTracing: true}}}"),
            ["locked-feature-gate: kubelet.config sets the feature gate NodeSwap to false, and Kubernetes v1.34 locks it to true"]
        );
    }

    #[test]
    fn an_api_version_that_is_gone_is_refused_whatever_its_value() {
        let api = |value: &str| format!("controlPlane: {{apiServer: {{extraArgs: {{runtime-config: \"{value}\"}}}}}}");
        let value = "api/all=true,scheduling.k8s.io/v1alpha2=false,scheduling.k8s.io/v1alpha2/workloads=true,apps/v1=true";
        assert_eq!(refused("v1.36.2", &api(value)), [""; 0]);
        let said = "removed-option: controlPlane.apiServer.extraArgs names the API version scheduling.k8s.io/v1alpha2 of runtime-config, which \
            Kubernetes has no more since v1.37";
        assert_eq!(refused("v1.37.1", &api(value)), [said, said]);
    }

    #[test]
    fn flags_of_etcd_go_with_the_version_of_etcd() {
        let args = "extraArgs: {experimental-warning-apply-duration: 1s, enable-v2: \"false\", quota-backend-bytes: \"1\"}";
        let etcd = |tag: &str| format!("etcd: {{{tag}{args}}}");
        assert_eq!(refused("v1.33.4", &etcd("")), [""; 0]);
        assert_eq!(
            refused("v1.36.2", &etcd("")),
            ["removed-option: etcd.extraArgs names the flag --enable-v2, which etcd has no more since 3.6"]
        );
        assert_eq!(refused("v1.37.1", &etcd("")).len(), 2);
        assert_eq!(refused("v1.37.1", &etcd("imageTag: 3.6.11-0, ")).len(), 1);
    }
}
