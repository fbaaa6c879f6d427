//! Tests of the scripts that defragment, compact and lead etcd and disarm its alarms: nothing is done while the other members could not do without this
//! one, a tool that fails or hangs is named, and a run that lost its lock has no effect.

use clusterctl::step::{Compact, Defrag, Disarm, MoveLeader, Step};

use super::pods::{all, ended, same};
use super::runs::{anything, killed, under};
use super::sandbox::{Fault, Sandbox};
use super::table::Table;

/// A script for the stub of etcdctl on the host of member 1 of three. The file `leader` has the ID of the leader, `others` the health of the other two
/// members, `own` the exit status of a request for the health of member 1, and `sizes` the status of all members.
const ETCDCTL: &str = r#"
case "$*" in
  *'https://10.0.0.2:2379,https://10.0.0.3:2379 '*'endpoint health'*) /bin/cat "$STUB/others"; exit 0 ;;
  *'endpoint health'*) exit "$(/bin/cat "$STUB/own")" ;;
  *'https://10.0.0.1:2379,'*'endpoint status'*) /bin/cat "$STUB/sizes"; exit 1 ;;
  *'endpoint status'*) read -r leader <"$STUB/leader"; read -r size <"$STUB/size"
    echo '[{"Endpoint":"x","Status":{"header":{"cluster_id":5,"member_id":1,"revision":9,"raft_term":2},"version":"3.5.1","dbSize":'$size',"leader":'$leader',"raftIndex":9,"raftTerm":2,"dbSizeInUse":'$size'}}]'
    exit 0 ;;
  *'https://10.0.0.2:2379 '*'move-leader 1')
    [ ! -e "$STUB/elected" ] || { /bin/mv "$STUB/elected" "$STUB/leader"; echo 'etcdserver: not leader' >&2; exit 1; }
    echo 1 >"$STUB/leader" ;;
  *'move-leader 1') echo 1 >"$STUB/leader" ;;
  *'alarm disarm') : >"$STUB/etcdctl.alarm-list" ;;
esac
"#;

/// Shell text that makes another run the holder of the host's lock.
const LOST: &str = "echo 'run2 other' >\"$ROOT/var/lib/clusterctl/lock\"";

const HEALTHY: &str = r#"[{"health":true},{"health":true}]"#;
const ILL: &str = r#"[{"health":true},{"health":false}]"#;

/// The host of member 1 of three healthy members, of which member 2 leads.
fn three() -> Sandbox {
    let host = Sandbox::new();
    std::fs::create_dir_all(host.path("/var/lib/etcd")).expect("the sandbox is writable");
    for file in ["healthcheck-client.key", "healthcheck-client.crt"] {
        host.write(&format!("/etc/kubernetes/pki/etcd/{file}"), "pem");
    }
    let member = |n: u8| format!("{n}, started, m{n}, https://10.0.0.{n}:2380, https://10.0.0.{n}:2379, false\n");
    host.stub("etcdctl.member-list", &(1..=3).map(member).collect::<String>());
    for (file, text) in [("etcdctl.script", ETCDCTL), ("leader", "2\n"), ("others", HEALTHY), ("own", "0\n"), ("size", "104857600\n")] {
        host.stub(file, text);
    }
    host
}

/// The host of [`three`], after the change of a file of its stubs.
fn with(file: &str, text: &str) -> Sandbox {
    let host = three();
    host.stub(file, text);
    host
}

/// Checks how often etcdctl was asked to do this.
fn asked(host: &Sandbox, what: &str, times: usize) -> Result<(), String> {
    same(host.log().lines().filter(|l| l.contains(" etcdctl ") && l.contains(what)).count(), times, what)
}

/// Checks how the step ends on the host, and how often etcdctl was asked to do this.
fn ends(host: &Sandbox, step: impl Into<Step>, wanted: &str, what: &str, times: usize) -> Result<(), String> {
    let end = host.apply(step);
    all(host, [ended(&end, wanted), asked(host, what, times)])
}

pub fn table(t: &mut Table) {
    defrag(t);
    leader(t);
    disarm(t);
    compact(t);
}

