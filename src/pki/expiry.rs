//! When certificates expire, for reports to the operator.

use jiff::Timestamp;

use super::Observed;
use super::cert::Cert;
use super::kubeconfig::Current;

/// A certificate on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertInfo {
    pub path: String,
    pub cn: String,
    /// Common name of the issuer.
    pub ca: String,
    pub is_ca: bool,
    pub not_after: Timestamp,
}

/// Reads the first certificate of each observed file, also of kubeconfigs and of files that contain a key as well. Files without a certificate are
/// left out. The result is sorted by path, with authorities last.
pub fn expiry(observed: &Observed) -> Vec<CertInfo> {
    let mut out: Vec<CertInfo> = observed
        .iter()
        .filter_map(|(path, bytes)| {
            let pem = if path.ends_with(".conf") { Current::read(bytes).ok()?.cert? } else { bytes.clone() };
            let cert = Cert::read_all(pem.expose()).ok()?.into_iter().next()?;
            Some(CertInfo { path: path.clone(), cn: cert.cn, ca: cert.issuer_cn, is_ca: cert.is_ca, not_after: cert.not_after })
        })
        .collect();
    out.sort_by(|a, b| (a.is_ca, &a.path).cmp(&(b.is_ca, &b.path)));
    out
}
