//! Judges the client certificates of workers' kubelets: whether API servers accept them.

use jiff::Timestamp;

use crate::facts::HostFacts;
use crate::inventory::Inventory;
use crate::layout;
use crate::pki::{Reason, client_fault};
use crate::step::token::YET_TO_GET;

/// Flags of the API server and the controller manager with which another CA than the cluster's can sign kubelets' client certificates. If one
/// of them is set, the signer is not checked.
const OTHER_AUTHORITY: [&str; 3] = ["client-ca-file", "cluster-signing-cert-file", "cluster-signing-kubelet-client-cert-file"];

/// The client certificate of a host's kubelet. `None` if there is none yet.
pub fn certificate(f: &HostFacts) -> Option<&[u8]> {
    f.resolved(layout::KUBELET_CLIENT_CURRENT).filter(|c| *c != YET_TO_GET.as_bytes())
}

/// The authority that must have signed the client certificates of kubelets: the cluster's CA. `None` if another one can sign them.
pub fn authority<'a>(inv: &Inventory, ca_pem: &'a str) -> Option<&'a [u8]> {
    let plane = &inv.control_plane;
    let mut args = plane.api_server.extra_args.keys().chain(plane.controller_manager.extra_args.keys());
    let ours = !args.any(|arg| OTHER_AUTHORITY.contains(&arg.as_str()));
    ours.then_some(ca_pem.as_bytes())
}

/// Why the client certificate of a worker's kubelet is not usable, by the host's own clock. `None` if the certificate is usable, or if there is
/// none.
pub fn fault(inv: &Inventory, f: &HostFacts, ca_pem: &str) -> Option<Reason> {
    let now = Timestamp::from_second(f.clock as i64).ok()?;
    client_fault(certificate(f)?, authority(inv, ca_pem), now)
}

/// Whether a worker's kubelet has a usable client certificate. `false` also if it has none.
pub fn is_usable(inv: &Inventory, f: &HostFacts, ca_pem: &str) -> bool {
    f.resolved(layout::KUBELET_CLIENT_CURRENT).is_some() && fault(inv, f, ca_pem).is_none()
}
