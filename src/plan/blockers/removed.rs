//! Flags, admission plugins and feature gates of the inventory that the programs of its version have no more: refused before anything changes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Blocker;
use crate::inventory::Inventory;
use crate::versions::removed;

/// Everything in the inventory that its version does not know any more.
pub(super) fn of(inv: &Inventory) -> Vec<Blocker> {
    let mut found = Found { minor: inv.cluster.version.minor(), out: Vec::new() };
    let plane = &inv.control_plane;
    found.flags("", "controlPlane.apiServer.extraArgs", "kube-apiserver", &plane.api_server.extra_args);
    found.flags("", "controlPlane.controllerManager.extraArgs", "kube-controller-manager", &plane.controller_manager.extra_args);
    found.flags("", "controlPlane.scheduler.extraArgs", "kube-scheduler", &plane.scheduler.extra_args);
    found.flags("", "kubelet.extraArgs", "kubelet", &inv.kubelet.extra_args);
    found.config("", "kubelet.config", &inv.kubelet.config);
    found.config("", "addons.kubeProxy.config", &inv.addons.kube_proxy.config);
    for host in &inv.hosts {
        found.flags(&host.name, "kubelet.extraArgs", "kubelet", &host.kubelet.extra_args);
        found.config(&host.name, "kubelet.config", &host.kubelet.config);
    }
    found.out
}

struct Found {
    minor: u64,
    out: Vec<Blocker>,
}

impl Found {
    fn say(&mut self, host: &str, place: &str, what: String, since: Option<u64>) {
        let Some(since) = since.filter(|since| *since <= self.minor) else { return };
        let message = format!("{place} names {what}, which Kubernetes has no more since v1.{since}");
        self.out.push(Blocker::new(host, "removed-option", message, "take it out of the inventory, or move on to what replaced it"));
    }

    fn flags(&mut self, host: &str, place: &str, program: &str, args: &BTreeMap<String, String>) {
        for (flag, value) in args {
            self.say(host, place, format!("the flag --{flag} of {program}"), removed::flag(program, flag));
            let words = value.split(',').map(str::trim);
            match flag.as_str() {
                "feature-gates" => words.for_each(|w| self.gate(host, place, w.split('=').next().unwrap_or(w))),
                "enable-admission-plugins" | "disable-admission-plugins" => {
                    words.for_each(|w| self.say(host, place, format!("the admission plugin {w}"), removed::admission_plugin(w)));
                }
                _ => {}
            }
        }
    }

    fn config(&mut self, host: &str, place: &str, config: &Map<String, Value>) {
        let gates = config.get("featureGates").and_then(Value::as_object);
        gates.into_iter().flat_map(Map::keys).for_each(|gate| self.gate(host, place, gate));
    }

    fn gate(&mut self, host: &str, place: &str, gate: &str) {
        self.say(host, place, format!("the feature gate {gate}"), removed::feature_gate(gate));
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
}
