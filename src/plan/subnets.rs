//! The pod subnet of each node: the subnet that the node has already, or else the next free subnet, in the inventory's order.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use crate::facts::Facts;
use crate::inventory::Inventory;
use crate::layout;

/// Assigns a pod subnet to every node of the inventory. A subnet of a node that is in the cluster but not in the inventory is not assigned
/// again. A node gets no entry if no subnet is free.
pub fn assign(inv: &Inventory, facts: &Facts) -> BTreeMap<String, IpNet> {
    let mut taken: BTreeMap<String, IpNet> = BTreeMap::new();
    for (name, node) in facts.cluster.iter().flat_map(|c| &c.nodes) {
        taken.extend(node["spec"]["podCIDR"].as_str().and_then(|c| c.parse().ok()).map(|c| (name.clone(), c)));
    }
    // If the API does not report the subnet of a node, for example because no API server answers, the subnet is read from the CNI configuration
    // on the host.
    for host in inv.nodes() {
        if !taken.contains_key(&host.name)
            && let Some(subnet) = configured(facts.host(&host.name).text(layout::CNI_BRIDGE_CONF))
        {
            taken.insert(host.name.clone(), subnet);
        }
    }
    let used: BTreeSet<IpNet> = taken.values().copied().collect();
    let mut free = subnets(inv).filter(|s| !used.contains(s));
    let mut out = BTreeMap::new();
    for host in inv.nodes() {
        if let Some(subnet) = taken.get(&host.name).copied().or_else(|| free.next()) {
            out.insert(host.name.clone(), subnet);
        }
    }
    out
}

fn subnets(inv: &Inventory) -> Box<dyn Iterator<Item = IpNet>> {
    match inv.network.pod_cidr.subnets(inv.network.node_cidr_mask) {
        Ok(iter) => Box::new(iter),
        Err(_) => Box::new(std::iter::empty()),
    }
}

/// The subnet in a CNI bridge configuration that clusterctl wrote. `None` if the configuration is absent or not readable.
fn configured(conflist: Option<&str>) -> Option<IpNet> {
    let value: serde_json::Value = serde_json::from_str(conflist?).ok()?;
    let plugins = value["plugins"].as_array()?;
    plugins.iter().find_map(|p| p["ipam"]["ranges"][0][0]["subnet"].as_str()?.parse().ok())
}
