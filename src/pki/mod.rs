//! The cluster's certificates and keys: what is there and good is kept, the rest is minted.
//!
//! Nothing here reaches a host: bytes come in as observed, bytes go out as files to place.

use std::collections::BTreeMap;

use crate::host::Secret;
use crate::inventory::{Inventory, PkiOptions};
use crate::versions::Minor;

pub use authority::{Authorities, authorities};
pub use expiry::{CertInfo, expiry};
pub use fault::{PkiFault, Reason, Whose};
pub use files::{HostRequest, Wants, fleet_files, host_files};
pub use identity::{client_fault, node_of};
pub use kubeconfig::{Credential, kubeconfig};
pub use supply::Keys;

mod authority;
mod cert;
mod der;
mod expiry;
mod fault;
mod files;
mod identity;
mod key;
mod kubeconfig;
mod supply;
mod table;

/// What is on one host: absolute path to bytes. Symbolic links are followed.
pub type Observed = BTreeMap<String, Secret>;

/// One file to place on a host.
#[derive(Clone, Debug)]
pub struct FileOut {
    pub path: String,
    pub mode: u32,
    pub content: Secret,
    /// Whether the content must never be shown.
    pub secret: bool,
    /// Why it is not the file the host has; `None` when it is.
    pub fresh: Option<Reason>,
}

/// How certificates are made.
pub struct Opts<'a> {
    pub pki: &'a PkiOptions,
    /// Whether authorities may be minted: true only while there is no cluster.
    pub allow_new: bool,
    /// Where new private keys come from.
    pub keys: &'a Keys,
    /// The client of an etcd that someone else runs.
    pub external_etcd: Option<ExternalEtcdFiles>,
}

/// How the API server reaches an etcd that someone else runs.
#[derive(Clone, Debug)]
pub struct ExternalEtcdFiles {
    pub ca: Secret,
    pub cert: Secret,
    pub key: Secret,
}

/// What certificates say about the cluster as a whole.
#[derive(Clone, Copy)]
pub struct Cluster<'a> {
    pub inv: &'a Inventory,
    pub v: &'static Minor,
    /// Control-plane endpoint, `host:port`.
    pub endpoint: &'a str,
}

/// SHA-256 of the first certificate's public key, as `kubeadm join` pins it; `None` when there is no certificate.
pub fn public_key_pin(pem: &[u8]) -> Option<String> {
    cert::Cert::read_all(pem).ok()?.first()?.public_key_pin()
}
