//! The PKI files of a cluster of one control-plane host, made for tests, and functions that check such files with `openssl`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::Command;

use clusterctl::inventory::{Inventory, KeyAlgorithm, PkiOptions};
use clusterctl::pki::*;
use clusterctl::versions;
use jiff::Timestamp;

pub fn now() -> Timestamp {
    "2026-11-21T20:11:39Z".parse().unwrap()
}

pub fn inventory(version: &str) -> Inventory {
    let value = serde_json::json!({
        "cluster": { "name": "kubernetes", "version": version },
        "hosts": [{ "name": "m1", "address": "172.30.0.21", "roles": ["control-plane"] }],
    });
    serde_json::from_value(value).unwrap()
}

pub fn pki_options(algorithm: KeyAlgorithm) -> PkiOptions {
    PkiOptions { algorithm, ..PkiOptions::default() }
}

pub fn opts<'a>(pki: &'a PkiOptions, keys: &'a Keys) -> Opts<'a> {
    Opts { pki, allow_new: true, keys, external_etcd: None, renew: None }
}

pub const MASTER: Wants = Wants { worker: false, control_plane: true, etcd_member: true, super_admin: true, kubelet: false };

pub fn request<'a>(name: &'a str, address: &str, observed: &'a Observed) -> HostRequest<'a> {
    HostRequest { name, address: address.parse::<IpAddr>().unwrap(), wants: MASTER, observed }
}

pub fn placed(files: &[FileOut]) -> Observed {
    files.iter().map(|f| (f.path.clone(), f.content.clone())).collect()
}

pub fn mint_at(inv: &Inventory, pki: &PkiOptions, observed: &Observed, endpoint: &str) -> Result<Vec<FileOut>, Vec<PkiFault>> {
    mint_with(inv, pki, observed, now(), endpoint)
}

/// The PKI files of a cluster of one control-plane host, made at the time `at`. `observed` has the files that are on the host already.
pub fn mint(inv: &Inventory, pki: &PkiOptions, observed: &Observed, at: Timestamp) -> Result<Vec<FileOut>, Vec<PkiFault>> {
    mint_with(inv, pki, observed, at, "172.30.0.21:6443")
}

pub fn mint_with(
    inv: &Inventory,
    pki: &PkiOptions,
    observed: &Observed,
    at: Timestamp,
    endpoint: &str,
) -> Result<Vec<FileOut>, Vec<PkiFault>> {
    let keys = Keys::new(pki.algorithm);
    let opts = opts(pki, &keys);
    let hosts = BTreeMap::from([("m1".to_owned(), observed.clone())]);
    let auth = authorities(&hosts, &BTreeMap::new(), &opts, at)?;
    let cluster = Cluster { inv, v: versions::of(&inv.cluster.version).unwrap(), endpoint };
    host_files(&auth, cluster, &request("m1", "172.30.0.21", observed), &opts, at)
}

pub fn openssl(args: &[&str]) -> String {
    let out = Command::new("openssl").args(args).output().unwrap();
    assert!(out.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

pub fn lay_out(files: &[FileOut]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join(&file.path[1..]);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file.content.expose()).unwrap();
    }
    dir
}
