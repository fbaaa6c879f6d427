//! The API objects of a cluster, as kubeadm creates them.

use std::net::IpAddr;

use serde_json::Value;

use super::Ctx;

pub use addons::stock_corefiles;
pub use node::{NodeMeta, node_meta};
pub use rbac::admins;
pub use token::{DEFAULT_GROUP, bootstrap_kubeconfig, bootstrap_token, bootstrap_token_for};

mod addons;
mod config;
mod node;
mod rbac;
mod token;

/// All objects that kubeadm creates in the API except tokens, in the order in which they are applied. `masters` are the names and addresses of
/// all control-plane hosts.
pub fn cluster_objects(ctx: &Ctx<'_>, ca_pem: &str, masters: &[(String, IpAddr)]) -> Vec<Value> {
    let mut out = rbac::admins(ctx);
    out.extend(config::kubeadm_config(ctx, masters));
    out.extend(config::kubelet_config(ctx));
    out.extend(rbac::joining());
    out.extend(config::cluster_info(ctx, ca_pem));
    if ctx.inv.addons.kube_proxy.enabled {
        out.extend(addons::kube_proxy(ctx));
    }
    if ctx.inv.addons.core_dns.enabled {
        out.extend(addons::core_dns(ctx));
    }
    out
}
