//! The cluster's certificates and keys. Existing ones that are valid are kept, all others are made.
//!
//! This module does not connect to hosts. Its input is the observed content of files, and its output is the content of the files to write.

use std::collections::BTreeMap;

use crate::host::Secret;
use crate::inventory::{Inventory, PkiOptions};
use crate::versions::Minor;

pub use authority::{Authorities, authorities};
pub use expiry::{CertInfo, expiry};
pub use fault::{PkiFault, Reason, Whose};
pub use files::{HostRequest, Wants, fleet_files, host_files};
pub use identity::{client_fault, is_due_client, node_of};
pub use kubeconfig::{Credential, kubeconfig};
pub use person::{ClientCertificate, ClusterAuthority, client_certificate};
pub use renew::{KUBELET, RENEWABLE, Renew};
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
mod person;
mod renew;
mod supply;
mod table;

/// The files on one host: their content by absolute path. Symbolic links are followed.
pub type Observed = BTreeMap<String, Secret>;

/// One file to place on a host.
#[derive(Clone, Debug)]
pub struct FileOut {
    pub path: String,
    pub mode: u32,
    pub content: Secret,
    /// Whether the content must never be shown.
    pub secret: bool,
    /// Why the file differs from the file on the host. `None` if it is the same.
    pub fresh: Option<Reason>,
}

/// How certificates are made.
pub struct Opts<'a> {
    pub pki: &'a PkiOptions,
    /// Whether new authorities may be made, which is true only while the cluster does not exist.
    pub allow_new: bool,
    /// The supply of new private keys.
    pub keys: &'a Keys,
    /// The client files for an external etcd. `None` if clusterctl manages etcd.
    pub external_etcd: Option<ExternalEtcdFiles>,
    /// Only the certificates and kubeconfigs of this renewal are wanted, and those that it concerns are made again. `None`: all files are wanted.
    pub renew: Option<&'a Renew>,
}

/// The files with which the API server connects to an external etcd, which clusterctl does not manage.
#[derive(Clone, Debug)]
pub struct ExternalEtcdFiles {
    pub ca: Secret,
    pub cert: Secret,
    pub key: Secret,
}

/// The facts about the whole cluster that its certificates and kubeconfigs contain.
#[derive(Clone, Copy)]
pub struct Cluster<'a> {
    pub inv: &'a Inventory,
    pub v: &'static Minor,
    /// Control-plane endpoint, `host:port`.
    pub endpoint: &'a str,
}

/// SHA-256 of the first certificate's public key, as `kubeadm join` pins it. `None` if there is no certificate.
pub fn public_key_pin(pem: &[u8]) -> Option<String> {
    cert::Cert::read_all(pem).ok()?.first()?.public_key_pin()
}

/// The certificates in a PEM file, as PEM without anything else that is in the file. A file without certificates is an error.
pub fn certificates(pem: &[u8]) -> Result<String, String> {
    Ok(cert::Cert::read_all(pem)?.iter().map(cert::Cert::pem).collect())
}