fn defrag(t: &mut Table) {
    let step = || Defrag { needless: false, database: 100 << 20 };
    t.row("defrag: the others are healthy -> the database is defragmented, with a limit of two minutes", || {
        let host = three();
        all(&host, [ends(&host, step(), "done", " defrag", 1), asked(&host, "--command-timeout 120s defrag", 1)])
    });
    for (what, file, text, wanted) in [
        ("one of the others is not healthy", "others", ILL, "1 would be left healthy without this one, and 2 are needed"),
        ("the list of members is empty", "etcdctl.member-list", "", "cannot be read"),
        ("the size of the database is not told", "size", "\n", "does not tell the size"),
        ("the disk has no room for the new file", "size", "9000000000000000\n", "nothing was changed"),
    ] {
        t.row(format!("defrag: {what} -> it is not defragmented"), || ends(&with(file, text), step(), wanted, " defrag", 0));
    }
    t.row("defrag: the others become healthy while they are waited for -> then it is defragmented", || {
        let host = with("others", ILL);
        host.stub("on-sleep", &format!("echo '{HEALTHY}' >\"$STUB/others\""));
        ends(&host, step(), "done", " defrag", 1)
    });
    t.row("defrag: the lock is lost while the others are waited for -> it is not defragmented", || {
        let host = with("others", ILL);
        host.stub("on-sleep", &format!("{LOST}; echo '{HEALTHY}' >\"$STUB/others\""));
        ends(&host, step(), "fenced", " defrag", 0)
    });
    t.row("defrag: a single member -> it is defragmented", || {
        let host = with("etcdctl.member-list", "1, started, m1, https://10.0.0.1:2380, https://10.0.0.1:2379, false\n");
        ends(&host, step(), "done", " defrag", 1)
    });
    t.row("defrag: the member is not healthy afterwards -> the step fails and says so", || {
        ends(&with("own", "1\n"), step(), "was defragmented, and is not healthy 60 s later", " defrag", 1)
    });
    for (fault, wanted) in [
        (Fault::CallFails("etcdctl", "*defrag"), "etcdctl: it fails, as the case says"),
        (Fault::Hangs("etcdctl", "*defrag"), "the member goes on with it by itself:\netcdctl: no answer within 120 s"),
        (Fault::Hangs("etcdctl", "*endpoint status*"), "does not tell the size"),
        (Fault::Hangs("etcdctl", "*endpoint health*"), "0 would be left healthy"),
    ] {
        t.row(format!("defrag: {fault:?} -> the step ends and says so"), || under(fault, &three(), step(), wanted, anything));
    }
    t.sweep("defrag: killed at a call -> the next run defragments", 1, |n| {
        let host = three();
        killed(Fault::KilledAtCall(n), &host, step(), anything, |h| asked(h, " defrag", 1).or_else(|_| asked(h, " defrag", 2)))
    });
}

fn leader(t: &mut Table) {
    t.row("leader: another member leads -> that member is asked to hand over, and the new leader is seen", || {
        let host = three();
        all(&host, [ends(&host, MoveLeader, "done", "move-leader 1", 1), asked(&host, "--endpoints https://10.0.0.2:2379 ", 1)])
    });
    t.row("leader: another member is elected meanwhile -> that one is asked", || {
        let host = with("elected", "3\n");
        all(&host, [ends(&host, MoveLeader, "done", "move-leader 1", 2), asked(&host, "--endpoints https://10.0.0.3:2379 ", 1)])
    });
    t.row("leader: it leads already -> nobody is asked", || ends(&with("leader", "1\n"), MoveLeader, "done", "move-leader", 0));
    let learner = "1, started, m1, https://10.0.0.1:2380, https://10.0.0.1:2379, true\n";
    for (what, file, text, wanted) in [
        ("no member leads", "leader", "0\n", "etcd has no leader"),
        ("its own member is not healthy", "own", "1\n", "is not healthy"),
        ("its own member is a learner", "etcdctl.member-list", learner, "is a learner"),
        ("its own member is not listed", "etcdctl.member-list", "", "is not in the list of members"),
    ] {
        t.row(format!("leader: {what} -> nobody is asked, and the step says so"), || {
            ends(&with(file, text), MoveLeader, wanted, "move-leader", 0)
        });
    }
    t.row("leader: the lock is lost while a leader is waited for -> nobody is asked", || {
        let host = with("leader", "0\n");
        host.stub("on-sleep", &format!("{LOST}; echo 2 >\"$STUB/leader\""));
        ends(&host, MoveLeader, "fenced", "move-leader", 0)
    });
    for (fault, wanted) in [
        (Fault::CallFails("etcdctl", "*move-leader*"), "does not lead after 30 s: etcdctl: it fails"),
        (Fault::Hangs("etcdctl", "*move-leader*"), "does not lead after 30 s: etcdctl: no answer within 10 s"),
        (Fault::Hangs("etcdctl", "*"), "does not lead after 30 s: the etcd member of this host does not answer"),
    ] {
        t.row(format!("leader: {fault:?} -> the step ends and says so"), || under(fault, &three(), MoveLeader, wanted, anything));
    }
    t.sweep("leader: killed at a call -> the next run moves the leadership", 1, |n| {
        killed(Fault::KilledAtCall(n), &three(), MoveLeader, anything, |h| same(h.read("/stub/leader"), Some("1\n".into()), "leader"))
    });
}

