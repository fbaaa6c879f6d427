//! Which certificates a renewal concerns, by the names that `kubeadm certs renew` uses.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::cert::{BACKDATED_SECONDS, Cert};
use super::fault::Reason;
use crate::inventory::PkiOptions;

/// The name of the kubelet's client certificate. kubeadm does not renew this certificate and has no name for it.
pub const KUBELET: &str = "kubelet";

/// The names of all certificates that can be renewed: those of kubeadm, and [`KUBELET`].
pub const RENEWABLE: [&str; 12] = [
    "admin.conf",
    "apiserver",
    "apiserver-etcd-client",
    "apiserver-kubelet-client",
    "controller-manager.conf",
    "etcd-healthcheck-client",
    "etcd-peer",
    "etcd-server",
    "front-proxy-client",
    KUBELET,
    "scheduler.conf",
    "super-admin.conf",
];

/// A renewal: the certificates with these names that were made before a point in time, and those that expire soon anyway.
///
/// The point in time lies before the beginning of the run, so a certificate that this run has made, or an interrupted run shortly before, is not made
/// again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renew {
    /// Empty: all certificates.
    pub names: BTreeSet<&'static str>,
    pub before: Timestamp,
}

impl Renew {
    /// Whether the renewal concerns the certificate with this name.
    pub fn concerns(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.contains(name)
    }
}

/// When a certificate is due for renewal.
#[derive(Clone, Copy)]
pub(super) struct Renewal {
    /// The certificate is due when fewer than this number of seconds are left before it expires.
    within: i64,
    /// A certificate is never due while more than this part of its lifetime is left (3 means a third), so that a new one is never due.
    share: i64,
    /// A certificate that was made before this time is due in any case.
    before: Option<Timestamp>,
}

impl Renewal {
    /// When a certificate that only clusterctl renews is due.
    pub fn of(pki: &PkiOptions, renew: Option<&Renew>) -> Renewal {
        Renewal { within: pki.renew_before.as_secs() as i64, share: 3, before: renew.map(|r| r.before) }
    }

    /// When the client certificate of a kubelet is due. A running kubelet renews its certificate by itself when 10 to 30 % of the lifetime are left, so
    /// only a certificate that it has not renewed is due, or one whose renewal the operator asked for by its name.
    pub fn of_kubelet(renew: Option<&Renew>) -> Renewal {
        Renewal { within: i64::MAX, share: 10, before: renew.filter(|r| r.names.contains(KUBELET)).map(|r| r.before) }
    }

    /// Why the certificate is due; `None` if it is not.
    pub fn due(self, cert: &Cert, now: Timestamp) -> Option<Reason> {
        let left = cert.not_after.as_second() - now.as_second();
        let lifetime = cert.not_after.as_second() - cert.not_before.as_second();
        // The validity begins some minutes before the certificate was made; kubeadm and the controller manager do the same.
        let made = cert.not_before.as_second() + BACKDATED_SECONDS;
        match left {
            ..=0 => Some(Reason::Expired),
            _ if left < self.within.min(lifetime / self.share) => Some(Reason::Expires { days: left / 86400 }),
            _ => self.before.filter(|before| made < before.as_second()).map(|_| Reason::Asked),
        }
    }
}
