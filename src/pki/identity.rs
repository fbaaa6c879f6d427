//! Checks the client certificates that hosts requested themselves.

use jiff::Timestamp;

use super::cert::Cert;
use super::fault::Reason;
use super::files::chains;
use super::renew::{Renew, Renewal};

/// Why the certificates of a client (its own, then those that lead to its authority) are not usable at this time. `None` if they are usable.
/// Without a readable authority in `authorities`, the signatures are not checked.
///
/// Only the end of the validity period is checked, but for every certificate, because a kubelet requests another certificate as soon as one of them
/// has expired.
pub fn client_fault(certificates: &[u8], authorities: Option<&[u8]>, now: Timestamp) -> Option<Reason> {
    let certs = match Cert::read_all(certificates) {
        Ok(certs) => certs,
        Err(cause) => return Some(Reason::Unreadable(cause)),
    };
    if certs.iter().any(|c| c.not_after < now) {
        return Some(Reason::Expired);
    }
    let authorities = authorities.and_then(|pem| Cert::read_all(pem).ok())?;
    (!authorities.iter().any(|authority| chains(&certs, authority))).then_some(Reason::OtherAuthority)
}

/// Whether a renewal replaces the client certificate of a kubelet: the certificate is not usable (see [`client_fault`]), or it is so old that the
/// kubelet itself should have renewed it, or the operator named the kubelet and the certificate was not made just now.
pub fn is_due_client(certificates: &[u8], authorities: Option<&[u8]>, renew: &Renew, now: Timestamp) -> bool {
    let leaf = Cert::read_all(certificates).ok().and_then(|certs| certs.into_iter().next());
    client_fault(certificates, authorities, now).is_some()
        || leaf.is_none_or(|leaf| Renewal::of_kubelet(Some(renew)).due(&leaf, now).is_some())
}

/// The name of the node in the client certificate of a kubelet, whose common name is `system:node:NAME`. `None` if the certificate cannot be
/// read or is not that of a node.
pub fn node_of(certificates: &[u8]) -> Option<String> {
    Cert::read_all(certificates).ok()?.first()?.cn.strip_prefix("system:node:").map(String::from)
}
