//! Rules about `network`: the ranges must be large enough, must not overlap, must not contain addresses of hosts, and must be of one address
//! family.

use std::net::IpAddr;

use ipnet::IpNet;

use super::super::path::{Path, at};
use super::super::words::{count, quoted};
use super::super::{CniKind, Network};
use super::review::Review;
use super::shape::{as_subdomain, is_subdomain};

/// The largest difference between the prefix lengths of the pod range and of a node's subnet that kube-controller-manager accepts (`cidrset`,
/// `clusterSubnetMaxDiff`).
const MAX_SUBNET_BITS: u8 = 16;
/// The size of the largest service range that kube-apiserver accepts, in bits of the address after the prefix (`maxCIDRBits`).
const MAX_SERVICE_BITS: u8 = 20;
/// The size of the smallest service range, in bits of the address after the prefix. The tenth address is that of the cluster DNS, and some addresses
/// must remain for services.
const MIN_SERVICE_BITS: u8 = 4;
/// The number of pods of a node if the kubelet's `maxPods` is not set.
const DEFAULT_MAX_PODS: u64 = 110;

pub(super) fn check(review: &mut Review) {
    let network = &review.inventory.network;
    let pods_known = review.intact(&at!["network", "podCidr"]);
    let services_known = review.intact(&at!["network", "serviceCidr"]);
    if services_known {
        check_services(review, network.service_cidr);
    }
    if pods_known {
        check_pods(review, network);
    }
    if pods_known && services_known {
        check_apart(review, network);
    }
    for (known, field, what, net) in
        [(pods_known, "podCidr", "pods", network.pod_cidr), (services_known, "serviceCidr", "services", network.service_cidr)]
    {
        if known {
            check_usable(review, field, what, net);
            check_hosts(review, field, what, net);
        }
    }
    check_domain(review, &network.dns_domain);
    check_cni(review, network);
}

/// The path at which a fault of a range is reported: its field if the operator wrote the field, or else `network`. If the file has no `network`, the
/// position is the top of the file.
fn place(review: &Review, field: &str) -> Path {
    if review.written(&["network", field]) { at!["network", field] } else { at!["network"] }
}

fn check_services(review: &mut Review, net: IpNet) {
    let bits = net.max_prefix_len() - net.prefix_len();
    let longest = net.max_prefix_len() - MIN_SERVICE_BITS;
    let shortest = net.max_prefix_len() - MAX_SERVICE_BITS;
    if bits < MIN_SERVICE_BITS {
        let message = format!("the service range `{net}` has room for {}", count(1 << bits, "service"));
        review.fault(at!["network", "serviceCidr"], message, format!("take a /{longest} or larger: the tenth is cluster DNS"));
    }
    if bits > MAX_SERVICE_BITS {
        let message = format!("the service range `{net}` is larger than kube-apiserver allows");
        review.fault(at!["network", "serviceCidr"], message, format!("take a /{shortest} or smaller"));
    }
}

fn check_pods(review: &mut Review, network: &Network) {
    let (net, mask) = (network.pod_cidr, network.node_cidr_mask);
    let mask_path = at!["network", "nodeCidrMask"];
    if !review.intact(&mask_path) {
        return;
    }
    let limit = net.max_prefix_len() - 2;
    let path = if review.written(&["network", "nodeCidrMask"]) { mask_path } else { at!["network", "podCidr"] };
    let whole = net.prefix_len();
    if mask > limit || mask < whole {
        let message = format!("a node's /{mask} does not fit into the pod range `{net}`");
        return review.fault(path, message, format!("choose `nodeCidrMask` from {whole} to {}", limit.min(whole + MAX_SUBNET_BITS)));
    }
    if mask - whole > MAX_SUBNET_BITS {
        let message = format!(
            "the pod range `{net}` has more than 2^{MAX_SUBNET_BITS} node subnets of /{mask}, which kube-controller-manager refuses"
        );
        return review.fault(path, message, format!("choose `nodeCidrMask` from {whole} to {}", whole + MAX_SUBNET_BITS));
    }
    let (subnets, nodes) = (1_usize << (mask - whole), review.inventory.nodes().count());
    if subnets < nodes && review.intact(&at!["hosts"]) {
        let message = format!("the pod range `{net}` has {} of /{mask} for {}", count(subnets, "subnet"), count(nodes, "node"));
        return review.fault(place(review, "podCidr"), message, "take a larger range, or a larger `nodeCidrMask` (smaller subnets)");
    }
    // The network address, the gateway address and the broadcast address cannot be addresses of pods.
    let room = (1_u64 << (net.max_prefix_len() - mask).min(32)) - 3;
    let wanted = review.inventory.kubelet.config.get("maxPods").and_then(serde_json::Value::as_u64).unwrap_or(DEFAULT_MAX_PODS);
    if room < wanted {
        let message = format!("a node's /{mask} has addresses for {room} pods, and the kubelet's `maxPods` is {wanted}");
        review.warn(path, message, format!("lower `nodeCidrMask`, or set `kubelet.config.maxPods` to {room}"));
    }
}

