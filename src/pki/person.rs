//! Client certificates for people, signed by the cluster's CA.

use std::time::Duration;

use jiff::Timestamp;

use super::cert::{self, Cert, Spec, Usage};
use super::fault::{PkiFault, Whose};
use super::key::Key;
use super::supply::Keys;
use crate::host::{HostName, Secret};

/// The cluster's CA as a control-plane host has it.
pub struct ClusterAuthority<'a> {
    pub host: &'a HostName,
    /// The content of ca.crt and of ca.key.
    pub cert: &'a Secret,
    pub key: &'a Secret,
}

/// A client certificate with its key.
pub struct ClientCertificate {
    pub cert_pem: String,
    pub key_pem: Secret,
    pub not_after: Timestamp,
}

/// Makes a client certificate for a user in these groups. It is valid for `ttl`, but not longer than its CA.
pub fn client_certificate(
    authority: &ClusterAuthority<'_>,
    user: &str,
    groups: &[String],
    ttl: Duration,
    keys: &Keys,
    now: Timestamp,
) -> Result<ClientCertificate, PkiFault> {
    let whose = || Whose::Host(authority.host.clone());
    let unreadable = |file: &str, cause| PkiFault::Unreadable { file: file.into(), whose: whose(), cause };
    let certs = Cert::read_all(authority.cert.expose()).map_err(|cause| unreadable("ca.crt", cause))?;
    let ca_key = Key::read(authority.key).map_err(|cause| unreadable("ca.key", cause))?;
    let Some(ca) = certs.iter().find(|c| ca_key.has_public(&c.public)) else {
        return Err(PkiFault::KeyMismatch { cert: "ca.crt".into(), key: "ca.key".into(), whose: whose() });
    };
    if ca.not_after <= now {
        return Err(PkiFault::AuthorityExpired { file: "ca.crt".into(), on: ca.not_after });
    }
    let wanted = now.as_second().saturating_add(i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX));
    let spec = Spec { cn: user.into(), orgs: groups.to_vec(), usage: Usage::Client, sans: vec![] };
    let made = keys.take().and_then(|key| Ok((cert::mint(&spec, &key, (ca, &ca_key), now, wanted.min(ca.not_after.as_second()))?, key)));
    let (cert, key) = made.map_err(|cause| PkiFault::Mint { path: format!("the certificate of {user}"), cause })?;
    Ok(ClientCertificate { cert_pem: cert.pem(), key_pem: key.pem, not_after: cert.not_after })
}
