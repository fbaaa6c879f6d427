//! What an operator sees of the encryption of stored values: names of keys, and never a key.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Fault, Provider, present};
use crate::facts::Facts;
use crate::inventory::Inventory;

/// How a resource is encrypted on a host, and how its values are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct View {
    pub servers: Vec<Server>,
    pub values: Vec<Values>,
}

/// The providers of an API server for a resource, the first of which writes: `identity`, or the provider with the name of its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    pub host: String,
    pub resource: String,
    pub providers: Vec<String>,
}

/// The number of values of a resource that are stored in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Values {
    pub resource: String,
    /// `plain`, or the beginning of the values.
    pub encoding: String,
    pub count: u64,
}

/// What the facts tell about the encryption of stored values.
pub fn of(inv: &Inventory, facts: &Facts) -> Result<View, Vec<Fault>> {
    let present = present(inv, facts)?;
    let wanted = inv.control_plane.encryption.iter().flat_map(|e| &e.resources);
    let resources: BTreeSet<&String> = present.resources().into_iter().chain(wanted).collect();
    let mut servers = Vec::new();
    for (host, configs) in &present.servers {
        for resource in &resources {
            // The last configuration is that of the running process, if there is one.
            let list = configs.last().map(|c| c.list(resource)).unwrap_or_default();
            let providers = list.iter().map(Provider::shown).collect();
            servers.push(Server { host: host.clone(), resource: (*resource).clone(), providers });
        }
    }
    let counts = facts.stored().into_iter().flatten();
    let values = counts.flat_map(|(resource, counts)| {
        counts.iter().map(|(encoding, count)| Values { resource: resource.clone(), encoding: encoding.clone(), count: *count })
    });
    Ok(View { servers, values: values.collect() })
}
