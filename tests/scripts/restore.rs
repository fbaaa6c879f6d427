//! Tests of the scripts that restore a snapshot of etcd beside the data of a member and exchange the two: wherever a script is killed, no data is
//! lost, and the next run completes the work.

use std::path::PathBuf;
use std::sync::OnceLock;

use clusterctl::step::digest;
use clusterctl::step::restore::{Part, Restore, Target};

use super::pods::{all, ended, same, standing};
use super::runs::{Answer, At, ENDS, killed, under};
use super::sandbox::{Fault, Sandbox};
use super::table::Table;

pub const MEMBER: &str = "/var/lib/etcd/member";
const NEW: &str = "/var/lib/etcd/.restored";
pub const MARK: &str = "/var/lib/clusterctl/restore/mark";
pub const KEPT: &str = "/var/lib/etcd/member.before-t1";

/// A script for the stub of etcdctl that knows `snapshot restore`: it writes data whose log has the text `restored`.
pub const ETCDCTL: &str = r#"
case "$*" in
  *'snapshot restore --help'*) echo '--initial-cluster-token'; exit 0 ;;
  *'snapshot restore '*)
    data=
    for word; do case $before in --data-dir) data=$word ;; esac; before=$word; done
    [ ! -e "$data" ] || { echo "data-dir exists" >&2; exit 1; }
    /bin/mkdir -p "$data/member/snap" "$data/member/wal"
    echo restored >"$data/member/wal/0"; /bin/cp "$3" "$data/member/snap/db"; exit 0 ;;
esac
"#;

/// The snapshot on the operator's machine. Its content does not matter to the scripts, except for its SHA-256.
fn snapshot() -> PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    let make = || {
        let file = std::env::temp_dir().join(format!("clusterctl-scripts-snapshot-{}.db", std::process::id()));
        std::fs::write(&file, "a snapshot").expect("there is room");
        file
    };
    FILE.get_or_init(make).clone()
}

/// The faults that end a script which copies nothing.
pub const WITHOUT_COPIES: [(&str, At); 2] = [ENDS[0], ENDS[2]];

pub fn restore(part: Part) -> Restore {
    Restore { target: Target { file: snapshot(), snapshot: digest(b"a snapshot"), token: "t1".into() }, part }
}

fn prepare() -> Restore {
    restore(Part::Prepare { name: "m1".into(), cluster: "m1=https://10.0.0.1:2380".into(), peer: "https://10.0.0.1:2380".into() })
}

/// Makes a host one whose etcd programs can restore snapshots and whose member has data.
pub fn with_data(host: &Sandbox) {
    host.stub("etcdctl.script", ETCDCTL);
    host.program("/usr/local/bin/etcd", "#!/bin/sh\nexec /bin/sleep 300\n");
    host.write(&format!("{MEMBER}/wal/0"), "before\n");
    host.write(&format!("{MEMBER}/snap/db"), "database");
}

/// The host of a member that has reached this stage of the restore.
pub fn at(stage: &str) -> Sandbox {
    let host = Sandbox::new();
    with_data(&host);
    mark(&host, stage);
    host
}

pub fn mark(host: &Sandbox, stage: &str) {
    let (file, sum) = (snapshot(), digest(b"a snapshot"));
    host.write(MARK, &format!("snapshot: {sum}\ntoken: t1\nstage: {stage}\nfrom: {}\n", file.display()));
}

fn prepared() -> Sandbox {
    let host = at("etcd-stopped");
    host.write(&format!("{NEW}/member/wal/0"), "restored\n");
    host.write(&format!("{NEW}/member/snap/db"), "database");
    host
}

pub fn is_at(host: &Sandbox, stage: &str) -> Answer {
    let mark = host.read(MARK).unwrap_or_default();
    same(mark.lines().find_map(|l| l.strip_prefix("stage: ")), Some(stage), "the stage")
}

pub fn log_of(host: &Sandbox, folder: &str) -> Option<String> {
    host.read(&format!("{folder}/wal/0"))
}

