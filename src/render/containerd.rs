//! containerd: its configuration and the registries' mirrors.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::{Ctx, templates};
use crate::inventory::{CgroupDriver, DEFAULT_REGISTRY, server_name};
use crate::layout;

/// The configuration format of a containerd version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigVersion {
    /// containerd 1.x.
    V2,
    /// containerd 2.x.
    V3,
}

/// `/etc/containerd/config.toml` with this pause image.
pub fn containerd_config(ctx: &Ctx<'_>, pause_image: &str, version: ConfigVersion) -> String {
    let context = json!({
        "pause_image": pause_image,
        "systemd_cgroup": ctx.inv.containerd.cgroup_driver == CgroupDriver::Systemd,
        "restrict_oom_score_adj": ctx.inv.containerd.restrict_oom_score_adj,
        "cni_bin_dir": layout::CNI_BIN_DIR,
        "cni_conf_dir": layout::CNI_CONF_DIR,
        "certs_dir": layout::CONTAINERD_CERTS_DIR,
    });
    let template = match version {
        ConfigVersion::V2 => "containerd/config-v2.toml",
        ConfigVersion::V3 => "containerd/config-v3.toml",
    };
    templates::fill(template, context)
}

/// A place where containerd looks for the images of a registry, as `hosts.toml` names it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Place {
    pub url: String,
    /// Path of a file with the certificates of the authorities that may have signed the certificate of the server.
    pub ca: Option<String>,
    pub headers: BTreeMap<String, String>,
    /// Whether the URL contains the whole path of the API.
    pub override_path: bool,
}

/// `/etc/containerd/certs.d/<registry>/hosts.toml`: the places in order, then the registry itself. If the registry itself is one of the places, it is
/// also tried last with the same options. Otherwise, an image that is missing would be reported as a failure of the attempt without these options.
pub fn hosts_toml(registry: &str, places: &[Place], own: Option<&Place>) -> String {
    let url = format!("https://{}", server_name(registry));
    let server = own.cloned().unwrap_or(Place { url, ..Place::default() });
    // A file for all registries names none of them: containerd asks the registry of each image.
    let server = (registry != DEFAULT_REGISTRY).then_some(server);
    templates::fill("containerd/hosts.toml", json!({ "server": server, "places": places }))
}
