//! The certificates that a plan brings to control-plane hosts and etcd hosts, and, in a renewal, to workers.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::identity;
use super::planning::Planning;
use super::refusals::Refusal;
use super::situation::ClusterState;
use crate::facts::Facts;
use crate::host::HostName;
use crate::inventory::{HostEntry, Inventory, Role};
use crate::pki;
use crate::versions::Minor;

/// The PKI of a cluster. `files` has an entry for each control-plane host and etcd host that answered, and for each worker whose kubelet gets a
/// client certificate from clusterctl itself.
pub(super) struct Certificates {
    pub ca_pem: String,
    pub external_ca: bool,
    pub files: BTreeMap<HostName, Vec<pki::FileOut>>,
}

/// The PKI with the certificates that are on the hosts and still usable, and with new certificates, created in memory, in place of the others.
/// An existing cluster never gets a second CA: if its CA is missing, the result is a refusal. With `renew`, the files are only those that the renewal
/// concerns.
pub(super) fn certificates<'a>(
    inv: &'a Inventory,
    v: &'static Minor,
    planning: &Planning<'_>,
    facts: &Facts,
    renew: Option<&pki::Renew>,
) -> Result<Certificates, Vec<Refusal>> {
    let holders: Vec<&HostEntry> = inv.core_hosts().filter(|h| facts.hosts.contains_key(&h.name)).collect();
    let observed: BTreeMap<HostName, pki::Observed> = holders.iter().map(|h| (h.name.clone(), facts.host(&h.name).contents())).collect();
    let allow_new = !ClusterState::of(facts).exists();
    let external_etcd = planning.inputs.external_etcd.clone();
    let opts = pki::Opts { pki: &inv.pki, allow_new, keys: &planning.inputs.keys, external_etcd, renew };
    let to_refusals = |faults: Vec<pki::PkiFault>| faults.iter().map(|f| Refusal::pki(&f.to_string())).collect::<Vec<_>>();
    let auth = pki::authorities(&observed, &planning.inputs.given, &opts, planning.now).map_err(to_refusals)?;
    let endpoint = inv.endpoint_authority();
    let first = inv.control_planes().next().map(|h| &h.name);
    let none = pki::Observed::new();
    let request = |h: &&'_ HostEntry| pki::Wants {
        control_plane: h.has(Role::ControlPlane),
        worker: false,
        kubelet: false,
        etcd_member: inv.runs_etcd(h),
        super_admin: Some(&h.name) == first && v.identity.super_admin,
    };
    let ca_pem = auth.ca_pem();
    let workers: Vec<&HostEntry> = match renew {
        Some(renew) => inv.nodes().filter(|h| is_due_worker(h, inv, facts, &ca_pem, renew)).collect(),
        None => vec![],
    };
    let worker = |h: &&'a HostEntry| pki::HostRequest {
        name: &h.name,
        address: h.node_address(),
        wants: pki::Wants { kubelet: true, ..pki::Wants::default() },
        observed: &none,
    };
    let requests: Vec<pki::HostRequest<'_>> = holders
        .iter()
        .map(|h| pki::HostRequest {
            name: &h.name,
            address: h.node_address(),
            wants: request(h),
            observed: observed.get(&h.name).unwrap_or(&none),
        })
        .chain(workers.iter().map(worker))
        .collect();
    let cluster = pki::Cluster { inv, v, endpoint: &endpoint };
    let files = pki::fleet_files(&auth, cluster, &requests, &opts, planning.now).map_err(to_refusals)?;
    let files = holders.iter().chain(&workers).map(|h| h.name.clone()).zip(files).collect();
    Ok(Certificates { ca_pem, external_ca: auth.is_external(), files })
}

/// Whether a renewal replaces the client certificate of this worker's kubelet. A worker without a certificate has not joined the cluster, and gets one
/// when it joins.
fn is_due_worker(h: &HostEntry, inv: &Inventory, facts: &Facts, ca_pem: &str, renew: &pki::Renew) -> bool {
    let f = facts.host(&h.name);
    let worker = !h.has(Role::ControlPlane) && renew.concerns(pki::KUBELET);
    let now = Timestamp::from_second(f.clock as i64).ok();
    let certificate = identity::certificate(f).filter(|_| worker).zip(now);
    certificate.is_some_and(|(pem, now)| pki::is_due_client(pem, identity::authority(inv, ca_pem), renew, now))
}
