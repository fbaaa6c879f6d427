//! Tests of `rollback_copy.sh`, which copies the executable and the files of etcd's running service before they are replaced: the new copy is whole,
//! or the copy that an earlier run made stays.

use clusterctl::step::RollbackCopy;

use super::pods::{all, ended, last_call, same};
use super::runs::{ENDS, killed, under};
use super::sandbox::{Fault, Sandbox};
use super::table::Table;

const SPARE: &str = "/var/lib/clusterctl/spare";
const PROGRAM: &str = "#!/bin/sh\necho 'etcd Version: 3.5.1'\n";
const KEPT: [&str; 6] = ["digests", "etcd", "etcd.env", "etcd.service", "origin", "stamp"];

/// A host whose etcd service runs the executable at `/usr/local/bin/etcd` and answers requests.
fn host() -> Sandbox {
    let host = Sandbox::new();
    host.program("/usr/local/bin/etcd", PROGRAM);
    host.write_all(&[
        ("/etc/etcd.env", "NAME=m1\n"),
        ("/etc/systemd/system/etcd.service", "[Unit]\n"),
        ("/var/lib/clusterctl/units/etcd", "stamp\n"),
        ("/var/lib/clusterctl/binaries/etcd", "/usr/local/bin/etcd\nimage\n1 2 3 4\n"),
    ]);
    host.stub("units/etcd.MainPID", "77\n");
    host.stub("serves-etcd", "200\n");
    std::fs::create_dir_all(host.path("/proc/77")).expect("a folder can be made");
    let _ = std::fs::hard_link(host.path("/usr/local/bin/etcd"), host.path("/proc/77/exe"));
    host
}

/// The host of [`host`] with a copy that an earlier run made.
fn kept_before() -> Sandbox {
    let host = host();
    host.write(&format!("{SPARE}/etcd"), "kept before");
    host
}

/// The host of [`kept_before`], on which a change of etcd's service that an earlier run began is still under way.
fn at_work() -> Sandbox {
    let host = kept_before();
    host.stub("units/clusterctl-unit-etcd", "active\n");
    host
}

fn is_whole(host: &Sandbox) -> Result<(), String> {
    let program = host.read(&format!("{SPARE}/etcd"));
    let digests = host.read(&format!("{SPARE}/digests")).unwrap_or_default();
    let origin = host.read(&format!("{SPARE}/origin"));
    same(host.list(SPARE), KEPT.map(String::from).to_vec(), "what is kept")?;
    same(program, Some(PROGRAM.into()), "the program")?;
    same(origin, Some("image\n".into()), "its origin")?;
    for name in KEPT.iter().filter(|n| **n != "digests") {
        let text = host.read(&format!("{SPARE}/{name}")).unwrap_or_default();
        let line = format!("{}  {name}", clusterctl::step::digest(text.as_bytes()));
        same(digests.lines().any(|l| l == line), true, &format!("the digest of {name} is kept"))?;
    }
    // The last new file must be synced before the copy of the earlier run is removed.
    let log = host.log();
    let synced = last_call(&log, &[" sync ", "spare.new/etcd.env"]);
    let removed = last_call(&log, &[" rm -rf ", "/spare\n"]);
    same(synced.is_some() && synced < removed, true, "it is on the disk before the one kept before is removed")
}

fn untouched(host: &Sandbox) -> Result<(), String> {
    same(host.read(&format!("{SPARE}/etcd")), Some("kept before".into()), "what was kept before")
}

pub fn table(t: &mut Table) {
    t.row("etcd serves -> its program and files are kept with their digests, in place of what was kept before", || {
        under(Fault::None, &kept_before(), RollbackCopy, "done", is_whole)
    });
    type Change = fn(&Sandbox);
    let nothing_to_keep: [(&str, Change); 6] = [
        ("etcd does not run", |h| h.stub("units/etcd.MainPID", "0\n")),
        ("etcd does not serve", |h| h.stub("serves-etcd", "000\n")),
        ("the program at its path is another one by now", |h| {
            h.remove("/usr/local/bin/etcd");
            h.program("/usr/local/bin/etcd", "new");
        }),
        ("its files were written anew by a run that ended before the restart", |h| h.remove("/var/lib/clusterctl/units/etcd")),
        ("a file of it was deleted", |h| h.remove("/etc/etcd.env")),
        ("a process of the same name runs, which is not the unit's", |h| {
            h.stub("units/etcd.MainPID", "78\n");
            h.write("/proc/78/comm", "etcd\n");
        }),
    ];
    for (what, change) in nothing_to_keep {
        t.row(format!("{what} -> what was kept before stays"), || {
            let host = kept_before();
            change(&host);
            under(Fault::None, &host, RollbackCopy, "done", untouched)
        });
    }
    let pieces = [("cp", "*/spare.new/"), ("cp", "*/stamp"), ("sync", "*"), ("mkdir", "*")];
    for (tool, pattern) in pieces {
        t.row(format!("the disk is full for {tool} {pattern} -> what was kept before stays, and the step fails"), || {
            under(Fault::DiskFull(tool, pattern), &kept_before(), RollbackCopy, "No space left", untouched)
        });
    }
    t.row("etcd's health check hangs -> what was kept before stays", || {
        under(Fault::Hangs("curl", "*"), &kept_before(), RollbackCopy, "done", untouched)
    });
    t.row("systemd does not answer -> the step ends, and what was kept before stays", || {
        let wanted = "systemd does not say whether clusterctl-unit-etcd.service is at work";
        under(Fault::Hangs("systemctl", "*"), &kept_before(), RollbackCopy, wanted, untouched)
    });
    t.row("a change that an earlier run began goes on -> it is waited for", || {
        let host = at_work();
        host.stub("on-sleep", "[ \"$now\" -lt 1000060000 ] || /bin/rm -f \"$STUB/units/clusterctl-unit-etcd\"");
        under(Fault::None, &host, RollbackCopy, "done", is_whole)
    });
    t.row("a change that an earlier run began never ends -> the step fails and names it", || {
        let host = at_work();
        host.stub("pace", "60000\n");
        let end = host.apply_alone(RollbackCopy);
        all(&host, [ended(&end, "is still under way after 300 s"), untouched(&host)])
    });
    t.row("the lock is lost while a change of an earlier run is waited for -> nothing is kept", || {
        let host = at_work();
        host.stub("on-sleep", "echo 'run2 other' >\"$ROOT/var/lib/clusterctl/lock\"; /bin/rm -f \"$STUB/units/clusterctl-unit-etcd\"");
        under(Fault::None, &host, RollbackCopy, "fenced", untouched)
    });
    for (how, fault) in ENDS {
        t.sweep(format!("{how} an effect -> what is kept is whole or not there, and the next run keeps it"), 1, |n| {
            let whole_or_not_there = |host: &Sandbox| {
                let kept = host.read(&format!("{SPARE}/etcd"));
                same(kept.is_none_or(|k| k == PROGRAM || k == "kept before"), true, "what is kept is whole")
            };
            killed(fault(n), &kept_before(), RollbackCopy, whole_or_not_there, is_whole)
        });
    }
}
