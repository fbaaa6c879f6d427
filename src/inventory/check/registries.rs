//! Rules about `artifacts.registryMirrors`: the names of registries, and for each entry its URL, its files, its user and its headers.

use super::super::path::{Path, at};
use super::super::words::{quoted, quoted_url};
use super::super::{DEFAULT_REGISTRY, RegistryMirror};
use super::review::Review;
use super::shape::{has_user, is_header_name, is_registry, looks_like_url, url_fault};

pub(super) fn check(review: &mut Review) {
    for (registry, mirrors) in &review.inventory.artifacts.registry_mirrors {
        let at = at!["artifacts", "registryMirrors", registry];
        if registry != DEFAULT_REGISTRY && !is_registry(registry) {
            let hint = "write a registry's name such as `docker.io` or `registry.example.org:5000`, without a scheme or path";
            review.key_fault(at.clone(), format!("{} is not a registry's name", quoted(registry)), hint);
        }
        if mirrors.is_empty() {
            review.fault(at.clone(), format!("the registry {} has no mirror", quoted(registry)), "write one URL or more, or remove it");
        }
        for (i, mirror) in mirrors.iter().enumerate() {
            let at = at.join(i);
            check_url(review, &at, mirror);
            check_user(review, &at, mirror);
            check_headers(review, &at.join("headers"), mirror);
            let same = |other: &RegistryMirror| other.url.trim_end_matches('/') == mirror.url.trim_end_matches('/');
            if mirrors[..i].iter().any(same) {
                let message = format!("two entries of the registry {} have the URL {}", quoted(registry), quoted_url(&mirror.url));
                review.fault(of_url(&at, mirror), message, "remove one of the two");
            }
        }
    }
}

/// The place of the URL of an entry, which may be text alone.
fn of_url(at: &Path, mirror: &RegistryMirror) -> Path {
    if mirror.is_plain() { at.clone() } else { at.join("url") }
}

fn check_url(review: &mut Review, at: &Path, mirror: &RegistryMirror) {
    let place = of_url(at, mirror);
    if let Some(fault) = url_fault(&mirror.url) {
        let hint = match has_user(&mirror.url) {
            true => "write the user as `username`, and name a file with the password as `passwordFile`",
            false => "write one such as `https://mirror.example.org`",
        };
        review.fault(place, format!("the mirror {} {fault}", quoted_url(&mirror.url)), hint);
    } else if mirror.url.starts_with("http://") && mirror.username.is_some() {
        let message = format!("the password is sent to {} without encryption", quoted_url(&mirror.url));
        review.warn(place, message, "use an https URL");
    }
    if let Some(name) = &mirror.ca_file {
        check_file(review, at.join("caFile"), name);
        if mirror.url.starts_with("http://") {
            review.fault(at.join("caFile"), "an http URL has no certificate to check", "write an https URL, or remove `caFile`");
        }
    }
}

fn check_user(review: &mut Review, at: &Path, mirror: &RegistryMirror) {
    match (&mirror.username, &mirror.password_file) {
        (Some(_), None) => {
            review.key_fault(at.join("username"), "the user has no password", "name a file with the password as `passwordFile`");
        }
        (None, Some(_)) => review.key_fault(at.join("passwordFile"), "the password has no user", "write the user as `username`"),
        _ => {}
    }
    match mirror.username.as_deref() {
        Some("") => review.fault(at.join("username"), "the user's name is empty", "write a name, or remove `username` and `passwordFile`"),
        Some(name) if name.contains(':') => {
            // The message does not show the text, which may be a user and a password.
            let message = "the user's name has a colon in it, which HTTP basic authentication cannot send";
            review.fault(at.join("username"), message, "write a name without a colon; the password is in the file `passwordFile`");
        }
        _ => {}
    }
    if let Some(name) = &mirror.password_file {
        check_file(review, at.join("passwordFile"), name);
    }
}

fn check_file(review: &mut Review, at: Path, name: &str) {
    if name.is_empty() {
        review.fault(at, "the name of the file is empty", "write the path of a file on this machine, relative to the inventory");
    } else if looks_like_url(name) {
        review.fault(at, format!("{} is a URL", quoted_url(name)), "write the path of a file on this machine, relative to the inventory");
    }
}

fn check_headers(review: &mut Review, at: &Path, mirror: &RegistryMirror) {
    for (name, value) in &mirror.headers {
        let at = at.join(name);
        if name.eq_ignore_ascii_case("authorization") {
            let hint = "write the user as `username`, and name a file with the password as `passwordFile`";
            review.key_fault(at, "the header `Authorization` would put a secret into the inventory", hint);
        } else if !is_header_name(name) {
            let hint = "write letters, digits and dashes, such as `X-Meta-Source`";
            review.key_fault(at, format!("{} is not the name of a header", quoted(name)), hint);
        } else if !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            let message = format!("the value of the header {} has characters that a header cannot have", quoted(name));
            review.fault(at, message, "write letters, digits, spaces and punctuation of ASCII");
        }
    }
}
