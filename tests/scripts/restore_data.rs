//! Tests of the scripts that start an etcd of their own over data of etcd: the rehearsal of a restore, and the snapshot of a member that has lost its
//! quorum. Nothing is left of that etcd, and the data of the member stays as it is.

use std::time::Duration;

use clusterctl::facts::rehearsal;
use clusterctl::host::{Cmd, Output};
use clusterctl::step::restore::recover_snapshot;

use super::pods::{all, in_place, manifest, path, process, same, standing};
use super::restore::{ETCDCTL, MARK, MEMBER, with_data};
use super::runs::{Answer, ENDS};
use super::sandbox::{Fault, RUN, Sandbox};
use super::table::Table;

const RECEIVED: &str = "/var/lib/clusterctl/snapshot.rehearsed.db";
const FOLDER: &str = "/var/lib/clusterctl/restore";

/// A script for the stub of etcdctl with the answers of an etcd over restored data, in addition to those of [`ETCDCTL`]. Its answers prove that it
/// was asked in the folder of that etcd.
fn answers() -> String {
    format!(
        r#"{ETCDCTL}
case "$*" in *unix://client:1*) case $(pwd) in */restore/scratch) ;; *) exit 1 ;; esac ;; esac
case "$*" in
  *unix://client:1*'endpoint status'*) echo '[{{"Status":{{"header":{{"cluster_id":1,"member_id":2,"revision":42}},"version":"3.4.23"}}}}]'; exit 0 ;;
  *'get /registry/configmaps'*) echo '{{"kvs":[{{"value":"YWJj"}}]}}'; exit 0 ;;
  *'get '*--from-key*) printf '/registry/a\n\n/registry/b\n\n'; exit 0 ;;
  *'snapshot save db'*) /bin/cat data/member/wal/0 >db; exit 0 ;;
esac
"#
    )
}

