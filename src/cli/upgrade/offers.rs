//! Versions that the artifact source offers: versions to which the cluster can be upgraded, and versions that clusterctl does not support.

use serde::Serialize;

use crate::inventory::KubeVersion;
use crate::versions::{self, Unsupported};

/// A version to which the cluster can be upgraded.
#[derive(Serialize)]
pub(super) struct Offer {
    pub version: KubeVersion,
    pub what: &'static str,
    pub etcd: &'static str,
    pub core_dns: &'static str,
    pub pause: &'static str,
    pub note: String,
}

/// The offered versions that are newer than the running version.
#[derive(Default)]
pub(super) struct Offers {
    pub supported: Vec<Offer>,
    /// Newer versions that clusterctl does not support. They are shown, because otherwise an operator would believe that there is nothing newer.
    pub unsupported: Vec<KubeVersion>,
}

impl Offers {
    /// The versions that are newer than `now`, grouped by whether clusterctl supports them. `default_etcd` is whether the inventory names no etcd
    /// image; only then does an upgrade change the version of etcd, and the offer mentions that change.
    pub fn of(now: &KubeVersion, offered: impl IntoIterator<Item = KubeVersion>, default_etcd: bool) -> Offers {
        let mut offers = Offers::default();
        for version in offered.into_iter().filter(|v| v > now) {
            match versions::of(&version) {
                Some(v) => offers.supported.push(offer(now, version, v, default_etcd)),
                None => offers.unsupported.push(version),
            }
        }
        offers
    }
}

fn offer(now: &KubeVersion, version: KubeVersion, v: &'static versions::Minor, default_etcd: bool) -> Offer {
    let mut notes = Vec::new();
    if let Some(before) = versions::of(now) {
        if v.images.etcd != before.images.etcd && default_etcd {
            notes.push(format!("etcd {} to {}", before.images.etcd, v.images.etcd));
        }
        if v.images.core_dns != before.images.core_dns {
            notes.push(format!("CoreDNS {} to {}", before.images.core_dns, v.images.core_dns));
        }
        if v.config_api != before.config_api {
            notes.push("another version of kubeadm's configuration".into());
        }
    }
    let what = if version.minor() == now.minor() { "patch" } else { "next minor" };
    let images = &v.images;
    Offer { version, what, etcd: images.etcd, core_dns: images.core_dns, pause: images.pause, note: notes.join(", ") }
}

/// The line about an offered version that clusterctl does not support.
pub(super) fn unsupported(version: &KubeVersion) -> String {
    match versions::lookup(version) {
        Err(Unsupported::TooNew(_)) => format!("{version} is offered; this clusterctl knows up to v1.{}", versions::newest()),
        _ => format!("{version} is offered; this clusterctl does not support v1.{}", version.minor()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(texts: &[&str]) -> Vec<KubeVersion> {
        texts.iter().map(|t| t.parse().expect("a version")).collect()
    }

    fn said(now: &str, offered: &[&str]) -> (Vec<String>, Vec<String>) {
        let offers = Offers::of(&now.parse().expect("a version"), versions(offered), true);
        let line = |o: &Offer| format!("{} {}: {}", o.version, o.what, o.note);
        (offers.supported.iter().map(line).collect(), offers.unsupported.iter().map(unsupported).collect())
    }

    #[test]
    fn what_is_newer_is_offered_with_what_it_changes() {
        let (supported, unsupported) = said("v1.36.2", &["v1.36.4", "v1.37.1"]);
        assert_eq!(supported, ["v1.36.4 patch: ", "v1.37.1 next minor: etcd 3.6.11-0 to 3.7.0-0, CoreDNS v1.14.2 to v1.14.6"]);
        assert_eq!(unsupported, [""; 0]);
        assert_eq!(said("v1.36.4", &["v1.36.4", "v1.36.3"]), (vec![], vec![]));
    }

    #[test]
    fn a_version_that_this_program_does_not_know_is_not_passed_over_in_silence() {
        let (supported, unsupported) = said("v1.37.1", &["v1.37.2", "v1.38.0"]);
        assert_eq!(supported.len(), 1);
        assert_eq!(unsupported, ["v1.38.0 is offered; this clusterctl knows up to v1.37"]);
        assert_eq!(said("v1.21.14", &["v1.22.17"]).1, ["v1.22.17 is offered; this clusterctl does not support v1.22"]);
        // The running version of the cluster is newer than the versions that clusterctl supports.
        assert_eq!(said("v1.38.0", &["v1.38.1"]).1, ["v1.38.1 is offered; this clusterctl knows up to v1.37"]);
    }
}
