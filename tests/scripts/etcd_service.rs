//! Tests of `etcd_service.sh`, which restarts etcd's systemd service with new files: the new etcd answers requests and its files stay, or the
//! previous executable and files are put back whole, unless the previous etcd would refuse to start.

use std::time::Duration;

use clusterctl::step::Unit;
use clusterctl::step::digest;

use super::pods::{all, ended, same};
use super::sandbox::{End, Fault, Sandbox};
use super::table::Table;

const SPARE: &str = "/var/lib/clusterctl/spare";

fn program(version: &str, mark: &str) -> String {
    format!("#!/bin/sh\n# {mark}\necho 'etcd Version: {version}'\n")
}

/// A host with a copy of etcd 3.5.1 for a rollback, on which the executable of etcd has already been replaced by `version`. After a restart, the new
/// etcd answers requests if `mark` is `serves`.
fn host(version: &str, mark: &str) -> Sandbox {
    let host = Sandbox::new();
    let kept = [
        ("etcd", program("3.5.1", "serves")),
        ("etcd.env", "OLD=1\n".into()),
        ("etcd.service", "[Unit]\n".into()),
        ("stamp", "before\n".into()),
        ("origin", "image\n".into()),
    ];
    let digests: String = kept.iter().map(|(name, text)| format!("{}  {name}\n", digest(text.as_bytes()))).collect();
    for (name, text) in &kept {
        host.program(&format!("{SPARE}/{name}"), text);
    }
    host.write(&format!("{SPARE}/digests"), &digests);
    host.write("/var/lib/clusterctl/binaries/etcd", "x\n");
    host.write("/var/lib/clusterctl/units/.keep", "");
    host.program("/usr/local/bin/etcd", &program(version, mark));
    host.write("/etc/etcd.env", "NEW=1\n");
    host.write("/etc/systemd/system/etcd.service", "[Unit]\n# new\n");
    host.stub("serves-etcd", "200\n");
    host.stub("on-restart", "if grep -q '^# serves' \"$ROOT/usr/local/bin/etcd\"; then echo 200; else echo 000; fi >\"$STUB/serves-etcd\"");
    host.stub("serves-etcd-version", "200\n");
    host
}

fn etcd() -> Unit {
    Unit { watch: Duration::from_secs(10), ..Unit::new("etcd", "after".into()) }
}

fn is(host: &Sandbox, version: &str, env: &str) -> Result<(), String> {
    let now = host.read("/usr/local/bin/etcd").unwrap_or_default();
    let whole = now.contains(&format!("Version: {version}'\n")) && host.read("/etc/etcd.env").as_deref() == Some(env);
    if whole { Ok(()) } else { Err(format!("the program is {now:?}, its environment {:?}", host.read("/etc/etcd.env"))) }
}

pub fn table(t: &mut Table) {
    t.row("the new one serves -> it stays, and nothing of the copy is left", || {
        let host = host("3.6.1", "serves");
        let end = host.apply(etcd());
        let stamp = host.read("/var/lib/clusterctl/units/etcd");
        all(
            &host,
            [
                ended(&end, "done"),
                is(&host, "3.6.1", "NEW=1\n"),
                same(stamp, Some("after\n".into()), "stamp"),
                same(host.list(SPARE), vec![], "copy"),
            ],
        )
    });
    let rows = [
        ("3.5.2", r#"{"etcdserver":"3.5.2","etcdcluster":"3.5.0"}"#, "the previous etcd is back and serves", "3.5.1", "OLD=1\n"),
        ("3.6.1", r#"{"etcdserver":"3.6.1","etcdcluster":"3.5.0"}"#, "the previous etcd is back and serves", "3.5.1", "OLD=1\n"),
        ("3.6.1", r#"{"etcdserver":"3.6.1","etcdcluster":"3.6.0"}"#, "invalid downgrade", "3.6.1", "NEW=1\n"),
        ("3.6.1", "", "the previous etcd is back and serves", "3.5.1", "OLD=1\n"),
    ];
    for (version, answer, wanted, stays, env) in rows {
        t.row(format!("{version} does not serve, the members answer {answer:?} -> {stays} is in place"), || {
            let host = host(version, "does not serve");
            if !answer.is_empty() {
                host.stub("answer-version", answer);
            }
            let end = host.apply(etcd());
            all(&host, [ended(&end, wanted), is(&host, stays, env)])
        });
    }
    for (what, damage) in [("empty", ""), ("in pieces", "#!/bin/sh\n# ser")] {
        t.row(format!("the copy of the previous program is {what} -> it is not put back"), || {
            let host = host("3.5.2", "does not serve");
            host.program(&format!("{SPARE}/etcd"), damage);
            let end = host.apply(etcd());
            all(&host, [ended(&end, "is not whole"), is(&host, "3.5.2", "NEW=1\n")])
        });
    }
    for (tool, pattern) in [("cp", "*/.etcd.env.back"), ("sync", "*/.etcd.back"), ("cp", "*/.etcd.back")] {
        t.row(format!("the disk is full for {tool} {pattern} -> the program is whole, and the copy stays"), || {
            let host = host("3.5.2", "does not serve");
            host.inject(Fault::DiskFull(tool, pattern));
            let end = host.apply(etcd());
            let now = host.read("/usr/local/bin/etcd").unwrap_or_default();
            all(
                &host,
                [
                    ended(&end, "could not be put back"),
                    same(now, program("3.5.2", "does not serve"), "program"),
                    same(host.list(SPARE).len() > 5, true, "copy"),
                ],
            )
        });
    }
    t.sweep("the new one does not serve, killed at an effect -> the program is whole, old or new", 1, |n| {
        let host = host("3.5.2", "does not serve");
        host.inject(Fault::KilledAt(n));
        let end = host.apply(etcd());
        host.was_killed().then(|| {
            let now = host.read("/usr/local/bin/etcd").unwrap_or_default();
            let whole = [program("3.5.1", "serves"), program("3.5.2", "does not serve")].contains(&now);
            all(&host, [same(whole, true, "whole"), same(end == End::Done, false, "done")])
        })
    });
}
