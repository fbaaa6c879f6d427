//! The certificates that a plan brings to control-plane hosts and etcd hosts.

use std::collections::BTreeMap;

use super::planning::Planning;
use super::refusals::Refusal;
use super::situation::ClusterState;
use crate::facts::Facts;
use crate::host::HostName;
use crate::inventory::{HostEntry, Inventory, Role};
use crate::pki;
use crate::versions::Minor;

/// The PKI of a cluster. `files` has an entry for each control-plane host and etcd host that answered.
pub(super) struct Certificates {
    pub ca_pem: String,
    pub external_ca: bool,
    pub files: BTreeMap<HostName, Vec<pki::FileOut>>,
}

/// The PKI with the certificates that are on the hosts and still usable, and with new certificates, created in memory, in place of the others.
/// An existing cluster never gets a second CA: if its CA is missing, the result is a refusal.
pub(super) fn certificates(
    inv: &Inventory,
    v: &'static Minor,
    planning: &Planning<'_>,
    facts: &Facts,
) -> Result<Certificates, Vec<Refusal>> {
    let holders: Vec<&HostEntry> = inv.core_hosts().filter(|h| facts.hosts.contains_key(&h.name)).collect();
    let observed: BTreeMap<HostName, pki::Observed> = holders.iter().map(|h| (h.name.clone(), facts.host(&h.name).contents())).collect();
    let allow_new = !ClusterState::of(facts).exists();
    let opts = pki::Opts { pki: &inv.pki, allow_new, keys: &planning.inputs.keys, external_etcd: planning.inputs.external_etcd.clone() };
    let to_refusals = |faults: Vec<pki::PkiFault>| faults.iter().map(|f| Refusal::pki(&f.to_string())).collect::<Vec<_>>();
    let auth = pki::authorities(&observed, &planning.inputs.given, &opts, planning.now).map_err(to_refusals)?;
    let endpoint = inv.endpoint_authority();
    let first = inv.control_planes().next().map(|h| &h.name);
    let none = pki::Observed::new();
    let request = |h: &&'_ HostEntry| pki::Wants {
        control_plane: h.has(Role::ControlPlane),
        worker: false,
        etcd_member: inv.runs_etcd(h),
        super_admin: Some(&h.name) == first && v.identity.super_admin,
    };
    let requests: Vec<pki::HostRequest<'_>> = holders
        .iter()
        .map(|h| pki::HostRequest {
            name: &h.name,
            address: h.node_address(),
            wants: request(h),
            observed: observed.get(&h.name).unwrap_or(&none),
        })
        .collect();
    let cluster = pki::Cluster { inv, v, endpoint: &endpoint };
    let files = pki::fleet_files(&auth, cluster, &requests, &opts, planning.now).map_err(to_refusals)?;
    let files = holders.iter().map(|h| h.name.clone()).zip(files).collect();
    Ok(Certificates { ca_pem: auth.ca_pem(), external_ca: auth.is_external(), files })
}
