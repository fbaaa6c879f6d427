//! The certificates of a cluster as one value. As JSON, it is a stable interface.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::host::HostName;
use crate::pki::CertInfo;

/// The name under which the operator's machine is listed.
pub const HERE: &str = "(this machine)";

/// The certificates of all hosts, and those of kubeconfigs on the operator's machine.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificates {
    pub cluster: String,
    /// The first to expire comes first.
    pub certificates: Vec<Certificate>,
    /// How many of them have expired or expire within the threshold.
    pub due: usize,
}

/// A certificate, with the hosts that have it at the same path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    pub path: String,
    /// The common name.
    pub name: String,
    /// The common name of the issuer.
    pub issuer: String,
    pub authority: bool,
    pub hosts: Vec<HostName>,
    pub not_after: Timestamp,
    /// Whole days left; negative once expired.
    pub days: i64,
    /// Whether the certificate has expired or expires within the threshold.
    pub due: bool,
}

impl Certificates {
    /// The certificates found on hosts. One that expires `within` this time is due.
    pub fn of(cluster: &str, found: &BTreeMap<HostName, Vec<CertInfo>>, now: Timestamp, within: Duration) -> Certificates {
        let mut all: BTreeMap<(Timestamp, &str, &str, &str), Certificate> = BTreeMap::new();
        let within = i64::try_from(within.as_secs()).unwrap_or(i64::MAX);
        for (host, certificates) in found {
            for c in certificates.iter().filter(|c| c.is_in_use()) {
                let entry = all.entry((c.not_after, &c.path, &c.cn, &c.ca)).or_insert_with(|| Certificate {
                    path: c.path.clone(),
                    name: c.cn.clone(),
                    issuer: c.ca.clone(),
                    authority: c.is_ca,
                    hosts: vec![],
                    not_after: c.not_after,
                    days: c.days_left(now),
                    due: c.not_after.as_second() - now.as_second() < within,
                });
                entry.hosts.push(host.clone());
            }
        }
        let certificates: Vec<Certificate> = all.into_values().collect();
        let due = certificates.iter().filter(|c| c.due).count();
        Certificates { cluster: cluster.into(), certificates, due }
    }

    /// The times of expiry in Prometheus' text format, for the textfile collector of its node exporter.
    pub fn metrics(&self) -> String {
        let mut out = String::from(
            "# HELP clusterctl_certificate_not_after_seconds When the certificate expires, in Unix seconds.\n\
             # TYPE clusterctl_certificate_not_after_seconds gauge\n",
        );
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        for c in &self.certificates {
            for host in &c.hosts {
                let labels = [("cluster", &self.cluster), ("host", host), ("path", &c.path), ("name", &c.name)];
                let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{}\"", quoted(value))).collect();
                let _ = writeln!(out, "clusterctl_certificate_not_after_seconds{{{}}} {}", labels.join(","), c.not_after.as_second());
            }
        }
        out
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A certificate that expires in so many days after the beginning of 2026.
    pub fn info(path: &str, name: &str, is_ca: bool, days: i64) -> CertInfo {
        CertInfo { path: path.into(), cn: name.into(), ca: "kubernetes".into(), is_ca, not_after: new_year(days) }
    }

    pub fn new_year(days: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + days * 86_400).expect("the time is valid")
    }

    pub fn found() -> BTreeMap<HostName, Vec<CertInfo>> {
        let of = |host: &str, days| {
            let own = info("/etc/kubernetes/pki/apiserver.crt", "kube-apiserver", false, days);
            let old = info("/var/lib/kubelet/pki/kubelet-client-initial.pem", "system:node", false, -5);
            (host.to_string(), vec![info("/etc/kubernetes/pki/ca.crt", "kubernetes", true, 3650), own, old])
        };
        [of("m1", 20), of("m2", 300)].into()
    }

    #[test]
    fn the_same_certificate_on_several_hosts_is_one_entry() {
        let all = Certificates::of("prod", &found(), new_year(0), Duration::from_secs(30 * 86_400));
        let shown: Vec<(&str, Vec<&str>, i64, bool)> =
            all.certificates.iter().map(|c| (c.name.as_str(), c.hosts.iter().map(String::as_str).collect(), c.days, c.due)).collect();
        assert_eq!(
            shown,
            [
                ("kube-apiserver", vec!["m1"], 20, true),
                ("kube-apiserver", vec!["m2"], 300, false),
                ("kubernetes", vec!["m1", "m2"], 3650, false)
            ]
        );
        assert_eq!(all.due, 1);
    }

    #[test]
    fn an_expired_certificate_has_negative_days_and_is_due() {
        let expired = [("m1".to_string(), vec![info("/etc/kubernetes/admin.conf", "kubernetes-admin", false, -1)])].into();
        let all = Certificates::of("prod", &expired, new_year(0), Duration::ZERO);
        assert_eq!((all.certificates[0].days, all.due), (-1, 1));
    }

    #[test]
    fn metrics_escape_what_ends_a_label() {
        let odd = [("m1".to_string(), vec![info("/etc/kubernetes/a\"b\\c.crt", "x", false, 1)])].into();
        let text = Certificates::of("prod", &odd, new_year(0), Duration::ZERO).metrics();
        assert!(text.ends_with(
            "clusterctl_certificate_not_after_seconds{cluster=\"prod\",host=\"m1\",path=\"/etc/kubernetes/a\\\"b\\\\c.crt\",name=\"x\"} 1767312000\n"
        ));
    }
}
