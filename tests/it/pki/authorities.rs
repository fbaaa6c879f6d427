//! Tests of certificate authorities: all hosts of a cluster have the same ones, whether clusterctl makes them, a host already has them, or the
//! operator gives them.

use std::collections::BTreeMap;

use clusterctl::host::Secret;
use clusterctl::inventory::KeyAlgorithm;
use clusterctl::pki::*;
use clusterctl::versions;
use jiff::Timestamp;

use super::fixture::*;
use crate::needs::needs;

#[test]
fn authorities_are_one_for_the_fleet() {
    let pki = pki_options(KeyAlgorithm::EcdsaP256);
    let keys = Keys::new(pki.algorithm);
    let inv = inventory("v1.36.2");
    let one = placed(&mint(&inv, &pki, &Observed::new(), now()).unwrap());
    let two = placed(&mint(&inv, &pki, &Observed::new(), now()).unwrap());
    let find = |hosts: &[(&str, &Observed)], allow_new: bool, given: &BTreeMap<String, Secret>| {
        let hosts = hosts.iter().map(|(name, files)| ((*name).to_owned(), (*files).clone())).collect();
        authorities(&hosts, given, &Opts { allow_new, ..opts(&pki, &keys) }, now())
    };
    let none = BTreeMap::new();
    let ca = |auth: Result<Authorities, Vec<PkiFault>>| {
        auth.map(|a| a.ca_pem()).map_err(|f| f.iter().map(PkiFault::to_string).collect::<Vec<_>>())
    };

    // The CA is recovered from the host that still has it.
    let empty = Observed::new();
    let wanted = String::from_utf8(one["/etc/kubernetes/pki/ca.crt"].expose().to_vec()).unwrap();
    assert_eq!(ca(find(&[("m1", &empty), ("m2", &one)], false, &none)).unwrap(), wanted);
    // A running cluster never gets a second CA, so a CA that no host has is a fault.
    let lost = ca(find(&[("m1", &empty)], false, &none)).unwrap_err();
    assert_eq!(lost.len(), 4);
    assert_eq!(lost[0], "no host has `ca.crt`, and a running cluster must not get a second one");
    // Two hosts that have different CAs are a fault.
    let differ = ca(find(&[("m1", &one), ("m2", &two)], true, &none)).unwrap_err();
    assert!(differ[0].starts_with("hosts have different `ca.crt`: ") && differ[0].contains("on m1") && differ[0].contains("on m2"));
    // A key that belongs to another CA than the certificate is a fault.
    let mut mixed = one.clone();
    mixed.insert("/etc/kubernetes/pki/ca.key".into(), two["/etc/kubernetes/pki/ca.key"].clone());
    assert_eq!(ca(find(&[("m1", &mixed)], true, &none)).unwrap_err(), ["`ca.key` on `m1` does not belong to `ca.crt`"]);
    // If no host has a CA, the operator's CA is used. If a host has another CA, the operator's CA is a fault and does not replace it.
    let given: BTreeMap<String, Secret> =
        two.iter().filter_map(|(p, b)| Some((p.strip_prefix("/etc/kubernetes/pki/")?.to_owned(), b.clone()))).collect();
    let theirs = String::from_utf8(two["/etc/kubernetes/pki/ca.crt"].expose().to_vec()).unwrap();
    assert_eq!(ca(find(&[("m1", &empty)], true, &given)).unwrap(), theirs);
    let clash = ca(find(&[("m1", &one)], true, &given)).unwrap_err();
    assert_eq!(clash[0], "the given `ca.crt` is not the one the cluster has");
    // A leaf certificate in the place of the CA is a fault.
    let mut leaf = one.clone();
    for suffix in ["crt", "key"] {
        leaf.insert(format!("/etc/kubernetes/pki/ca.{suffix}"), one[&format!("/etc/kubernetes/pki/apiserver.{suffix}")].clone());
    }
    assert_eq!(ca(find(&[("m1", &leaf)], true, &none)).unwrap_err(), ["`ca.crt` on `m1` is not a certificate authority"]);
}

