//! Rules about the access to the control plane: the number of control planes, the load balancer, the endpoint, and the ports.

use super::super::path::{Path, at};
use super::super::resolve::{DEFAULT_ENDPOINT_PORT, loopback};
use super::super::words::quoted;
use super::super::{HostEntry, Inventory, LoadBalancerKind as Kind, Role};
use super::review::Review;

/// The ports that a load balancer cannot use on a host with a certain role, each with the program of this role that listens on the port.
const TAKEN: [(Role, u16, &str); 8] = [
    (Role::ControlPlane, 6443, "kube-apiserver"),
    (Role::ControlPlane, 10257, "kube-controller-manager"),
    (Role::ControlPlane, 10259, "kube-scheduler"),
    (Role::ControlPlane, 10250, "the kubelet"),
    (Role::Worker, 10250, "the kubelet"),
    (Role::Worker, 10256, "kube-proxy"),
    (Role::Etcd, 2379, "etcd"),
    (Role::Etcd, 2380, "etcd"),
];

/// The default port of sshd.
const SSH_PORT: u16 = 22;

pub(super) fn check(review: &mut Review) {
    if !review.intact(&at!["hosts"]) || review.inventory.hosts.is_empty() {
        return;
    }
    let inventory = review.inventory;
    let control_planes = inventory.control_planes().count();
    if control_planes == 0 {
        return review.fault(
            at!["hosts"],
            "no host has the role `control-plane`",
            "give it to one host, or to three for high availability",
        );
    }
    if !inventory.hosts.iter().any(|h| h.has(Role::Worker)) {
        review.warn(at!["hosts"], "no host has the role `worker`: ordinary pods have nowhere to run", "give a host the role `worker`");
    }
    if !review.intact(&at!["loadBalancer"]) || !review.intact(&at!["cluster", "endpoint"]) {
        return;
    }
    check_kind(review, control_planes);
    check_vip(review);
    check_endpoint(review, control_planes);
    check_ports(review);
}

/// Whether `kind` is a load balancer that clusterctl sets up on the hosts with the role `load-balancer`.
fn is_ours(kind: Kind) -> bool {
    matches!(kind, Kind::Haproxy | Kind::Nginx)
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Haproxy => "haproxy",
        Kind::Nginx => "nginx",
        Kind::Local => "local",
        Kind::External => "external",
        Kind::None => "none",
    }
}

fn check_kind(review: &mut Review, control_planes: usize) {
    let inventory = review.inventory;
    let kind = inventory.load_balancer.kind;
    let first = inventory.hosts.iter().enumerate().find(|(_, h)| h.has(Role::LoadBalancer));
    let path = kind_path(review);
    match first {
        None if is_ours(kind) => {
            let message = format!("the load balancer is `{}` and no host has the role `load-balancer`", name(kind));
            review.fault(path, message, "give a host that role, or choose `local` or `external`");
        }
        Some((i, host)) if !is_ours(kind) => {
            let message = format!("{} has the role `load-balancer` and `loadBalancer.kind` is `{}`", quoted(&host.name), name(kind));
            review.fault(
                at!["hosts", i, "roles"],
                message,
                "write `kind: haproxy` or `kind: nginx` under `loadBalancer`, or remove the role",
            );
        }
        _ => {}
    }
    if control_planes > 1 && kind == Kind::None && first.is_none() {
        let message = format!("{control_planes} control planes have no load balancer before them");
        review.fault(path_of_front(review), message, "set `loadBalancer.kind` to `haproxy`, `nginx`, `local` or `external`");
    }
}

fn kind_path(review: &Review) -> Path {
    if review.written(&["loadBalancer", "kind"]) { at!["loadBalancer", "kind"] } else { at!["loadBalancer"] }
}

/// The place at which a missing load balancer is reported: `loadBalancer.kind` or `cluster.endpoint` if it is written, else `hosts`.
fn path_of_front(review: &Review) -> Path {
    match () {
        () if review.written(&["loadBalancer", "kind"]) => at!["loadBalancer", "kind"],
        () if review.inventory.cluster.endpoint.is_some() => at!["cluster", "endpoint"],
        () => at!["hosts"],
    }
}

fn check_vip(review: &mut Review) {
    let balancer = &review.inventory.load_balancer;
    let balancers = review.inventory.balancers().count();
    let ours = is_ours(balancer.kind);
    if ours && balancers > 1 && balancer.vip.is_none() {
        let message = format!("{balancers} load balancers share no address");
        review.fault(at!["loadBalancer", "vip"], message, "set `loadBalancer.vip` to a free address of their network; keepalived holds it");
    }
    let Some(vip) = balancer.vip else { return };
    if !ours {
        let message = format!("the VIP `{vip}` has no effect with the load balancer `{}`", name(balancer.kind));
        review.fault(at!["loadBalancer", "vip"], message, "remove it, or choose `haproxy` or `nginx`");
    } else if balancers == 1 {
        review.fault(
            at!["loadBalancer", "vip"],
            format!("the VIP `{vip}` needs two load balancers, and there is 1"),
            "add a second host with the role `load-balancer`, or remove the VIP and use the host's address as endpoint",
        );
    }
}

