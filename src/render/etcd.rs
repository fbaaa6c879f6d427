//! etcd as a systemd service, on hosts of its own.

use std::net::IpAddr;

use serde_json::json;

use super::manifests::etcd_flags;
use super::{Ctx, Node, templates};
use crate::layout;

/// The unit etcd.service.
pub fn unit() -> String {
    templates::fill("systemd/etcd.service", json!({ "bin_dir": layout::BIN_DIR, "environment": layout::ETCD_ENV }))
}

/// The environment file of the service: the same flags as those of the static pod, by the names that etcd reads from its environment.
/// `initial_cluster` and `existing` are the same as for [`super::manifests::etcd`].
pub fn environment(ctx: &Ctx<'_>, node: &Node<'_>, initial_cluster: &[(String, IpAddr)], existing: bool) -> String {
    let mut flags = etcd_flags(ctx, node, initial_cluster, existing);
    flags.extend(ctx.inv.etcd.extra_args.clone());
    let line = |(name, value): (&String, &String)| {
        let variable = name.to_ascii_uppercase().replace('-', "_");
        format!("ETCD_{variable}=\"{}\"\n", escaped(value))
    };
    flags.iter().map(line).collect()
}

/// Escapes a value that is between double quotes in a file for systemd's `EnvironmentFile`.
fn escaped(value: &str) -> String {
    let special = |c: char| matches!(c, '"' | '\\' | '`' | '$');
    value.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}