fn fault(faults: Result<Vec<FileOut>, Vec<PkiFault>>) -> String {
    faults.map(|_| ()).unwrap_err().iter().map(PkiFault::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_external_authority_needs_its_leaves() {
    let inv = inventory("v1.36.2");
    let pki = pki_options(KeyAlgorithm::EcdsaP256);
    let mut files = placed(&mint(&inv, &pki, &Observed::new(), now()).unwrap());
    files.remove("/etc/kubernetes/pki/ca.key");
    assert!(mint(&inv, &pki, &files, now()).unwrap().iter().all(|f| f.fresh.is_none()));
    files.remove("/etc/kubernetes/pki/apiserver.crt");
    let message = fault(mint(&inv, &pki, &files, now()));
    assert_eq!(message, "`/etc/kubernetes/pki/apiserver.crt` on `m1` cannot be made because its authority's key is not here (missing)");
}

/// The operator's authorities have subject names with several values of one kind, such as two OUs, which rcgen by itself would write wrongly into the
/// certificates that they sign. openssl must accept these certificates.
#[test]
fn a_foreign_authority_with_a_difficult_name_works() {
    needs!(Openssl);
    let dir = tempfile::tempdir().unwrap();
    let at = |p: &str| dir.path().join(p).to_str().unwrap().to_owned();
    let mut given = BTreeMap::new();
    for (base, extra) in [("ca", "/DC=example/DC=com/OU=one/OU=two/CN=Über CA"), ("front-proxy-ca", "/O=a/O=b"), ("etcd-ca", "/CN=x/CN=y")]
    {
        let (crt, key) = (at(&format!("{base}.crt")), at(&format!("{base}.key")));
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-384",
            "-nodes",
            "-utf8",
            "-days",
            "3650",
            "-subj",
            extra,
            "-keyout",
            &key,
            "-out",
            &crt,
        ]);
        let name = base.replace("etcd-ca", "etcd/ca");
        given.insert(format!("{name}.crt"), Secret::from(std::fs::read(&crt).unwrap()));
        given.insert(format!("{name}.key"), Secret::from(std::fs::read(&key).unwrap()));
    }
    let inv = inventory("v1.36.2");
    let pki = pki_options(KeyAlgorithm::EcdsaP256);
    let keys = Keys::new(pki.algorithm);
    let opts = opts(&pki, &keys);
    let at_now = Timestamp::now();
    let auth = authorities(&BTreeMap::new(), &given, &opts, at_now).unwrap();
    let cluster = Cluster { inv: &inv, v: versions::of(&inv.cluster.version).unwrap(), endpoint: "lb.example.com:443" };
    let none = Observed::new();
    let files = host_files(&auth, cluster, &request("m1", "fd00::21", &none), &opts, at_now).unwrap();
    let laid = lay_out(&files);
    let pki_at = |p: &str| laid.path().join("etc/kubernetes/pki").join(p).to_str().unwrap().to_owned();
    for (leaf, ca) in [("apiserver", "ca"), ("front-proxy-client", "front-proxy-ca"), ("etcd/peer", "etcd/ca")] {
        openssl(&["verify", "-CAfile", &pki_at(&format!("{ca}.crt")), &pki_at(&format!("{leaf}.crt"))]);
    }
    let names = openssl(&["x509", "-in", &pki_at("apiserver.crt"), "-noout", "-ext", "subjectAltName"]);
    assert!(names.contains("DNS:lb.example.com") && names.contains("IP Address:FD00:0:0:0:0:0:0:21"), "{names}");
    assert!(
        host_files(&auth, cluster, &request("m1", "fd00::21", &placed(&files)), &opts, at_now).unwrap().iter().all(|f| f.fresh.is_none())
    );
}

#[test]
fn a_strangers_etcd_brings_its_own_client() {
    let inv = inventory("v1.36.2");
    let pki = pki_options(KeyAlgorithm::EcdsaP256);
    let keys = Keys::new(pki.algorithm);
    let given = ["CA", "CERT", "KEY"].map(Secret::from);
    let [ca, cert, key] = given.clone();
    let opts = Opts { external_etcd: Some(ExternalEtcdFiles { ca, cert, key }), ..opts(&pki, &keys) };
    let auth = authorities(&BTreeMap::new(), &BTreeMap::new(), &opts, now()).unwrap();
    let cluster = Cluster { inv: &inv, v: versions::of(&inv.cluster.version).unwrap(), endpoint: "172.30.0.21:6443" };
    let none = Observed::new();
    let host = HostRequest { wants: Wants { etcd_member: false, ..MASTER }, ..request("m1", "172.30.0.21", &none) };
    let files = placed(&host_files(&auth, cluster, &host, &opts, now()).unwrap());
    let etcd: Vec<&String> = files.keys().filter(|p| p.contains("etcd")).collect();
    let pki_dir = "/etc/kubernetes/pki";
    assert_eq!(
        etcd,
        [
            &format!("{pki_dir}/apiserver-etcd-client.crt"),
            &format!("{pki_dir}/apiserver-etcd-client.key"),
            &format!("{pki_dir}/etcd/ca.crt")
        ]
    );
    assert!(files[&format!("{pki_dir}/etcd/ca.crt")] == given[0] && files[&format!("{pki_dir}/apiserver-etcd-client.key")] == given[2]);

    // A host that runs only etcd gets etcd's authority with its key, and no other authority. A control-plane host of the same cluster gets only the
    // certificate of etcd's authority.
    let member = HostRequest { wants: Wants { etcd_member: true, ..Wants::default() }, ..request("e1", "10.0.0.9", &none) };
    let opts = Opts { external_etcd: None, ..opts };
    let auth = authorities(&BTreeMap::new(), &BTreeMap::new(), &opts, now()).unwrap();
    let files = placed(&host_files(&auth, cluster, &member, &opts, now()).unwrap());
    let names: Vec<&str> = files.keys().map(|p| p.strip_prefix("/etc/kubernetes/pki/etcd/").unwrap()).collect();
    assert_eq!(
        names,
        ["ca.crt", "ca.key", "healthcheck-client.crt", "healthcheck-client.key", "peer.crt", "peer.key", "server.crt", "server.key"]
    );
    let master = HostRequest { wants: Wants { etcd_member: false, ..MASTER }, ..request("m1", "172.30.0.21", &none) };
    let files = placed(&host_files(&auth, cluster, &master, &opts, now()).unwrap());
    let etcd: Vec<&str> = files.keys().filter_map(|p| p.strip_prefix("/etc/kubernetes/pki/etcd/")).collect();
    assert_eq!(etcd, ["ca.crt"]);
}
