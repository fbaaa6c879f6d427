//! Rules about the sources of software (download site, image repository, image tags, manifests of the CNI and of add-ons), the folder of an existing PKI,
//! and the names in the serving certificate of kube-apiserver.

use super::super::path::{Path, at};
use super::super::words::{quoted, quoted_url};
use super::review::Review;
use super::shape::{is_address_or_name, is_repository, is_subdomain, is_tag, looks_like_url, url_fault};

pub(super) fn check(review: &mut Review) {
    let inventory = review.inventory;
    let artifacts = &inventory.artifacts;
    check_source(review, at!["artifacts", "binaries"], &artifacts.binaries);
    if let Some(repository) = artifacts.image_repository.as_deref().filter(|r| !is_repository(r)) {
        let hint = match repository.split_once("://") {
            Some((_, bare)) if is_repository(bare) => format!("did you mean {}?", quoted(bare)),
            _ => "write one such as `registry.example.org:5000/kubernetes`, lower case, without a tag".into(),
        };
        review.fault(at!["artifacts", "imageRepository"], format!("{} is not a registry with a path", quoted(repository)), hint);
    }
    if let Some(tag) = inventory.addons.core_dns.image_tag.as_deref().filter(|tag| !is_tag(tag)) {
        review.fault(at!["addons", "coreDns", "imageTag"], format!("{} is not an image tag", quoted(tag)), "write one such as `v1.14.2`");
    }
    if inventory.addons.core_dns.corefile.as_deref().is_some_and(|text| text.trim().is_empty()) {
        let hint = "write a Corefile, or remove the field for the default";
        review.fault(at!["addons", "coreDns", "corefile"], "the Corefile is empty", hint);
    }
    for (i, manifest) in inventory.addons.manifests.iter().enumerate() {
        check_source(review, at!["addons", "manifests", i], manifest);
    }
    for (i, manifest) in inventory.network.cni.manifests.iter().enumerate() {
        check_source(review, at!["network", "cni", "manifests", i], manifest);
    }
    if inventory.pki.existing.as_deref() == Some("") {
        review.fault(at!["pki", "existing"], "the folder's name is empty", "name a folder on this machine, or remove the field");
    }
    for (i, name) in inventory.control_plane.api_server.cert_sans.iter().enumerate() {
        let bare = name.strip_prefix("*.").unwrap_or(name);
        let good = if bare == name { is_address_or_name(name) } else { is_subdomain(bare) };
        if !good {
            let message = format!("{} is neither an IP address nor a DNS name", quoted(name));
            review.fault(at!["controlPlane", "apiServer", "certSANs", i], message, "write names without scheme and port");
        }
    }
}

/// Checks a source: a URL, or a file or folder on the operator's machine.
fn check_source(review: &mut Review, path: Path, text: &str) {
    if text.is_empty() {
        review.fault(path, "nothing is named here", "write an http(s) URL, or a path relative to the inventory");
    } else if looks_like_url(text)
        && let Some(fault) = url_fault(text)
    {
        review.fault(path, format!("{} {fault}", quoted_url(text)), "write an http(s) URL, or a path relative to the inventory");
    }
}
