//! Tests of the PKI: the files that clusterctl makes are like kubeadm's, good files are kept, and bad files are replaced with a reason.

mod authorities;
pub mod fixture;
mod people;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clusterctl::inventory::{Inventory, KeyAlgorithm, PkiOptions};
use clusterctl::pki::*;
use clusterctl::versions;
use fixture::*;
use jiff::Timestamp;

use crate::needs::needs;

const SUBJECTS: [(&str, &str); 2] = [
    ("v1.20.2", include_str!("../render/kubeadm/v1.20.2/certificates.txt")),
    ("v1.36.2", include_str!("../render/kubeadm/v1.36.2/certificates.txt")),
];

#[test]
fn certificates_read_as_kubeadms() {
    needs!(Openssl);
    for (version, golden) in SUBJECTS {
        let inv = inventory(version);
        let files = mint(&inv, &pki_options(KeyAlgorithm::EcdsaP256), &Observed::new(), now()).unwrap();
        let dir = lay_out(&files);
        let pki = dir.path().join("etc/kubernetes/pki");
        for block in golden.split("== pki/").filter(|b| !b.is_empty()) {
            let (name, wanted) = block.split_once('\n').unwrap();
            let path = pki.join(name);
            let ext = "-ext=keyUsage,extendedKeyUsage,basicConstraints,subjectAltName";
            let text = openssl(&["x509", "-in", path.to_str().unwrap(), "-noout", "-subject", "-issuer", "-dates", ext]);
            assert_eq!(comparable(&text, version), comparable(wanted, version), "{version} {name}");
        }
    }
}

/// The lines of openssl's output that are compared. For 1.20, three things are left out: the dates, because kubeadm's files were made at another
/// time; the basic constraints, which kubeadm 1.20 did not write to leaf certificates; and the alternative names, which it did not write to
/// authorities. clusterctl always writes the constraints and the names, as newer kubeadm does, and older Kubernetes accepts them.
fn comparable(text: &str, version: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(|l| l.trim().replace("n1", "m1").replace("172.30.0.11", "172.30.0.21")).collect();
    lines.retain(|l| !l.is_empty());
    if version == "v1.20.2" {
        lines.retain(|l| !l.starts_with("notBefore") && !l.starts_with("notAfter"));
        lines.retain(|l| l != "CA:FALSE" && l != "X509v3 Basic Constraints: critical" && l != "X509v3 Subject Alternative Name:");
        lines.retain(|l| !["DNS:kubernetes", "DNS:etcd-ca", "DNS:front-proxy-ca"].contains(&l.as_str()));
    }
    // The order of the extensions has no meaning, so the lines are sorted.
    lines.sort();
    lines
}

#[test]
fn openssl_verifies_every_chain_and_key() {
    needs!(Openssl);
    for algorithm in [KeyAlgorithm::Rsa2048, KeyAlgorithm::EcdsaP256, KeyAlgorithm::EcdsaP384] {
        let files = mint(&inventory("v1.36.2"), &pki_options(algorithm), &Observed::new(), Timestamp::now()).unwrap();
        let dir = lay_out(&files);
        let at = |p: &str| dir.path().join("etc/kubernetes/pki").join(p).to_str().unwrap().to_owned();
        let leaves: [(&str, &str, &[&str]); 5] = [
            ("ca", "sslserver", &["apiserver"]),
            ("ca", "sslclient", &["apiserver-kubelet-client"]),
            ("front-proxy-ca", "sslclient", &["front-proxy-client"]),
            ("etcd/ca", "sslserver", &["etcd/server"]),
            ("etcd/ca", "sslclient", &["apiserver-etcd-client", "etcd/peer", "etcd/healthcheck-client"]),
        ];
        for (ca, purpose, leaf) in leaves.into_iter().flat_map(|(ca, purpose, of)| of.iter().map(move |leaf| (ca, purpose, leaf))) {
            let [crt, key] = [".crt", ".key"].map(|suffix| at(&format!("{leaf}{suffix}")));
            openssl(&["verify", "-x509_strict", "-purpose", purpose, "-CAfile", &at(&format!("{ca}.crt")), &crt]);
            assert_eq!(openssl(&["pkey", "-in", &key, "-pubout"]), openssl(&["x509", "-in", &crt, "-noout", "-pubkey"]));
            check_key(&key, algorithm);
        }
        assert_eq!(openssl(&["pkey", "-in", &at("sa.key"), "-pubout"]), std::fs::read_to_string(at("sa.pub")).unwrap());
        let initial = dir.path().join("var/lib/kubelet/pki/kubelet-client-initial.pem");
        openssl(&["verify", "-purpose", "sslclient", "-CAfile", &at("ca.crt"), initial.to_str().unwrap()]);
        let subject = openssl(&["x509", "-in", initial.to_str().unwrap(), "-noout", "-subject"]);
        assert_eq!(subject.trim(), "subject=O = system:nodes, CN = system:node:m1");
    }
}

