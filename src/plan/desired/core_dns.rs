//! What clusterctl leaves alone of a CoreDNS that is deployed, where the inventory does not set it: a Corefile that somebody has changed, and the number of
//! replicas.

use serde_json::Value;

use crate::facts::{Facts, ObjectRef};
use crate::inventory::Inventory;
use crate::render::objects::stock_corefiles;

/// Puts the Corefile and the number of replicas of the cluster into the objects that are to be applied, where the inventory does not set them.
pub(super) fn keep(objects: &mut [Value], inv: &Inventory, facts: &Facts) {
    let dns = &inv.addons.core_dns;
    for object in objects.iter_mut().filter(|o| is_core_dns(&ObjectRef::of(o))) {
        let Some(now) = facts.cluster.as_ref().and_then(|c| c.objects.get(&ObjectRef::of(object))) else { continue };
        if object["kind"] == "ConfigMap"
            && dns.corefile.is_none()
            && let Some(text) = changed(inv, now)
        {
            object["data"]["Corefile"] = text.into();
        }
        if object["kind"] == "Deployment"
            && dns.replicas.is_none()
            && let Some(replicas) = now["spec"]["replicas"].as_u64()
        {
            object["spec"]["replicas"] = replicas.into();
        }
    }
}

fn is_core_dns(object: &ObjectRef) -> bool {
    object.namespace == "kube-system" && object.name == "coredns"
}

/// The Corefile of the ConfigMap, if it is none that Kubernetes' versions have. An empty one is nobody's.
fn changed<'a>(inv: &Inventory, config_map: &'a Value) -> Option<&'a str> {
    let text = config_map["data"]["Corefile"].as_str().filter(|text| !text.trim().is_empty())?;
    let stock = stock_corefiles(&inv.network.dns_domain);
    stock.iter().all(|s| s.trim() != text.trim()).then_some(text)
}

/// Whether the cluster has a Corefile that is kept although the inventory does not have it.
pub fn keeps_corefile(inv: &Inventory, facts: &Facts) -> bool {
    let dns = &inv.addons.core_dns;
    let objects = facts.cluster.iter().flat_map(|c| &c.objects);
    let mut config_maps = objects.filter(|(name, _)| name.kind == "ConfigMap" && is_core_dns(name));
    dns.enabled && dns.corefile.is_none() && config_maps.any(|(_, object)| changed(inv, object).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::facts::ClusterFacts;
    use crate::plan::desired::all_objects;
    use crate::versions;

    fn inventory(core_dns: &str) -> Inventory {
        let text = format!("cluster: {{name: c, version: v1.36.2}}\naddons: {{coreDns: {{{core_dns}}}}}\nhosts: []\n");
        serde_yaml::from_str(&text).expect("the inventory is valid")
    }

    /// The Corefile and the replicas that are applied for these options to a cluster with this Corefile and five replicas.
    fn applied(core_dns: &str, corefile: &str) -> (String, Value, bool) {
        let inv = inventory(core_dns);
        let v = versions::of(&inv.cluster.version).expect("the version is supported");
        let mut objects = all_objects(&inv, v, "", &[]);
        let mut now = objects.clone();
        for object in now.iter_mut().filter(|o| is_core_dns(&ObjectRef::of(o))) {
            match object["kind"].as_str() {
                Some("ConfigMap") => object["data"]["Corefile"] = corefile.into(),
                Some("Deployment") => object["spec"]["replicas"] = 5.into(),
                _ => {}
            }
        }
        let there = now.into_iter().map(|o| (ObjectRef::of(&o), o)).collect();
        let facts = Facts { cluster: Some(ClusterFacts { objects: there, ..ClusterFacts::default() }), ..Facts::default() };
        keep(&mut objects, &inv, &facts);
        let of = |kind: &str| objects.iter().find(|o| o["kind"] == kind && is_core_dns(&ObjectRef::of(o))).cloned().unwrap_or_default();
        let text = of("ConfigMap")["data"]["Corefile"].as_str().unwrap_or_default().to_string();
        (text, of("Deployment")["spec"]["replicas"].clone(), keeps_corefile(&inv, &facts))
    }

    #[test]
    fn what_somebody_has_changed_is_kept_and_told() {
        let theirs = ".:53 {\n    forward . 192.0.2.53\n}\n";
        assert_eq!(applied("", theirs), (theirs.to_string(), json!(5), true));
    }

    #[test]
    fn a_corefile_of_an_older_version_and_an_empty_one_are_replaced() {
        let [new, old] = stock_corefiles("cluster.local");
        assert_ne!(new, old);
        assert_eq!(applied("", &old), (new.clone(), json!(5), false));
        assert_eq!(applied("", " "), (new, json!(5), false));
    }

    #[test]
    fn the_inventory_wins() {
        assert_eq!(applied("corefile: mine, replicas: 3", ".:53 {}"), ("mine".to_string(), json!(3), false));
    }
}
