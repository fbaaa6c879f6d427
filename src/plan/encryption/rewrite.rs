//! The steps that rewrite everything that is stored, so that it is stored as API servers write it now.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fault, Provider};
use crate::facts::Facts;
use crate::inventory::{HostEntry, Inventory};
use crate::plan::{DesiredSteps, HostSteps, Part, Phase, Width};
use crate::step::{Encoded, Rewrite};

/// The phases that rewrite these resources through the API server of `via`, and then see in etcd that every value begins as it should.
pub fn phases(resources: &BTreeMap<String, String>, via: &HostEntry, inv: &Inventory, facts: &Facts, anew: bool) -> DesiredSteps {
    let members = inv.etcd_hosts();
    let member = members.iter().find(|m| facts.host(&m.name).stored.is_some()).or(members.first());
    let (Some(member), false) = (member, resources.is_empty()) else { return vec![] };
    let rewrite = Rewrite { address: via.node_address(), resources: resources.clone(), anew };
    let phase = |name, host: &HostEntry, step| Phase {
        part: Part::Other,
        name,
        width: Width::All,
        hosts: vec![HostSteps { host: host.name.clone(), guards: vec![], steps: vec![step] }],
    };
    vec![
        phase("rewrite stored values", via, rewrite.into()),
        phase("check stored values", member, Encoded { resources: resources.clone() }.into()),
    ]
}

/// The steps of `clusterctl secrets rewrite`: everything that is encrypted is rewritten with the first key. Refused while API servers write with
/// different keys.
pub fn desired_steps(inv: &Inventory, facts: &Facts) -> Result<DesiredSteps, Vec<Fault>> {
    let present = super::present(inv, facts)?;
    let via = inv.control_planes().find(|h| facts.host(&h.name).api_version.is_some());
    let mut resources = BTreeMap::new();
    for resource in present.resources() {
        let writers: BTreeSet<Provider> = present.configs().map(|c| c.list(resource)[0].clone()).collect();
        match (writers.first(), writers.len()) {
            (Some(writer), 1) => drop(resources.insert(resource.clone(), writer.prefix())),
            _ => {
                let message = format!("the API servers write {resource} with different keys, because a change of keys was interrupted");
                return Err(vec![Fault::new("", message, "go on with `clusterctl apply`")]);
            }
        }
    }
    Ok(via.map(|via| phases(&resources, via, inv, facts, true)).unwrap_or_default())
}
