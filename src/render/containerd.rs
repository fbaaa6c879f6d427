//! containerd: its configuration and the registries' mirrors.

use serde_json::json;

use super::{Ctx, templates};
use crate::inventory::CgroupDriver;
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

/// `/etc/containerd/certs.d/<registry>/hosts.toml`: the mirrors in order, then the registry itself.
pub fn hosts_toml(registry: &str, mirrors: &[String]) -> String {
    // The name of Docker Hub in image references differs from its name on the network.
    let server = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
    templates::fill("containerd/hosts.toml", json!({ "server": format!("https://{server}"), "mirrors": mirrors }))
}