/// In a debug build, it takes seconds to make one of these RSA keys. Therefore only the three keys of an etcd member are made with them, and the
/// authorities have elliptic keys.
#[test]
fn long_keys_work_under_an_authority_of_another_algorithm() {
    needs!(Openssl);
    let inv = inventory("v1.36.2");
    let elliptic = pki_options(KeyAlgorithm::EcdsaP384);
    let master = placed(&mint(&inv, &elliptic, &Observed::new(), now()).unwrap());
    for algorithm in [KeyAlgorithm::Rsa3072, KeyAlgorithm::Rsa4096] {
        let pki = pki_options(algorithm);
        let keys = Keys::new(algorithm);
        let opts = opts(&pki, &keys);
        let auth = authorities(&BTreeMap::from([("m1".to_owned(), master.clone())]), &BTreeMap::new(), &opts, now()).unwrap();
        let cluster = Cluster { inv: &inv, v: versions::of(&inv.cluster.version).unwrap(), endpoint: "172.30.0.21:6443" };
        let none = Observed::new();
        let host = HostRequest { wants: Wants { etcd_member: true, ..Wants::default() }, ..request("e1", "10.0.0.9", &none) };
        let dir = lay_out(&host_files(&auth, cluster, &host, &opts, now()).unwrap());
        let at = |p: &str| dir.path().join("etc/kubernetes/pki/etcd").join(p).to_str().unwrap().to_owned();
        openssl(&["verify", "-no_check_time", "-x509_strict", "-CAfile", &at("ca.crt"), &at("server.crt")]);
        check_key(&at("server.key"), algorithm);
    }
}

/// Checks that a key is sound, has this algorithm, and is written in the format that kubeadm uses.
fn check_key(path: &str, algorithm: KeyAlgorithm) {
    openssl(&["pkey", "-in", path, "-check", "-noout"]);
    let (tag, words) = match algorithm {
        KeyAlgorithm::Rsa2048 => ("RSA", "2048 bit"),
        KeyAlgorithm::Rsa3072 => ("RSA", "3072 bit"),
        KeyAlgorithm::Rsa4096 => ("RSA", "4096 bit"),
        KeyAlgorithm::EcdsaP256 => ("EC", "P-256"),
        KeyAlgorithm::EcdsaP384 => ("EC", "P-384"),
    };
    assert!(openssl(&["pkey", "-in", path, "-noout", "-text"]).contains(words));
    assert!(std::fs::read_to_string(path).unwrap().starts_with(&format!("-----BEGIN {tag} PRIVATE KEY-----\n")));
}

#[test]
fn modes_are_kubeadms() {
    let files = mint(&inventory("v1.36.2"), &pki_options(KeyAlgorithm::EcdsaP256), &Observed::new(), now()).unwrap();
    let golden = include_str!("../render/kubeadm/v1.36.2/files.txt");
    let mut seen = 0;
    for line in golden.lines().filter(|l| l.contains(" regular file ./") && !l.contains("manifests")) {
        let (mode, path) = (line.split(' ').next().unwrap(), line.rsplit(' ').next().unwrap().replace("./", "/etc/kubernetes/"));
        let file = files.iter().find(|f| f.path == path).unwrap_or_else(|| panic!("{path} is not made"));
        assert_eq!(format!("{:o}", file.mode), mode, "{path}");
        assert_eq!(file.secret, !path.ends_with(".crt") && !path.ends_with(".pub"), "{path}");
        seen += 1;
    }
    assert_eq!(seen + 1, files.len(), "only the kubelet's first certificate is ours");
}

#[test]
fn what_is_good_is_kept_byte_by_byte() {
    let inv = inventory("v1.36.2");
    let pki = pki_options(KeyAlgorithm::EcdsaP256);
    let first = mint(&inv, &pki, &Observed::new(), now()).unwrap();
    assert!(first.iter().all(|f| f.fresh == Some(Reason::Missing)));
    let later = now() + jiff::SignedDuration::from_hours(24 * 200);
    let second = mint(&inv, &pki, &placed(&first), later).unwrap();
    for (a, b) in first.iter().zip(&second) {
        assert_eq!((&a.path, &b.fresh), (&b.path, &None));
        assert!(a.content == b.content, "{}", a.path);
    }
}