/// The data of the member, and the restored data beside it.
fn is_prepared(host: &Sandbox) -> Answer {
    same(log_of(host, &format!("{NEW}/member")), Some("restored\n".into()), "the restored data")?;
    same(log_of(host, MEMBER), Some("before\n".into()), "the data of the member")?;
    same(host.list("/var/lib/clusterctl/restore"), vec!["db".into(), "mark".into()], "what is in the folder")?;
    is_at(host, "prepared")
}

fn untouched(host: &Sandbox) -> Answer {
    same(log_of(host, MEMBER), Some("before\n".into()), "the data of the member")
}

fn is_exchanged(host: &Sandbox) -> Answer {
    same(log_of(host, MEMBER), Some("restored\n".into()), "the data of the member")?;
    same(log_of(host, KEPT), Some("before\n".into()), "the data that is kept")?;
    same(host.list("/var/lib/etcd"), vec!["member".into(), "member.before-t1".into()], "what is in etcd's folder")?;
    is_at(host, "exchanged")
}

/// Both data exist, each whole, under whatever name.
fn no_data_lost(host: &Sandbox) -> Answer {
    let places = [MEMBER.to_string(), KEPT.into(), format!("{NEW}/member")];
    let found: Vec<String> = places.iter().filter_map(|p| log_of(host, p)).collect();
    for wanted in ["before\n", "restored\n"] {
        same(found.iter().filter(|f| *f == wanted).count(), 1, &format!("data that is {wanted:?}"))?;
    }
    Ok(())
}

pub fn table(t: &mut Table) {
    preparing(t);
    exchanging(t);
}

fn preparing(t: &mut Table) {
    let fresh = || {
        let host = Sandbox::new();
        with_data(&host);
        host
    };
    t.row("prepare: the snapshot is restored beside the data, which stays", || {
        let host = fresh();
        let end = host.apply(prepare());
        all(&host, [ended(&end, "done"), is_prepared(&host)])
    });
    t.row("prepare: etcdutl of the image is preferred, and its option for later revisions is used", || {
        let host = fresh();
        host.write("/var/lib/clusterctl/binaries/etcdctl", "/usr/local/bin/etcdctl\nsite/etcd:3.6.1\n1 2\n");
        host.stub("etcdctl.script", "exit 1\n");
        let utl = format!(
            "#!/bin/sh\ncase \"$*\" in *--help*) echo '--initial-cluster-token --bump-revision'; exit 0 ;; esac\n\
             echo \"$*\" >>\"$STUB/asked\"\n{ETCDCTL}"
        );
        host.program("/stub/image/etcdutl", &utl);
        host.program("/stub/image/etcd", "#!/bin/sh\n");
        host.stub(
            "ctr.script",
            "case \"$*\" in *'images mount'*) for to; do :; done; /bin/mkdir -p \"$to$ROOT/usr/local/bin\"; \
             /bin/cp \"$STUB/image/etcd\" \"$STUB/image/etcdutl\" \"$to$ROOT/usr/local/bin/\" ;; \
             *'images unmount'*) for to; do :; done; /bin/rm -r \"$to$ROOT\" ;; esac\n",
        );
        let end = host.apply(prepare());
        let asked = host.read("/stub/asked").unwrap_or_default();
        let bumps = asked.contains("--initial-cluster-token t1") && asked.contains("--bump-revision 1000000000 --mark-compacted");
        all(&host, [ended(&end, "done"), is_prepared(&host), same(bumps, true, &asked)])
    });
    t.row("prepare: no program can restore a snapshot -> it is refused", || {
        let host = fresh();
        host.stub("etcdctl.script", "echo 'save Stores an etcd node backend snapshot'; exit 0\n");
        under(Fault::None, &host, prepare(), "no program on this host can restore", untouched)
    });
    t.row("prepare: the program fails -> it is refused with that, and the next run restores", || {
        let host = fresh();
        let wanted = "etcdctl does not restore the snapshot";
        under(Fault::CallFails("etcdctl", "*--data-dir*"), &host, prepare(), wanted, untouched)?;
        under(Fault::None, &host, prepare(), "done", is_prepared)
    });
    t.row("prepare: the disk is full -> it is refused, and nothing of the member is touched", || {
        let host = fresh();
        host.program("/stub/tools/df", "#!/bin/sh\nprintf 'x\\nx 1 1 1000 1 /\\n'\n");
        under(Fault::None, &host, prepare(), "MiB free below", untouched)
    });
    t.row("prepare: data that an earlier restore left beside is replaced", || {
        let host = fresh();
        host.write(&format!("{NEW}/member/wal/0"), "of another snapshot\n");
        under(Fault::None, &host, prepare(), "done", is_prepared)
    });
    t.row("prepare: the data was exchanged already -> nothing is changed", || {
        let host = at("exchanged");
        under(Fault::None, &host, prepare(), "done", |host| untouched(host).and_then(|()| is_at(host, "exchanged")))
    });
    for (how, fault) in ENDS {
        t.sweep(format!("prepare: {how} an effect -> the next run restores"), 1, |n| {
            killed(fault(n), &fresh(), prepare(), untouched, is_prepared)
        });
    }
}

