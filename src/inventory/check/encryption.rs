//! Rules about `controlPlane.encryption`.

use super::super::ENCRYPTABLE;
use super::super::path::at;
use super::super::words::quoted;
use super::review::Review;

/// The flags of the API server that contradict `controlPlane.encryption`, each with the reason.
const FLAGS: [(&str, &str); 4] = [
    ("encryption-provider-config", "two configurations contradict each other: remove the flag, or `controlPlane.encryption`"),
    ("experimental-encryption-provider-config", "two configurations contradict each other: remove the flag, or `controlPlane.encryption`"),
    ("encryption-provider-config-automatic-reload", "API servers are restarted one after another instead: remove the flag"),
    ("etcd-prefix", "the stored values are counted below the default prefix: remove the flag, or `controlPlane.encryption`"),
];

pub(super) fn check(review: &mut Review) {
    let plane = &review.inventory.control_plane;
    let Some(encryption) = &plane.encryption else { return };
    for (flag, reason) in FLAGS.iter().filter(|(flag, _)| plane.api_server.extra_args.contains_key(*flag)) {
        let path = at!["controlPlane", "apiServer", "extraArgs", *flag];
        review.key_fault(path, format!("the flag {} cannot be set together with `controlPlane.encryption`", quoted(flag)), *reason);
    }
    if review.inventory.etcd.external.is_some() {
        let hint = "clusterctl must see in etcd that no value needs an old key, and cannot ask an external etcd: use the flag \
            `encryption-provider-config` with `controlPlane.files`";
        review.key_fault(at!["controlPlane", "encryption"], "values in an external etcd cannot be encrypted by clusterctl", hint);
    }
    let resources = at!["controlPlane", "encryption", "resources"];
    if encryption.resources.is_empty() {
        review.fault(resources.clone(), "no resource is named here", "write `[secrets]`, or `provider: identity` to encrypt nothing");
    }
    for (i, resource) in encryption.resources.iter().enumerate() {
        if !ENCRYPTABLE.contains(&resource.as_str()) {
            let message = format!("{} is not a resource that clusterctl can encrypt", quoted(resource));
            review.fault(resources.join(i), message, format!("write one of {}", ENCRYPTABLE.join(", ")));
        } else if encryption.resources[..i].contains(resource) {
            review.fault(resources.join(i), format!("the resource {} is named twice", quoted(resource)), "remove one of the two");
        }
    }
}
