//! Which pod subnet each node has: what it has already, else the next free one in the inventory's order.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use crate::facts::Facts;
use crate::inventory::Inventory;
use crate::layout;

/// The pod subnet of every node of the inventory. Nodes that others added keep theirs too, so nothing is given twice.
pub fn assign(inv: &Inventory, facts: &Facts) -> BTreeMap<String, IpNet> {
    let mut taken: BTreeMap<String, IpNet> = BTreeMap::new();
    for (name, node) in facts.cluster.iter().flat_map(|c| &c.nodes) {
        taken.extend(node["spec"]["podCIDR"].as_str().and_then(|c| c.parse().ok()).map(|c| (name.clone(), c)));
    }
    // While the API is away, the host's own network configuration says what it was given.
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

/// The subnet in a bridge configuration of ours.
fn configured(conflist: Option<&str>) -> Option<IpNet> {
    let value: serde_json::Value = serde_json::from_str(conflist?).ok()?;
    let plugins = value["plugins"].as_array()?;
    plugins.iter().find_map(|p| p["ipam"]["ranges"][0][0]["subnet"].as_str()?.parse().ok())
}