#[test]
fn every_prefix_of_the_files_leads_to_the_same_cluster() {
    let inv = inventory("v1.36.2");
    let pki = pki_options(KeyAlgorithm::EcdsaP256);
    let first = mint(&inv, &pki, &Observed::new(), now()).unwrap();
    for n in 0..first.len() {
        let second = mint(&inv, &pki, &placed(&first[..n]), now()).unwrap();
        assert_eq!(second.len(), first.len());
        let third = mint(&inv, &pki, &placed(&second), now()).unwrap();
        assert!(third.iter().all(|f| f.fresh.is_none()), "after {n} files");
    }
}

#[test]
fn due_and_wrong_certificates_are_replaced_and_say_why() {
    let inv = inventory("v1.36.2");
    let pki = pki_options(KeyAlgorithm::EcdsaP256);
    let files = placed(&mint(&inv, &pki, &Observed::new(), now()).unwrap());
    let reasons = |inv: &Inventory, files: &Observed, days: i64| -> BTreeMap<String, String> {
        let at = now() + jiff::SignedDuration::from_hours(24 * days);
        let made = mint(inv, &pki, files, at).unwrap();
        made.into_iter().filter_map(|f| Some((f.path.rsplit('/').next()?.to_owned(), f.fresh?.to_string()))).collect()
    };
    let due = reasons(&inv, &files, 300);
    assert_eq!(due["apiserver.crt"], "expires in 65 days");
    assert_eq!(due["admin.conf"], "expires in 65 days");
    assert!(!due.contains_key("kubelet-client-initial.pem"), "the kubelet renews its own");
    assert_eq!(reasons(&inv, &files, 400)["apiserver.key"], "expired");

    let mut more = inv.clone();
    more.control_plane.api_server.cert_sans = vec!["api.example.com".into(), "192.0.2.9".into()];
    let names = reasons(&more, &files, 0);
    assert_eq!(names["apiserver.crt"], "names differ: lacks api.example.com, 192.0.2.9, has none too many");
    assert_eq!(names.len(), 2, "nothing else changes: {names:?}");

    let mut swapped = files.clone();
    swapped.insert("/etc/kubernetes/pki/apiserver.key".into(), files["/etc/kubernetes/pki/etcd/peer.key"].clone());
    assert_eq!(reasons(&inv, &swapped, 0)["apiserver.crt"], "key and certificate do not belong together");

    let mut older = inv.clone();
    older.cluster.version = "v1.28.15".parse().unwrap();
    let groups = reasons(&older, &files, 0);
    assert!(groups["admin.conf"].contains("O=system:masters"), "{groups:?}");
}

#[test]
fn a_clients_certificate_is_of_use_until_its_end_under_its_own_authority() {
    let pki = pki_options(KeyAlgorithm::EcdsaP256);
    let [ours, others] = [0, 0].map(|_| placed(&mint(&inventory("v1.36.2"), &pki, &Observed::new(), now()).unwrap()));
    let certificate = ours["/var/lib/kubelet/pki/kubelet-client-initial.pem"].expose();
    let [ca, other] = [&ours, &others].map(|files| files["/etc/kubernetes/pki/ca.crt"].expose());
    let fault = |bytes: &[u8], ca: Option<&[u8]>, days: i64| client_fault(bytes, ca, now() + jiff::SignedDuration::from_hours(24 * days));
    assert_eq!(fault(certificate, Some(ca), 364), None);
    assert_eq!(fault(certificate, Some(&[other, ca].concat()), 364), None);
    assert_eq!(fault(certificate, Some(ca), 366), Some(Reason::Expired));
    assert_eq!(fault(certificate, Some(other), 0), Some(Reason::OtherAuthority));
    assert_eq!(fault(certificate, Some(b"no authority"), 0), None);
    assert_eq!(fault(certificate, None, 0), None);
    assert!(matches!(fault(b"", Some(ca), 0), Some(Reason::Unreadable(_))));
}

