//! Tests of the configuration files for load balancers: for haproxy, nginx and keepalived, with IPv4 and IPv6.

use std::net::IpAddr;

use clusterctl::inventory::Inventory;
use clusterctl::render::lb::{self, Holder, Listen};

fn inventory() -> Inventory {
    serde_yaml::from_str("cluster: {name: ha, version: v1.36.2}\nhosts: []\n").unwrap()
}

fn backends(addresses: &[&str]) -> Vec<(String, IpAddr)> {
    addresses.iter().enumerate().map(|(i, a)| (format!("m{}", i + 1), a.parse().unwrap())).collect()
}

fn keepalived(addresses: &[&str], vip: &str) -> String {
    let ips: Vec<IpAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
    let holder = Holder {
        name: "lb2",
        address: ips[1],
        interface: "eth0",
        place: 1,
        peers: &[&ips[..1], &ips[2..]].concat(),
        vip: vip.parse().unwrap(),
    };
    lb::keepalived(&inventory(), &holder, 6443)
}

/// Compares the text with the snapshot of this name in `render/snapshots`.
fn snapshot(name: &str, text: &str) {
    insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false }, { insta::assert_snapshot!(name, text) });
}

#[test]
fn haproxy() {
    let (inv, four, six) = (inventory(), backends(&["10.0.0.1", "10.0.0.2"]), backends(&["fd00::1"]));
    snapshot("haproxy", &lb::haproxy(&inv, &four, Listen::Everywhere, 6443));
    let text = lb::haproxy(&inv, &six, Listen::Everywhere, 443);
    assert!(text.contains("    bind :::443 v4v6\n") && text.contains("    server m1 [fd00::1]:6443\n"), "{text}");
    assert!(lb::haproxy(&inv, &four, Listen::Loopback, 6443).contains("    bind 127.0.0.1:6443\n"));
    assert!(lb::haproxy(&inv, &six, Listen::Loopback, 6443).contains("    bind [::1]:6443\n"));
}

#[test]
fn nginx() {
    snapshot("nginx", &lb::nginx(&backends(&["10.0.0.1", "10.0.0.2"]), 6443));
    let text = lb::nginx(&backends(&["fd00::1"]), 443);
    assert!(text.contains("        listen [::]:443 ipv6only=off so_keepalive=on;\n"), "{text}");
    assert!(text.contains("        server [fd00::1]:6443 max_fails=1 fail_timeout=5s; # m1\n"), "{text}");
}

#[test]
fn a_virtual_address() {
    snapshot("keepalived", &keepalived(&["10.0.0.31", "10.0.0.32", "10.0.0.33"], "10.0.0.30"));
    let text = keepalived(&["fd00::31", "fd00::32"], "fd00::30");
    for line in ["unicast_src_ip fd00::32\n", "        fd00::31\n", "        fd00::30/128 dev eth0\n"] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn the_first_balancer_of_the_inventory_is_preferred() {
    let priority = |place| {
        let ip = IpAddr::from([10, 0, 0, 1]);
        let text = lb::keepalived(&inventory(), &Holder { name: "x", address: ip, interface: "eth0", place, peers: &[], vip: ip }, 6443);
        text.split("priority ").nth(1).unwrap().split('\n').next().unwrap().parse::<u8>().unwrap()
    };
    assert!((priority(0), priority(1), priority(2)) == (250, 249, 248) && priority(400) == 1);
}
