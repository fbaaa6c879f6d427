//! What lands on hosts and in the API, as text and values. No IO, no clock, no randomness: same input, same bytes.

use std::net::IpAddr;

use crate::inventory::{HostEntry, Inventory};
use crate::versions::Minor;

pub use crate::pki::{Credential, kubeconfig};
pub use image::{Component, image};

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

/// What everything rendered for one cluster shares.
#[derive(Clone, Copy)]
pub struct Ctx<'a> {
    pub inv: &'a Inventory,
    pub v: &'static Minor,
    /// Control-plane endpoint, `host:port`.
    pub endpoint: &'a str,
    /// Registry and path of the control-plane images.
    pub image_repository: &'a str,
    /// Whether ca.key is nowhere, so that the controller manager cannot sign.
    pub external_ca: bool,
}

/// One host, with what was observed of it.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    pub entry: &'a HostEntry,
    /// Address the cluster uses for it.
    pub address: IpAddr,
    /// Those of [`crate::layout::CA_DIRS`] that exist on the host.
    pub ca_dirs: &'a [String],
    pub systemd_resolved: bool,
    pub hostname: &'a str,
}
