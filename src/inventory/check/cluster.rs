//! Rules about `cluster`: the forms of its name, version and endpoint.

use std::net::IpAddr;

use super::super::path::at;
use super::super::resolve::split_endpoint;
use super::super::words::quoted;
use super::super::{LoadBalancerKind, Supported};
use super::review::Review;
use super::shape::{as_subdomain, is_address_or_name, is_label};

pub(super) fn check(review: &mut Review, supported: Supported) {
    let cluster = &review.inventory.cluster;
    if !is_label(&cluster.name) {
        let hint = match as_subdomain(&cluster.name).map(|n| n.replace('.', "-")).filter(|n| is_label(n)) {
            Some(near) => format!("did you mean {}?", quoted(&near)),
            None => "use lower-case letters, digits and dashes, 63 at most, a letter or digit at both ends".into(),
        };
        review.fault(at!["cluster", "name"], format!("the cluster name {} is not an RFC 1123 label", quoted(&cluster.name)), hint);
    }
    if let Err(message) = supported(&cluster.version) {
        review.fault(at!["cluster", "version"], message, "");
    }
    if let Some((message, hint)) = cluster.endpoint.as_deref().and_then(|e| endpoint_fault(e, review.inventory.load_balancer.kind)) {
        review.fault(at!["cluster", "endpoint"], message, hint);
        review.spoil(at!["cluster", "endpoint"]);
    }
}

/// A message about an endpoint that is not `host:port` or that other machines cannot reach, and a hint about what to write instead. `None` if the
/// endpoint is valid.
fn endpoint_fault(endpoint: &str, balancer: LoadBalancerKind) -> Option<(String, String)> {
    let host_of = |text: &str| split_endpoint(text).map(|(host, _)| host).filter(|host| is_address_or_name(host));
    let Some(host) = host_of(endpoint) else {
        let bare = endpoint.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
        let hint = match host_of(bare) {
            Some(_) => format!("did you mean {}?", quoted(bare)),
            None => "write one such as `192.0.2.10:6443`, `[2001:db8::10]:6443` or `k8s.example.org:6443`".into(),
        };
        return Some((format!("the endpoint {} is not `host:port`", quoted(endpoint)), hint));
    };
    let ip = host.parse::<IpAddr>().ok()?;
    let reachable = !ip.is_unspecified() && !ip.is_multicast() && (!ip.is_loopback() || balancer == LoadBalancerKind::Local);
    let message = format!("the endpoint {} is no address that other machines can reach", quoted(endpoint));
    (!reachable).then(|| (message, "use the load balancer's address, or a DNS name for it".into()))
}
