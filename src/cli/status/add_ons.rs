//! Whether the cluster's own add-ons run: how many pods of CoreDNS and kube-proxy are available.

use serde_json::Value;

use super::Seen;
use crate::inventory::Inventory;

/// API paths of the lists with the Deployment of CoreDNS and the DaemonSet of kube-proxy. The lists are requested instead of the objects: a list
/// without the object shows that the object is missing, while an absent object could also mean that the API did not answer.
pub const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/kube-system/deployments";
pub const DAEMON_SETS: &str = "/apis/apps/v1/namespaces/kube-system/daemonsets";

/// One sentence per add-on that is not wholly available, with whether `init` waits for that add-on. An add-on is skipped if the API did not return
/// its list.
pub fn unavailable(inv: &Inventory, seen: &Seen) -> Vec<(String, bool)> {
    let core_dns = (inv.addons.core_dns.enabled, DEPLOYMENTS, "coredns", "CoreDNS", inv.addons.core_dns.wait);
    let kube_proxy = (inv.addons.kube_proxy.enabled, DAEMON_SETS, "kube-proxy", "kube-proxy", true);
    let wanted = [core_dns, kube_proxy].into_iter().filter(|(enabled, ..)| *enabled);
    wanted
        .filter_map(|(_, list, object, name, waits)| {
            let items = seen.observed.lists.get(list)?["items"].as_array()?;
            let sentence = match items.iter().find(|o| o["metadata"]["name"] == object) {
                None => format!("{name} is not deployed; `clusterctl apply` deploys it"),
                Some(object) => {
                    let (available, wanted) = pods(object);
                    if available >= wanted {
                        return None;
                    }
                    format!("{available} of {wanted} pods of {name} are available; see `kubectl -n kube-system get pods`")
                }
            };
            Some((sentence, waits))
        })
        .collect()
}

/// How many pods of a Deployment or DaemonSet are available, and how many there should be. The API leaves out numbers that are 0, so a missing number
/// counts as 0.
fn pods(object: &Value) -> (u64, u64) {
    let number = |v: &Value| v.as_u64().unwrap_or(0);
    let (spec, status) = (&object["spec"], &object["status"]);
    match spec["replicas"].as_u64() {
        Some(wanted) => (number(&status["availableReplicas"]), wanted),
        None => (number(&status["numberAvailable"]), number(&status["desiredNumberScheduled"])),
    }
}