/// The host of [`three`] with these alarms. The database of member 2 has this size, member 3 does not answer, and the quota is 2 GiB.
fn alarmed(alarms: &str, size: u64) -> Sandbox {
    let host = with("etcdctl.alarm-list", alarms);
    let status =
        |id: u8, size: u64| format!(r#"{{"Status":{{"header":{{"cluster_id":5,"member_id":{id}}},"dbSize":{size},"dbSizeInUse":1}}}}"#);
    host.stub("sizes", &format!("[{},{}]", status(1, 100), status(2, size)));
    host.stub("curl.script", "case $url in */metrics) echo 'etcd_server_quota_backend_bytes 2.147483648e+09'; exit 0 ;; esac\n");
    host
}

fn disarm(t: &mut Table) {
    let (full, empty) = (2_147_483_648, 1_000_000);
    let (space, corrupt) = ("memberID:2 alarm:NOSPACE \n", "memberID:1 alarm:CORRUPT \n");
    let both = format!("{corrupt}{space}");
    for (what, alarms, size, allowed, wanted, times) in [
        ("a database below its quota", space, empty, false, "done", 1),
        ("no alarm", "", empty, false, "done", 0),
        ("a database at its quota", space, full, false, "has 2048 MiB, and its quota is 2048 MiB: compact and defragment first", 0),
        ("a member that does not answer", "memberID:3 alarm:NOSPACE \n", empty, false, "3 has the alarm NOSPACE and does not tell", 0),
        ("CORRUPT, which is not allowed", corrupt, empty, false, "alarm CORRUPT", 0),
        ("CORRUPT beside a database below its quota", &both, empty, false, "alarm CORRUPT", 0),
        ("CORRUPT, which is allowed", corrupt, empty, true, "done", 1),
        ("CORRUPT, which is allowed, beside a database at its quota", &both, full, true, "compact and defragment first", 0),
    ] {
        t.row(format!("disarm: {what} -> {wanted}"), || {
            ends(&alarmed(alarms, size), Disarm { corrupt: allowed }, wanted, "alarm disarm", times)
        });
    }
    t.row("disarm: the quota is not told -> no alarm is disarmed", || {
        let host = alarmed(space, empty);
        host.remove("/stub/curl.script");
        ends(&host, Disarm { corrupt: false }, "does not tell the quota", "alarm disarm", 0)
    });
    for (fault, wanted) in [
        (Fault::CallFails("etcdctl", "*alarm list*"), "does not list its alarms: etcdctl: it fails"),
        (Fault::CallFails("etcdctl", "*alarm disarm*"), "etcd refused: etcdctl: it fails"),
        (Fault::Hangs("etcdctl", "*alarm disarm*"), "etcd refused: etcdctl: no answer within 10 s"),
        (Fault::Hangs("etcdctl", "*member list*"), "does not tell the size"),
        (Fault::Hangs("curl", "*"), "does not tell the quota"),
    ] {
        t.row(format!("disarm: {fault:?} -> the step ends and says so"), || {
            under(fault, &alarmed(space, empty), Disarm { corrupt: false }, wanted, |h| {
                same(h.list("/run"), vec![], "files that were left")
            })
        });
    }
}

fn compact(t: &mut Table) {
    let step = || Compact { revision: 812_345 };
    t.row("compact: etcd compacts -> done, after the old revisions are removed", || {
        ends(&three(), step(), "done", "--command-timeout 600s compaction 812345 --physical", 1)
    });
    for (said, wanted) in [
        ("etcdserver: mvcc: required revision has been compacted", "done"),
        ("etcdserver: mvcc: required revision is a future revision", "did not compact its history up to revision 812345: Error"),
    ] {
        t.row(format!("compact: etcd says `{said}` -> {wanted}"), || {
            let host = with("etcdctl.script", &format!("echo 'Error: {said}' >&2; exit 1\n"));
            ends(&host, step(), wanted, "compaction", 1)
        });
    }
    t.row("compact: etcdctl hangs -> the step ends and says so", || {
        under(Fault::Hangs("etcdctl", "*compaction*"), &three(), step(), "no answer within 600 s", anything)
    });
    for (what, step) in [("compact", Step::from(step())), ("disarm", Disarm { corrupt: true }.into()), ("leader", MoveLeader.into())] {
        t.row(format!("{what}: another run has the lock -> etcdctl is not called"), || {
            let host = alarmed("memberID:2 alarm:NOSPACE \n", 1);
            host.write("/var/lib/clusterctl/lock", "run2 other\n");
            ends(&host, step.clone(), "fenced", "", 0)
        });
    }
}
