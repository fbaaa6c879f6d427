//! Large inventories: a good one is read quickly, and one that is too large is refused.

use std::fmt::Write;
use std::time::{Duration, Instant};

use super::read;

/// A release build reads a thousand hosts in less time than this. The limit does not apply to a debug build.
const LIMIT: Duration = Duration::from_millis(50);

fn thousand_hosts() -> String {
    let mut text = String::from(
        "cluster: {name: big, version: v1.36.2, endpoint: k8s.example.org}\n\
         network: {podCidr: 10.0.0.0/8, serviceCidr: 172.16.0.0/16}\nloadBalancer: {kind: external}\nhosts:\n",
    );
    for n in 0..1000 {
        let role = if n < 3 { "control-plane" } else { "worker" };
        let _ = write!(
            text,
            "  - name: node-{n}\n    address: 192.168.{}.{}\n    roles: [{role}]\n    labels:\n      example.org/rack: r{}\n      \
             example.org/row: \"{}\"\n    ssh:\n      user: admin\n      port: 22\n",
            n / 250,
            n % 250 + 1,
            n / 40,
            n / 200
        );
    }
    text
}

#[test]
fn a_thousand_hosts() {
    let text = thousand_hosts();
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        let parsed = read(text.as_bytes(), "big.yaml").unwrap_or_else(|faults| panic!("{faults}"));
        best = best.min(start.elapsed());
        assert_eq!((parsed.inventory.hosts.len(), parsed.warnings.len()), (1000, 0));
    }
    let report = format!("1000 hosts, {} bytes: {best:?}", text.len());
    assert!(cfg!(debug_assertions) || best < LIMIT, "{report}");
    // `cargo test --release -- --nocapture` shows this report.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), format!("{report}\n").as_bytes());
}

#[test]
fn a_huge_file_is_refused() {
    let text = "#".repeat((2 << 20) + 1);
    let said = read(text.as_bytes(), "huge.yaml").unwrap_err().to_string();
    assert_eq!(said, "huge.yaml:1:1: the file has 2097153 bytes; an inventory has at most 2097152");
}

#[test]
fn a_flood_of_values_is_refused_soon() {
    let start = Instant::now();
    let text = format!("hosts: [{}]\n", "1,".repeat(1 << 20));
    assert!(read(text.as_bytes(), "flood.yaml").is_err());
    let text = format!("hosts: [{}]\n", "{},".repeat(90_000));
    assert!(read(text.as_bytes(), "flood.yaml").is_err());
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}