/// Whether a process of the component lives, by the PID that the stub of the kubelet has recorded.
pub fn lives(host: &Sandbox, component: &str) -> bool {
    let pid = process(host, component).unwrap_or_default();
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

fn received() -> Sandbox {
    let host = Sandbox::new();
    with_data(&host);
    host.stub("etcdctl.script", &answers());
    host.write(RECEIVED, "a snapshot");
    host.write("/var/lib/clusterctl/cluster", "cluster: ha\nca: ab\n");
    host
}

fn rehearsal_of(host: &Sandbox) -> Output {
    host.output(rehearsal::rehearse(RUN, RECEIVED, Duration::from_secs(60)))
}

fn nothing_left(host: &Sandbox) -> Answer {
    let left: Vec<String> =
        host.list("/var/lib/clusterctl").into_iter().filter(|n| n.contains("restore") || n.contains("snapshot")).collect();
    same(left, vec![], "left below clusterctl's folder")?;
    same(host.read(&format!("{MEMBER}/wal/0")), Some("before\n".into()), "the data of the member")
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

pub fn table(t: &mut Table) {
    rehearsals(t);
    recoveries(t);
    t.row("room: the free space of both folders is told, also of one that does not exist yet", || {
        let host = Sandbox::new();
        same(rehearsal::parse_room(&host.output(rehearsal::room()).stdout).is_some(), true, "the free space")
    });
}

fn rehearsals(t: &mut Table) {
    t.row("rehearsal: what the snapshot has is told, and nothing is left", || {
        let host = received();
        let out = rehearsal_of(&host);
        let rehearsed = rehearsal::parse(&out.stdout).ok_or_else(|| format!("not read: {}\n{}", said(&out), host.log()))?;
        let wanted = ("etcdctl", 42, vec!["/registry/a".to_string(), "/registry/b".into()]);
        let mark = rehearsed.mark.trim();
        all(
            &host,
            [
                same((rehearsed.tool.as_str(), rehearsed.status.revision, rehearsed.keys), wanted, "what it has"),
                same(mark, "cluster: ha ca: ab", "the ownership mark"),
                nothing_left(&host),
            ],
        )
    });
    for (what, script, why) in [
        ("the snapshot cannot be restored", "case \"$*\" in *--data-dir*) echo 'expected sha256' >&2; exit 1 ;; esac\n", "expected sha256"),
        ("its etcd does not answer", "case \"$*\" in *'endpoint status'*) exit 1 ;; esac\n", "does not answer"),
    ] {
        t.row(format!("rehearsal: {what} -> the cause is told, and nothing is left"), || {
            let host = received();
            host.stub("etcdctl.script", &format!("{script}{}", answers()));
            let out = rehearsal_of(&host);
            all(&host, [same(said(&out).contains(why), true, &said(&out)), same(out.status, 1, "the status"), nothing_left(&host)])
        });
    }
    t.row("rehearsal: there is no room -> it is refused, and nothing is left", || {
        let host = received();
        host.program("/stub/tools/df", "#!/bin/sh\nprintf 'x\\nx 1 1 1000 1 /\\n'\n");
        let out = rehearsal_of(&host);
        all(&host, [same(said(&out).contains("MiB free below"), true, &said(&out)), nothing_left(&host)])
    });
    t.row("rehearsal: the lock is another run's -> nothing is done", || {
        let host = received();
        host.write("/var/lib/clusterctl/lock", "run2 other\n");
        let out = rehearsal_of(&host);
        all(&host, [same(out.status, 75, "the status"), same(host.list(FOLDER), vec![], "what was made")])
    });
    t.sweep("rehearsal: killed at an effect -> the next one removes what is left", 1, |n| {
        let host = received();
        host.inject(Fault::KilledAt(n));
        rehearsal_of(&host);
        host.was_killed().then(|| {
            host.inject(Fault::None);
            host.write(RECEIVED, "a snapshot");
            let out = rehearsal_of(&host);
            all(&host, [same(rehearsal::parse(&out.stdout).is_some(), true, &said(&out)), nothing_left(&host)])
        })
    });
}

fn survivor() -> Sandbox {
    let host = standing(&["etcd"]);
    with_data(&host);
    host.stub("etcdctl.script", &answers());
    host
}

fn recover(host: &Sandbox) -> Output {
    host.output(recovery())
}

fn recovery() -> Cmd {
    recover_snapshot(RUN, false, "m1", Duration::from_secs(240))
}

/// The member is stopped and its data is as before, and the mark refuses other commands.
fn is_stopped(host: &Sandbox) -> Answer {
    same(host.path(&path("etcd")).exists(), false, "the manifest is in place")?;
    same(host.read(&format!("{FOLDER}/manifests/etcd.yaml")), Some(manifest("etcd", "old", "")), "the manifest aside")?;
    same(host.list(FOLDER), vec!["manifests".into(), "mark".into()], "what is left")?;
    same(host.read(MARK).unwrap_or_default().contains("snapshot: recover\ntoken: -\nstage: begun\nfrom: m1\n"), true, "the mark")?;
    same(host.read(&format!("{MEMBER}/wal/0")), Some("before\n".into()), "the data of the member")
}

fn is_back(host: &Sandbox) -> Answer {
    in_place(host, "etcd", &[&manifest("etcd", "old", "")])?;
    nothing_left(host)
}

fn recoveries(t: &mut Table) {
    t.row("recovery: the member is stopped, and a snapshot of a copy of its data is printed", || {
        let host = survivor();
        let out = recover(&host);
        all(&host, [same(out.status, 0, &said(&out)), same(out.stdout, b"before\n".to_vec(), "the snapshot"), is_stopped(&host)])
    });
    t.row("recovery: the copy is opened as a cluster of one member", || {
        let host = survivor();
        host.program("/usr/local/bin/etcd", "#!/bin/sh\necho \"$*\" >\"$STUB/started\"\nexec /bin/sleep 300\n");
        recover(&host);
        let flags = host.read("/stub/started").unwrap_or_default();
        all(&host, [same(flags.contains("--force-new-cluster") && !flags.contains("https://"), true, &flags)])
    });
    for (what, script, why) in [
        ("the copy cannot be opened", "case \"$*\" in *'endpoint status'*) exit 1 ;; esac\n", "does not answer"),
        (
            "no snapshot can be taken",
            "case \"$*\" in *'snapshot save'*) echo 'no room' >&2; exit 1 ;; esac\n",
            "gives no snapshot: no room",
        ),
    ] {
        t.row(format!("recovery: {what} -> the cause is told, and the member is started again"), || {
            let host = survivor();
            host.stub("etcdctl.script", &format!("{script}{}", answers()));
            let out = recover(&host);
            all(&host, [same(said(&out).contains(why), true, &said(&out)), same(out.stdout, vec![], "the output"), is_back(&host)])
        });
    }
    t.row("recovery: there is no room, or no data -> nothing is changed", || {
        let host = survivor();
        host.program("/stub/tools/df", "#!/bin/sh\nprintf 'x\\nx 1 1 1000 1 /\\n'\n");
        let out = recover(&host);
        all(&host, [same(said(&out).contains("nothing was changed"), true, &said(&out)), is_back(&host)])?;
        let host = survivor();
        host.remove(MEMBER);
        let out = recover(&host);
        all(
            &host,
            [
                same(said(&out).contains("no data of an etcd member"), true, &said(&out)),
                in_place(&host, "etcd", &[&manifest("etcd", "old", "")]),
            ],
        )
    });
    for (how, fault) in ENDS {
        t.sweep(format!("recovery: {how} an effect -> the data stays, and the same command goes on"), 1, |n| {
            let host = survivor();
            host.inject(fault(n));
            recover(&host);
            host.was_killed().then(|| {
                same(host.read(&format!("{MEMBER}/wal/0")), Some("before\n".into()), "the data of the member")?;
                if matches!(fault(n), Fault::PowerCutAt(_)) {
                    host.boot()
                } else {
                    host.inject(Fault::None)
                }
                let out = recover(&host);
                all(
                    &host,
                    [same(out.status, 0, &said(&out)), same(out.stdout.clone(), b"before\n".to_vec(), "the snapshot"), is_stopped(&host)],
                )
            })
        });
    }
}
