//! Waits until a workload is rolled out.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Condition, is_ready};
use crate::facts::{Facts, ObjectRef, url_host};
use crate::fenced;
use crate::host::{Cmd, HostName};

/// The rollout of a workload is complete, as the API server of the host at this address reports it. If `first` is true, it is enough that the first
/// new pod of a DaemonSet is available.
#[derive(Clone, Debug)]
pub struct Rollout {
    pub address: IpAddr,
    pub object: ObjectRef,
    pub first: bool,
}

/// The limit for a rollout that makes progress, unless the wait timeout is longer: enough for a hundred nodes whose pods are replaced one after
/// another.
const ROLLOUT_LIMIT: Duration = Duration::from_secs(1800);

/// A number in an object of the API; a missing number is 0.
fn number(v: &Value) -> u64 {
    v.as_u64().unwrap_or(0)
}

/// Whether a controller has observed the object in its present form; until then, the object's status has no meaning.
fn is_observed(object: &Value) -> bool {
    let observed = &object["status"]["observedGeneration"];
    !observed.is_null() && number(observed) >= number(&object["metadata"]["generation"])
}

/// Whether all pods of a Deployment or DaemonSet are new and available. A DaemonSet also wants a pod on each of the `away` nodes that are not Ready, and
/// a pod there never becomes available, so these pods are left out.
fn is_rolled_out(object: &Value, away: u64) -> bool {
    let (status, n) = (&object["status"], number);
    if !is_observed(object) {
        return false;
    }
    match object["kind"].as_str() {
        Some("DaemonSet") => {
            let want = n(&status["desiredNumberScheduled"]).saturating_sub(away);
            n(&status["updatedNumberScheduled"]) >= want && n(&status["numberAvailable"]) >= want
        }
        _ => {
            let want = n(&object["spec"]["replicas"]);
            n(&status["updatedReplicas"]) == want && n(&status["availableReplicas"]) == want
        }
    }
}

/// Whether the first new pod of a DaemonSet is available. This is known as soon as the second pod is replaced, because a DaemonSet replaces one pod
/// after another.
fn has_begun(object: &Value) -> bool {
    is_observed(object) && number(&object["status"]["updatedNumberScheduled"]) > 1
}

impl Condition for Rollout {
    fn title(&self) -> String {
        match self.first {
            false => format!("wait until {} is rolled out", self.object),
            true => format!("wait for the first new pod of {}", self.object),
        }
    }

    fn holds(&self, _host: &HostName, facts: &Facts) -> bool {
        let Some(cluster) = &facts.cluster else { return false };
        let away = cluster.nodes.values().filter(|n| !is_ready(n)).count() as u64;
        cluster.objects.get(&self.object).is_some_and(|o| is_rolled_out(o, away) || self.first && has_begun(o))
    }

    fn predict(&self, _host: &HostName, facts: &mut Facts) {
        let (object, kind) = (&self.object, &self.object.kind);
        let o = facts.cluster.get_or_insert_default().objects.entry(object.clone()).or_insert_with(|| json!({"kind": kind}));
        let want = o["spec"]["replicas"].as_u64().unwrap_or(0);
        let (all, updated) = if self.first { (3, 2) } else { (0, 0) };
        o["status"] = json!({"observedGeneration": u64::MAX, "desiredNumberScheduled": all, "updatedNumberScheduled": updated,
            "numberAvailable": all, "updatedReplicas": want, "availableReplicas": want});
    }

    fn command(&self, whole: Duration) -> Cmd {
        Cmd::script(fenced!("lib/kubectl.sh", "waits/wait_rollout.sh"))
            .arg("address", url_host(self.address))
            .arg("workload", format!("{}/{}", self.object.kind.to_lowercase(), self.object.name))
            .arg("namespace", &self.object.namespace)
            .arg("patience", whole.as_secs())
            .arg("limit", self.limit(whole).as_secs())
            .arg("part", if self.first { "first" } else { "whole" })
    }

    fn limit(&self, whole: Duration) -> Duration {
        ROLLOUT_LIMIT.max(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_not_ready_is_left_out() {
        let object = ObjectRef { group: "apps".into(), kind: "DaemonSet".into(), namespace: "kube-system".into(), name: "proxy".into() };
        let status = json!({"observedGeneration": 1, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 2});
        let mut facts = Facts::default();
        let cluster = facts.cluster.get_or_insert_default();
        cluster.objects.insert(object.clone(), json!({"kind": "DaemonSet", "metadata": {"generation": 1}, "status": status}));
        let node = |ready: &str| json!({"status": {"conditions": [{"type": "Ready", "status": ready}]}});
        cluster.nodes.extend([("m1", "True"), ("w1", "True"), ("w2", "True")].map(|(name, ready)| (name.to_string(), node(ready))));
        let rollout = Rollout { address: [192, 0, 2, 1].into(), object, first: false };
        assert!(!rollout.holds(&"m1".into(), &facts), "a pod on a Ready node is not available");
        if let Some(cluster) = &mut facts.cluster {
            cluster.nodes.insert("w2".into(), node("Unknown"));
        }
        assert!(rollout.holds(&"m1".into(), &facts));
    }
}