fn check_apart(review: &mut Review, network: &Network) {
    let (pods, services) = (network.pod_cidr, network.service_cidr);
    let path = if review.written(&["network", "serviceCidr"]) { at!["network", "serviceCidr"] } else { place(review, "podCidr") };
    if family(pods.addr()) != family(services.addr()) {
        let message = format!("pods are {} (`{pods}`) and services {} (`{services}`)", family(pods.addr()), family(services.addr()));
        review.fault(path, message, "write `podCidr` and `serviceCidr` of one family");
        return;
    }
    if pods.contains(&services) || services.contains(&pods) {
        review.fault(path, format!("the service range `{services}` overlaps the pod range `{pods}`"), "choose ranges that are apart");
    }
    // Only the first host with an address of another IP family is reported, because usually the addresses of all hosts have the same IP family.
    let other = review.inventory.hosts.iter().enumerate().find_map(|(i, h)| {
        let ip = h.private_address.filter(|ip| family(*ip) != family(pods.addr()))?;
        Some((i, h, ip))
    });
    if let Some((i, host, ip)) = other {
        let of = if review.written_in_host(i, "privateAddress") { "privateAddress" } else { "address" };
        let message = format!("{} has an {} address, and pods and services have {}", quoted(&host.name), family(ip), family(pods.addr()));
        review.fault(at!["hosts", i, of], message, "hosts, pods and services must be of one family");
    }
}

fn check_usable(review: &mut Review, field: &str, what: &str, net: IpNet) {
    let first = net.network();
    if first.is_loopback() || first.is_multicast() || net.prefix_len() == 0 || first.is_unspecified() {
        let message = format!("`{net}` is no range that {what} can have");
        review.fault(at!["network", field], message, "take one of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or fc00::/7");
    }
}

fn check_hosts(review: &mut Review, field: &str, what: &str, net: IpNet) {
    for (i, host) in review.inventory.hosts.iter().enumerate() {
        let public = host.address.parse().ok().map(|ip: IpAddr| ("address", ip));
        let private = host.private_address.map(|ip| ("privateAddress", ip));
        if let Some((of, ip)) = public.into_iter().chain(private).find(|(_, ip)| net.contains(ip)) {
            let message = format!("the range of {what}, `{net}`, contains the address `{ip}` of {}", quoted(&host.name));
            let path = if review.written(&["network", field]) { at!["network", field] } else { at!["hosts", i, of] };
            // Only the first host with an address in the range is reported, because usually the addresses of all hosts are in it.
            review.fault(path, message, format!("choose a `network.{field}` apart from the hosts' network"));
            break;
        }
    }
    let balancer = &review.inventory.load_balancer;
    if let Some(vip) = balancer.vip.filter(|vip| net.contains(vip)) {
        review.fault(
            at!["loadBalancer", "vip"],
            format!("the VIP `{vip}` is inside the range of {what}, `{net}`"),
            "choose a free address of the hosts' network",
        );
    }
    let (endpoint, _) = review.inventory.endpoint();
    if review.inventory.cluster.endpoint.is_some()
        && let Some(ip) = endpoint.parse::<IpAddr>().ok().filter(|ip| net.contains(ip))
    {
        review.fault(at!["cluster", "endpoint"], format!("the endpoint `{ip}` is inside the range of {what}, `{net}`"), "");
    }
}

fn check_domain(review: &mut Review, domain: &str) {
    if is_subdomain(domain) {
        return;
    }
    let hint =
        as_subdomain(domain).map_or_else(|| "write one such as `cluster.local`".into(), |near| format!("did you mean {}?", quoted(&near)));
    review.fault(at!["network", "dnsDomain"], format!("the DNS domain {} is not an RFC 1123 name", quoted(domain)), hint);
}

fn check_cni(review: &mut Review, network: &Network) {
    let path = at!["network", "cni", "manifests"];
    if !review.intact(&at!["network", "cni"]) {
        return;
    }
    match (network.cni.kind, network.cni.manifests.is_empty()) {
        (CniKind::Manifests, true) => {
            review.fault(
                at!["network", "cni", "kind"],
                "the CNI kind `manifests` has no manifests",
                "name files or URLs in `network.cni.manifests`",
            );
        }
        (CniKind::Bridge | CniKind::External | CniKind::None, false) => {
            review.key_fault(path, "CNI manifests are applied with the kind `manifests` only", "write `kind: manifests`, or remove them");
        }
        _ => {}
    }
}

fn family(ip: IpAddr) -> &'static str {
    if ip.is_ipv4() { "IPv4" } else { "IPv6" }
}
