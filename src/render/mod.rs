//! Renders the files of hosts and the objects of the API, as text and values. There is no IO, no clock and no randomness: the same input gives
//! the same bytes.

use std::net::IpAddr;

use crate::inventory::{HostEntry, Inventory};
use crate::versions::Minor;

pub use crate::pki::{Credential, kubeconfig};
pub use image::{Component, image};
pub use volumes::FileCopy;

mod args;
pub mod cni;
pub mod containerd;
pub mod etcd;
mod image;
pub mod kernel;
pub mod kubelet;
pub mod lb;
pub mod manifests;
pub mod objects;
mod templates;
mod volumes;

/// Whether clusterctl wrote this configuration of containerd, haproxy, nginx or keepalived: all of its templates for them begin with the same words.
pub fn is_written_by_us(config: &str) -> bool {
    config.starts_with("# Written by clusterctl")
}

/// The input that is the same for everything that is rendered for one cluster.
#[derive(Clone, Copy)]
pub struct Ctx<'a> {
    pub inv: &'a Inventory,
    pub v: &'static Minor,
    /// Control-plane endpoint, `host:port`.
    pub endpoint: &'a str,
    /// Registry and path of the control-plane images.
    pub image_repository: &'a str,
    /// Whether ca.key was found neither on a host nor in the operator's folder, so that the controller manager cannot sign certificates.
    pub external_ca: bool,
    /// The operator's files, which static pods mount if they are below one of their volumes.
    pub files: &'a [FileCopy],
}

/// One host, with the facts that were observed on it.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    pub entry: &'a HostEntry,
    /// Address of the host inside the cluster.
    pub address: IpAddr,
    /// The folders of [`crate::layout::CA_DIRS`] that exist on the host.
    pub ca_dirs: &'a [String],
    pub systemd_resolved: bool,
    pub hostname: &'a str,
    /// The file with the configuration of the API server's encryption; `None` if nothing that it stores is encrypted.
    pub encryption: Option<&'a str>,
}
