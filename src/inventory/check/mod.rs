//! The rules about the meaning of an inventory, which its JSON Schema cannot express. All rules are applied, so that all faults are reported at once.

mod addresses;
mod balance;
mod cluster;
mod encryption;
mod etcd;
mod files;
mod flags;
mod hosts;
mod network;
mod owned;
mod registries;
mod review;
mod shape;
mod software;
mod ssh;
mod timings;
mod volumes;

pub(super) use review::Opinion;

use super::path::Path;
use super::tree::Node;
use super::{Inventory, Supported};
use review::Review;

/// Applies every rule to an inventory. `holes` are the paths of values that could not be read.
pub(super) fn all(inventory: &Inventory, root: &Node, holes: &[Path], supported: Supported) -> Opinion {
    let mut review = Review::new(inventory, root, holes);
    cluster::check(&mut review, supported);
    hosts::check(&mut review);
    addresses::check(&mut review);
    network::check(&mut review);
    balance::check(&mut review);
    etcd::check(&mut review);
    flags::check(&mut review);
    files::check(&mut review);
    volumes::check(&mut review);
    encryption::check(&mut review);
    timings::check(&mut review);
    software::check(&mut review);
    registries::check(&mut review);
    ssh::check(&mut review);
    review.opinion()
}
