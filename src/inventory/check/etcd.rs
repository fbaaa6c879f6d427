//! Rules about etcd: the number of members and of failures that they tolerate, and the endpoints and files of an external etcd.

use super::super::path::at;
use super::super::words::{count, quoted, quoted_url};
use super::super::{ExternalEtcd, Role};
use super::review::Review;
use super::shape::{is_tag, url_fault};

/// The largest number of etcd members that causes no warning. etcd's documentation advises against more members, because they make writes slower.
const MAX_MEMBERS: usize = 7;

pub(super) fn check(review: &mut Review) {
    let etcd = &review.inventory.etcd;
    if let Some(tag) = etcd.image_tag.as_deref().filter(|tag| !is_tag(tag)) {
        review.fault(at!["etcd", "imageTag"], format!("{} is not an image tag", quoted(tag)), "write one such as `3.6.8-0`");
    }
    match &etcd.external {
        Some(external) => check_external(review, external),
        None => check_members(review),
    }
}

fn check_members(review: &mut Review) {
    if !review.intact(&at!["hosts"]) {
        return;
    }
    let members = review.inventory.etcd_hosts().len();
    let quorum = members / 2 + 1;
    if members > 0 && members.is_multiple_of(2) {
        let message = format!(
            "{members} etcd members: quorum is {quorum}, so {} may fail, the same as with {}",
            count(members - quorum, "member"),
            count(members - 1, "member")
        );
        review.warn(at!["hosts"], message, format!("use {} or {}", members - 1, members + 1));
    } else if members > MAX_MEMBERS {
        let message = format!("{members} etcd members: quorum is {quorum}, and every write waits for that many");
        review.warn(at!["hosts"], message, "use 3 or 5; hosts with the role `etcd` limit it to those");
    }
}

fn check_external(review: &mut Review, external: &ExternalEtcd) {
    let inventory = review.inventory;
    for (i, host) in inventory.hosts.iter().enumerate().filter(|(_, h)| h.has(Role::Etcd)) {
        let message = format!("{} has the role `etcd` and `etcd.external` is set", quoted(&host.name));
        review.fault(at!["hosts", i, "roles"], message, "remove one of the two");
    }
    if inventory.etcd.image_tag.is_some() {
        review.key_fault(at!["etcd", "imageTag"], "`imageTag` has no effect on an external etcd", "remove it");
    }
    if !inventory.etcd.extra_args.is_empty() {
        review.key_fault(at!["etcd", "extraArgs"], "`extraArgs` have no effect on an external etcd", "remove them");
    }
    let endpoints = at!["etcd", "external", "endpoints"];
    if external.endpoints.is_empty() {
        review.fault(endpoints.clone(), "the external etcd has no endpoint", "write one such as `https://192.0.2.41:2379`");
    }
    for (i, endpoint) in external.endpoints.iter().enumerate() {
        let path = endpoints.join(i);
        let shown = quoted_url(endpoint);
        if let Some(fault) = url_fault(endpoint) {
            review.fault(path, format!("the etcd endpoint {shown} {fault}"), "write one such as `https://192.0.2.41:2379`");
        } else if !endpoint.starts_with("https://") {
            review.fault(path, format!("the etcd endpoint {shown} is not https"), "etcd is spoken to with certificates only");
        } else if endpoint["https://".len()..].contains('/') {
            review.fault(path, format!("the etcd endpoint {shown} has a path"), "write `https://host:port`");
        } else if external.endpoints[..i].contains(endpoint) {
            review.fault(path, format!("the etcd endpoint {shown} is written twice"), "remove one");
        }
    }
    for (field, file) in [("caFile", &external.ca_file), ("certFile", &external.cert_file), ("keyFile", &external.key_file)] {
        if file.is_empty() {
            review.fault(at!["etcd", "external", field], format!("`{field}` is empty"), "name a file on this machine");
        }
    }
}
