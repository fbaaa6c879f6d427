//! How fast the transport is. The test runs only on request: `cargo test --release --test it -- --ignored --nocapture ssh::speed`.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use clusterctl::host::{Cmd, Host, Stdin};

use super::sshd::{Sshd, connector};
use crate::needs::needs;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn speed() {
    needs!(Sshd);
    let sshd = Sshd::with("LogLevel QUIET").known();
    let connector = connector();
    let mut connects = Vec::new();
    for _ in 0..7 {
        let begun = Instant::now();
        connector.connect(sshd.target()).await.unwrap().run(Cmd::root(["true"])).await.unwrap();
        connects.push(begun.elapsed());
    }
    connects.sort();
    println!("connect, log in and run `true`: {:?} (best {:?})", connects[3], connects[0]);
    let host = connector.connect(sshd.target()).await.unwrap();
    let mut rows = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        for _ in 0..100 {
            host.run(Cmd::root(["true"])).await.unwrap();
        }
        rows.push(begun.elapsed());
    }
    rows.sort();
    println!("100 commands in turn: {:?} (best {:?})", rows[2], rows[0]);
    let size = 512 * 1024 * 1024;
    std::fs::File::create(sshd.path("big")).unwrap().set_len(size).unwrap();
    let mut uploads = Vec::new();
    for _ in 0..3 {
        let begun = Instant::now();
        let stdin = Stdin::File { path: sshd.path("big"), offset: 0 };
        host.run(Cmd { stdin, ..Cmd::root(["sh", "-c", "cat >/dev/null"]) }).await.unwrap();
        uploads.push(size as f64 / 1e6 / begun.elapsed().as_secs_f64());
    }
    println!("upload from a file to `cat >/dev/null`, MB/s: {uploads:.0?}");
    let begun = Instant::now();
    let results = connector.connect_all(vec![sshd.target(); 20], 10).await;
    println!("20 connections, 10 at a time: {:?}", begun.elapsed());
    assert!(results.into_iter().all(|(_, host)| host.is_ok()));
}