fn exchanging(t: &mut Table) {
    let exchange = || restore(Part::Exchange { service: false });
    t.row("exchange: the restored data is the member's, and the previous data is kept", || {
        under(Fault::None, &prepared(), exchange(), "done", is_exchanged)
    });
    t.row("exchange: the disk of the member was wiped -> there is nothing to keep", || {
        let host = prepared();
        host.remove(MEMBER);
        under(Fault::None, &host, exchange(), "done", |host| {
            same(host.list("/var/lib/etcd"), vec!["member".into()], "what is in etcd's folder")?;
            is_at(host, "exchanged")
        })
    });
    t.row("exchange: an earlier attempt has kept data already -> both are kept", || {
        let host = prepared();
        host.write(&format!("{KEPT}/wal/0"), "first\n");
        under(Fault::None, &host, exchange(), "done", |host| {
            let kept = [log_of(host, KEPT), log_of(host, &format!("{KEPT}.1"))];
            same(kept, [Some("first\n".into()), Some("before\n".into())], "what is kept")
        })
    });
    t.row("exchange: nothing was prepared -> it is refused", || {
        under(Fault::None, &at("etcd-stopped"), exchange(), "there is no restored data", untouched)?;
        let host = prepared();
        host.write(MARK, "snapshot: other\ntoken: t0\nstage: prepared\nfrom: x\n");
        under(Fault::None, &host, exchange(), "has not prepared this restore", untouched)
    });
    t.row("exchange: etcd runs again -> it is refused, and the data stays", || {
        let host = standing(&["etcd"]);
        with_data(&host);
        mark(&host, "etcd-stopped");
        host.write(&format!("{NEW}/member/wal/0"), "restored\n");
        under(Fault::None, &host, exchange(), "runs again", untouched)
    });
    t.row("exchange: the lock is another run's -> nothing is changed", || {
        let host = prepared();
        host.write("/var/lib/clusterctl/lock", "run2 other\n");
        under(Fault::None, &host, exchange(), "fenced", untouched)
    });
    t.row("exchange: a folder cannot be renamed -> it fails, and no data is lost", || {
        under(Fault::ToolFails("mv", "*member.before-t1"), &prepared(), exchange(), "", no_data_lost)?;
        under(Fault::ToolFails("mv", "*/etcd/member"), &prepared(), exchange(), "", no_data_lost)
    });
    for (how, fault) in WITHOUT_COPIES {
        t.sweep(format!("exchange: {how} an effect -> no data is lost, and the next run ends it"), 1, |n| {
            killed(fault(n), &prepared(), exchange(), no_data_lost, is_exchanged)
        });
    }
}
