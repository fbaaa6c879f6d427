//! When certificates expire, for reports to the operator.

use jiff::Timestamp;

use super::Observed;
use super::cert::Cert;
use super::kubeconfig::Current;
use crate::host::Secret;
use crate::layout;

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

impl CertInfo {
    /// Whole days until the certificate expires; negative once it has expired.
    pub fn days_left(&self, now: Timestamp) -> i64 {
        (self.not_after.as_second() - now.as_second()).div_euclid(86_400)
    }

    /// Whether the certificate is in use. The predecessors of a kubelet's present certificate are not, and expire without harm.
    pub fn is_in_use(&self) -> bool {
        self.path == layout::KUBELET_CLIENT_CURRENT || !self.path.starts_with(layout::KUBELET_PKI_DIR)
    }

    /// The first certificate of this text.
    fn of(path: &str, pem: &Secret) -> Option<CertInfo> {
        let cert = Cert::read_all(pem.expose()).ok()?.into_iter().next()?;
        Some(CertInfo { path: path.into(), cn: cert.cn, ca: cert.issuer_cn, is_ca: cert.is_ca, not_after: cert.not_after })
    }

    /// The client certificate of a kubeconfig. `None` if the kubeconfig has none, because it uses a token or a command.
    pub fn of_kubeconfig(path: &str, kubeconfig: &Secret) -> Option<CertInfo> {
        CertInfo::of(path, &Current::read(kubeconfig).ok()?.cert?)
    }
}

/// Reads the first certificate of each observed file, also of kubeconfigs and of files that contain a key as well. Files without a certificate are
/// left out. The result is sorted by path, with authorities last.
pub fn expiry(observed: &Observed) -> Vec<CertInfo> {
    let read = |(path, bytes): (&String, &Secret)| match path.ends_with(".conf") {
        true => CertInfo::of_kubeconfig(path, bytes),
        false => CertInfo::of(path, bytes),
    };
    let mut out: Vec<CertInfo> = observed.iter().filter_map(read).collect();
    out.sort_by(|a, b| (a.is_ca, &a.path).cmp(&(b.is_ca, &b.path)));
    out
}
