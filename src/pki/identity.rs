//! Whether a client certificate that a host got for itself still says who it is.

use jiff::Timestamp;

use super::cert::Cert;
use super::fault::Reason;
use super::files::chains;

/// Why these certificates, a client's and those that lead to its authority, are of no use at this time; `None` if they are. Without a readable
/// authority in `authorities` nobody can tell who signed them, and that is not judged.
///
/// Only the end of their time counts, and of each: a kubelet, too, asks for another one as soon as any of them has expired.
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

/// The node that a kubelet with this client certificate is, from the common name `system:node:NAME`. `None` if the certificate cannot be read or
/// is none of a node.
pub fn node_of(certificates: &[u8]) -> Option<String> {
    Cert::read_all(certificates).ok()?.first()?.cn.strip_prefix("system:node:").map(String::from)
}