fn check_endpoint(review: &mut Review, control_planes: usize) {
    let inventory = review.inventory;
    let kind = inventory.load_balancer.kind;
    let path = at!["cluster", "endpoint"];
    let Some(endpoint) = &inventory.cluster.endpoint else {
        let message = match kind {
            Kind::Local => return,
            _ if control_planes > 1 => format!("{control_planes} control planes need an endpoint"),
            Kind::Haproxy | Kind::Nginx | Kind::External => format!("the load balancer `{}` needs an endpoint", name(kind)),
            Kind::None => return,
        };
        let hint = match (inventory.load_balancer.vip, inventory.balancers().next()) {
            (Some(vip), _) => format!("write `endpoint: {}`", authority(&vip.to_string())),
            (None, Some(host)) => format!("write `endpoint: {}`", authority(&host.node_address().to_string())),
            (None, None) => "write `endpoint: HOST:6443` with the load balancer's address or a DNS name for it".into(),
        };
        return review.fault(path, message, hint);
    };
    let shown = quoted(endpoint);
    let (host, port) = inventory.endpoint();
    let owner = inventory.hosts.iter().find(|h| is_address_of(&host, h));
    let is_ip = host.parse::<std::net::IpAddr>().is_ok();
    match kind {
        Kind::None if control_planes > 1 => {}
        Kind::None if port != DEFAULT_ENDPOINT_PORT => {
            let message = format!(
                "the endpoint {shown} has port {port}, and without a load balancer kube-apiserver answers on {DEFAULT_ENDPOINT_PORT} only"
            );
            review.fault(path, message, format!("use port {DEFAULT_ENDPOINT_PORT}, or set `loadBalancer.kind`"));
        }
        Kind::None if is_ip && !owner.is_some_and(|h| h.has(Role::ControlPlane)) => {
            let message = format!("the endpoint {shown} is not the control plane's address, and there is no load balancer");
            review.fault(path, message, "remove it, use a DNS name, or set `loadBalancer.kind`");
        }
        Kind::External => {
            if let Some(owner) = owner.filter(|_| control_planes > 1) {
                let message = format!("the endpoint {shown} is the address of {}, and the load balancer is external", quoted(&owner.name));
                review.fault(path, message, "write the external load balancer's address");
            }
        }
        Kind::Haproxy | Kind::Nginx => check_own_endpoint(review, inventory, &shown, &host, owner),
        Kind::Local if !host.parse().is_ok_and(|ip: std::net::IpAddr| ip == loopback(ip)) || port != DEFAULT_ENDPOINT_PORT => {
            let message = format!("the endpoint {shown} is not the node's own, and with the load balancer `local` every node asks itself");
            review.fault(path, message, format!("remove it, or write `127.0.0.1:{DEFAULT_ENDPOINT_PORT}`, which it is without it"));
        }
        Kind::Local | Kind::None => {}
    }
}

/// Checks the endpoint of a cluster whose load balancers are set up by clusterctl. It must be the VIP if there are several load balancers, the
/// address of the load balancer if there is one, or a DNS name for that address.
fn check_own_endpoint(review: &mut Review, inventory: &Inventory, shown: &str, host: &str, owner: Option<&HostEntry>) {
    let path = at!["cluster", "endpoint"];
    if let Some(vip) = inventory.load_balancer.vip.filter(|_| inventory.balancers().count() > 1) {
        if let Some(owner) = owner {
            let message = format!("the endpoint {shown} is the address of {}, not the VIP `{vip}`", quoted(&owner.name));
            review.fault(path, message, format!("write `endpoint: {}`", authority(&vip.to_string())));
        } else if host.parse().is_ok_and(|ip: std::net::IpAddr| ip != vip) {
            review.warn(path, format!("the endpoint {shown} is not the VIP `{vip}`"), "it must lead there");
        }
        return;
    }
    let Some(balancer) = inventory.balancers().next() else { return };
    let right = balancer.node_address().to_string();
    match owner {
        Some(owner) if !owner.has(Role::LoadBalancer) => {
            let message = format!("the endpoint {shown} is the address of {}, which is no load balancer", quoted(&owner.name));
            review.fault(path, message, format!("write `endpoint: {}`, the address of {}", authority(&right), quoted(&balancer.name)));
        }
        None if host.parse::<std::net::IpAddr>().is_ok() => {
            let message = format!("the endpoint {shown} is not the address of the load balancer {} (`{right}`)", quoted(&balancer.name));
            review.warn(path, message, "it must lead there");
        }
        _ => {}
    }
}

fn is_address_of(host: &str, entry: &HostEntry) -> bool {
    entry.address == host || host.parse().is_ok_and(|ip| entry.private_address == Some(ip))
}

fn authority(host: &str) -> String {
    if host.contains(':') { format!("[{host}]:{DEFAULT_ENDPOINT_PORT}") } else { format!("{host}:{DEFAULT_ENDPOINT_PORT}") }
}

/// Checks that no other program on a load-balancer host listens on the port of the endpoint, because the load balancer listens on that port.
fn check_ports(review: &mut Review) {
    let inventory = review.inventory;
    if !is_ours(inventory.load_balancer.kind) || inventory.cluster.endpoint.is_none() {
        return;
    }
    let (_, port) = inventory.endpoint();
    let etcd: Vec<&str> = inventory.etcd_hosts().iter().map(|h| h.name.as_str()).collect();
    for (i, host) in inventory.hosts.iter().enumerate().filter(|(_, h)| h.has(Role::LoadBalancer)) {
        let has = |role: Role| host.has(role) || (role == Role::Etcd && etcd.contains(&host.name.as_str()));
        let taken = TAKEN.iter().find(|(role, taken, _)| *taken == port && has(*role));
        let holder = taken.map(|(_, _, who)| *who).or((port == host.ssh.port.or(inventory.ssh.port).unwrap_or(SSH_PORT)).then_some("sshd"));
        if let Some(holder) = holder {
            let message = format!("on {} both the load balancer and {holder} would listen on port {port}", quoted(&host.name));
            review.fault(
                at!["hosts", i, "roles"],
                message,
                "give the endpoint another port, such as 8443, or the load balancer a host of its own",
            );
        }
    }
}
