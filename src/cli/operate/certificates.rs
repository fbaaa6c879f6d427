//! The certificates of a plan: what the hosts have and is good, else minted in memory.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Luggage;
use crate::error::chain;
use crate::facts::Facts;
use crate::host::HostName;
use crate::inventory::Inventory;
use crate::plan::blockers::Blocker;
use crate::plan::cluster;
use crate::{layout, pki};

/// The PKI of a cluster, by control-plane host.
pub(super) struct Certificates {
    pub ca_pem: String,
    pub external_ca: bool,
    pub files: BTreeMap<HostName, Vec<pki::FileOut>>,
}

/// What the hosts have and is good, else minted in memory. A cluster that stands never gets a second CA.
pub(super) fn certificates(inv: &Inventory, luggage: &Luggage, facts: &Facts) -> Result<Certificates, Vec<Blocker>> {
    let observed: BTreeMap<HostName, pki::Observed> =
        inv.control_planes().map(|h| (h.name.clone(), facts.host(&h.name).contents())).collect();
    let established = cluster::established(facts);
    let opts = pki::Opts { pki: &inv.pki, allow_new: !established, keys: &luggage.keys, external_etcd: None };
    let now = Timestamp::now();
    let to_blockers = |faults: Vec<pki::PkiFault>| faults.iter().map(|f| Blocker::pki(&chain(f))).collect::<Vec<_>>();
    let usable = if established { observed.clone() } else { whole_only(&observed) };
    let auth = pki::authorities(&usable, &luggage.given, &opts, now).map_err(to_blockers)?;
    let endpoint = inv.endpoint_authority();
    let first = inv.control_planes().next().map(|h| h.name.clone());
    let masters: Vec<_> = inv.control_planes().filter(|h| facts.hosts.contains_key(&h.name)).collect();
    let none = pki::Observed::new();
    let requests: Vec<pki::HostRequest<'_>> = masters
        .iter()
        .map(|h| pki::HostRequest {
            name: &h.name,
            address: h.node_address(),
            wants: pki::Wants {
                control_plane: true,
                worker: false,
                etcd_member: inv.etcd_is_stacked(),
                super_admin: Some(&h.name) == first.as_ref() && luggage.v.identity.super_admin,
            },
            observed: observed.get(&h.name).unwrap_or(&none),
        })
        .collect();
    let cluster = pki::Cluster { inv, v: luggage.v, endpoint: &endpoint };
    let files = pki::fleet_files(&auth, cluster, &requests, &opts, now).map_err(to_blockers)?;
    let files = masters.iter().map(|h| h.name.clone()).zip(files).collect();
    Ok(Certificates { ca_pem: auth.ca_pem(), external_ca: auth.is_external(), files })
}

/// While a cluster is being founded, a host that was interrupted in the middle of its first files has half a PKI and no data:
/// only whole sets count, the rest is written anew.
fn whole_only(observed: &BTreeMap<HostName, pki::Observed>) -> BTreeMap<HostName, pki::Observed> {
    const SET: [&str; 8] =
        ["ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "etcd/ca.crt", "etcd/ca.key", "sa.key", "sa.pub"];
    let whole = |o: &pki::Observed| SET.iter().all(|f| o.contains_key(&format!("{}/{f}", layout::PKI_DIR)));
    observed.iter().filter(|(_, o)| whole(o)).map(|(h, o)| (h.clone(), o.clone())).collect()
}
