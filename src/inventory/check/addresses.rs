//! Rules about addresses that must differ: those of the hosts and the VIP.

use std::collections::HashMap;
use std::net::IpAddr;

use super::super::path::at;
use super::super::words::quoted;
use super::review::Review;

/// The port of sshd for a host whose SSH port the inventory does not name.
const SSH_PORT: u16 = 22;

pub(super) fn check(review: &mut Review) {
    // Several hosts may share an SSH address if their ports differ (port forwarding, as with Vagrant). No two hosts may share an address inside
    // the cluster.
    let mut ssh: HashMap<(&str, u16), usize> = HashMap::new();
    let mut inside: HashMap<IpAddr, usize> = HashMap::new();
    let inventory = review.inventory;
    for (i, host) in inventory.hosts.iter().enumerate() {
        let port = host.ssh.port.or(inventory.ssh.port).unwrap_or(SSH_PORT);
        let mut clash = None;
        if review.intact(&at!["hosts", i, "address"]) {
            clash = ssh.get(&(host.address.as_str(), port)).copied();
            ssh.entry((&host.address, port)).or_insert(i);
        }
        if let Some(first) = clash {
            let other = quoted(&inventory.hosts[first].name);
            let message = format!("the address {} is taken by {other}", quoted(&host.address));
            review.fault(at!["hosts", i, "address"], message, "give each host its own address, or its own `ssh.port` behind a shared one");
        }
        let Some(ip) = host.private_address else { continue };
        match inside.get(&ip).copied() {
            Some(first) if clash != Some(first) => {
                let written = review.written_in_host(i, "privateAddress");
                let path = if written { at!["hosts", i, "privateAddress"] } else { at!["hosts", i, "address"] };
                let message = format!("the cluster address `{ip}` is taken by {}", quoted(&inventory.hosts[first].name));
                review.fault(path, message, "give each host its own `privateAddress`");
            }
            Some(_) => {}
            None => {
                inside.insert(ip, i);
            }
        }
    }
    // The SSH address of a host must not be the address of another host inside the cluster.
    for (i, host) in inventory.hosts.iter().enumerate() {
        let Some(ip) = host.address.parse::<IpAddr>().ok().filter(|ip| !ip.is_loopback()) else { continue };
        if let Some(other) = inside.get(&ip).copied().filter(|other| *other != i)
            && host.private_address != Some(ip)
        {
            let message = format!("the address `{ip}` is the cluster address of {}", quoted(&inventory.hosts[other].name));
            review.fault(at!["hosts", i, "address"], message, "give each host its own address");
        }
    }
    if let Some(vip) = inventory.load_balancer.vip
        && let Some(owner) = inside.get(&vip)
    {
        let message = format!("the VIP `{vip}` is the address of {}", quoted(&inventory.hosts[*owner].name));
        let hint = "choose a free address of the same network; keepalived moves it between the load balancers";
        review.fault(at!["loadBalancer", "vip"], message, hint);
        review.spoil(at!["loadBalancer", "vip"]);
    }
}