#[test]
fn a_fresh_certificate_is_never_due() {
    let inv = inventory("v1.36.2");
    let short = PkiOptions {
        certificate_validity: Duration::from_secs(3600),
        ca_validity: Duration::from_secs(7200),
        ..pki_options(KeyAlgorithm::EcdsaP256)
    };
    let first = mint(&inv, &short, &Observed::new(), now()).unwrap();
    assert!(mint(&inv, &short, &placed(&first), now()).unwrap().iter().all(|f| f.fresh.is_none()));
}

#[test]
fn expiry_lists_certificates_inside_kubeconfigs_too() {
    let inv = inventory("v1.36.2");
    let files = mint(&inv, &pki_options(KeyAlgorithm::EcdsaP256), &Observed::new(), now()).unwrap();
    let list = expiry(&placed(&files));
    assert_eq!(list.iter().filter(|c| c.is_ca).map(|c| c.cn.as_str()).collect::<Vec<_>>(), ["kubernetes", "etcd-ca", "front-proxy-ca"]);
    let admin = list.iter().find(|c| c.path == "/etc/kubernetes/admin.conf").unwrap();
    assert_eq!((admin.cn.as_str(), admin.ca.as_str()), ("kubernetes-admin", "kubernetes"));
    assert_eq!(admin.not_after, "2027-11-21T20:11:39Z".parse().unwrap());
    assert_eq!(list.len(), 10 + 4 + 1, "ten files of the folder, four kubeconfigs, the kubelet's");
}

#[test]
fn a_masters_kubelet_speaks_to_its_own_api_server_since_1_33() {
    let pki = pki_options(KeyAlgorithm::EcdsaP256);
    let server = |inv: &Inventory, observed: &Observed| {
        let files = mint_at(inv, &pki, observed, "lb.example.com:443").unwrap();
        let conf = files.into_iter().find(|f| f.path == "/etc/kubernetes/kubelet.conf").unwrap();
        let text = String::from_utf8(conf.content.expose().to_vec()).unwrap();
        let line = text.lines().find_map(|l| l.trim().strip_prefix("server: ")).unwrap().to_owned();
        (line, conf.fresh.is_none())
    };
    let (local, endpoint) = ("https://172.30.0.21:6443".to_owned(), "https://lb.example.com:443".to_owned());
    let [old, new] = ["v1.32.13", "v1.33.1"].map(inventory);
    assert_eq!(server(&old, &Observed::new()), (endpoint, false));
    assert_eq!(server(&new, &Observed::new()), (local.clone(), false));
    // An upgrade to 1.33 changes the server in kubelet.conf to the API server of the same host. If kubelet.conf names that API server on an older
    // version, as kubeadm may have written it, clusterctl keeps it.
    let before = placed(&mint_at(&old, &pki, &Observed::new(), "lb.example.com:443").unwrap());
    assert_eq!(server(&new, &before), (local.clone(), false));
    let before = placed(&mint_at(&new, &pki, &Observed::new(), "lb.example.com:443").unwrap());
    assert_eq!(server(&old, &before), (local, true));
}

/// The number of distinct keys is four that all hosts share (three authorities and the service accounts), one for super-admin.conf, and eleven for
/// each control-plane host. `Keys::ahead_for_new_cluster` starts to make this number of keys.
#[test]
fn a_fleet_shares_its_authorities_and_no_other_key() {
    let inv = inventory("v1.36.2");
    let pki = pki_options(KeyAlgorithm::EcdsaP256);
    let keys = Keys::new(pki.algorithm);
    keys.ahead_for_new_cluster(3);
    let opts = opts(&pki, &keys);
    let auth = authorities(&BTreeMap::new(), &BTreeMap::new(), &opts, now()).unwrap();
    let cluster = Cluster { inv: &inv, v: versions::of(&inv.cluster.version).unwrap(), endpoint: "172.30.0.20:6443" };
    let none = Observed::new();
    let hosts = ["m1", "m2", "m3"].map(|name| {
        let host = request(name, "172.30.0.21", &none);
        HostRequest { wants: Wants { super_admin: name == "m1", ..host.wants }, ..host }
    });
    let files = fleet_files(&auth, cluster, &hosts, &opts, now()).unwrap();
    assert_eq!(files.iter().map(Vec::len).collect::<Vec<_>>(), [28, 27, 27]);
    let holders = files.iter().flatten().filter(|f| f.secret && f.path != "/etc/kubernetes/kubelet.conf");
    let distinct: BTreeSet<Vec<u8>> = holders.map(|f| f.content.expose().to_vec()).collect();
    assert_eq!(distinct.len(), 4 + 1 + 3 * 11);
}
