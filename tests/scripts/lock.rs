//! Tests of `lock.sh` and `unlock.sh`: only one run at a time holds a host's lock, the scripts report the state of the lock correctly, and the lock
//! of a run that has died is freed.

use clusterctl::host::{Cmd, Output};
use clusterctl::script;

use super::pods::{all, same};
use super::sandbox::{Fault, RUN, Sandbox};
use super::table::Table;
use super::turns::AtWork;

const LOCK: &str = "/var/lib/clusterctl/lock";

/// Runs `lock.sh` for `run`, sends one tick, and ends the input, so that the script exits. `attempt` is `first` or `again`.
fn take(host: &Sandbox, run: &str, attempt: &str) -> Output {
    let cmd = Cmd::script(script!("lock/lock.sh")).arg("run", run).arg("who", "somebody").arg("attempt", attempt);
    host.output(cmd.stdin("\n"))
}

fn said(out: &Output, status: i32, words: &str) -> Result<(), String> {
    let text = String::from_utf8_lossy(&out.stdout).to_string();
    same((out.status, text.starts_with(words)), (status, true), &format!("{text:?}"))
}

/// Checks that the lock file names `run` as the holder.
fn holder(host: &Sandbox, run: &str) -> Result<(), String> {
    same(host.read(LOCK).unwrap_or_default().split_whitespace().next().unwrap_or_default().to_string(), run.to_string(), "the holder")
}

pub fn table(t: &mut Table) {
    t.row("nobody is at work -> it is taken, the previous holder is told, and snapshots that were left are gone", || {
        let host = Sandbox::new();
        host.write("/var/lib/clusterctl/snapshot.abc/db", "every Secret");
        let out = take(&host, "run2", "first");
        let left = host.list("/var/lib/clusterctl").into_iter().any(|f| f.starts_with("snapshot"));
        all(&host, [said(&out, 0, &format!("locked {RUN}\n")), holder(&host, "run2"), same(left, false, "a snapshot is left")])
    });
    t.row("a run is at work -> it is named, and nothing is changed", || {
        let host = Sandbox::new();
        let now = std::process::Command::new("/bin/date").arg("+%s").output().expect("date runs");
        host.stub("clock", &format!("{}000\n", String::from_utf8_lossy(&now.stdout).trim()));
        let _held = AtWork::on(&host.path("/var/lib/clusterctl/lock.flock"));
        let out = take(&host, "run2", "first");
        all(&host, [said(&out, 7, &format!("held {RUN} me")), holder(&host, RUN)])
    });
    t.row("again, by the run that held it last -> it is taken", || {
        let host = Sandbox::new();
        let out = take(&host, RUN, "again");
        all(&host, [said(&out, 0, &format!("locked {RUN}\n")), holder(&host, RUN)])
    });
    t.row("again, and another run has had it meanwhile -> it is not taken", || {
        let host = Sandbox::new();
        let out = take(&host, "run0", "again");
        all(&host, [said(&out, 7, &format!("held {RUN}")), holder(&host, RUN)])
    });
    t.row("again, and the run has removed everything meanwhile -> nothing is made anew", || {
        let host = Sandbox::new();
        host.remove("/var/lib/clusterctl");
        let out = take(&host, RUN, "again");
        all(&host, [said(&out, 0, "gone\n"), same(host.path("/var/lib/clusterctl").exists(), false, "the folder")])
    });
    for tool in ["mv", "mkdir"] {
        t.row(format!("the disk is full for {tool} -> it is not taken"), || {
            let host = Sandbox::new();
            host.inject(Fault::ToolFails(tool, "*"));
            let out = take(&host, "run2", "first");
            all(&host, [said(&out, 1, ""), same(out.stdout.is_empty(), true, "it says nothing"), holder(&host, RUN)])
        });
    }
    t.sweep("killed at an effect -> it is the one run's or the other's, and the next run takes it", 1, |n| {
        let host = Sandbox::new();
        host.inject(Fault::KilledAt(n));
        take(&host, "run2", "first");
        host.was_killed().then(|| {
            holder(&host, RUN).or_else(|_| holder(&host, "run2"))?;
            host.inject(Fault::None);
            let out = take(&host, "run3", "first");
            all(&host, [said(&out, 0, "locked "), holder(&host, "run3")])
        })
    });
    t.row("unlock: nobody holds it -> free", || {
        let host = Sandbox::new();
        host.write("/var/lib/clusterctl/lock.flock", "");
        unlocks(&host, "free", "free\n")
    });
    t.row("unlock: a host that never was locked -> free, and nothing is made", || {
        let host = Sandbox::new();
        host.remove("/var/lib/clusterctl");
        unlocks(&host, "free", "free\n")?;
        same(host.path("/var/lib/clusterctl").exists(), false, "the folder")
    });
    t.row("unlock: its run gives signs of life -> it stays", || {
        let host = Sandbox::new();
        let held = hold(&host);
        host.stub("on-sleep", "/bin/touch \"$ROOT/var/lib/clusterctl/lock\"");
        unlocks(&host, "free", &format!("busy {RUN} "))?;
        held.lives()
    });
    t.row("unlock, to look: its run is silent -> that is said, and it stays", || {
        let host = Sandbox::new();
        let held = hold(&host);
        unlocks(&host, "look", &format!("silent {RUN} "))?;
        held.lives()
    });
    t.row("unlock: its run is silent -> it is freed, and the next run takes it", || {
        let host = Sandbox::new();
        let _held = hold(&host);
        unlocks(&host, "free", &format!("freed {RUN} "))?;
        let out = take(&host, "run2", "first");
        all(&host, [said(&out, 0, "locked "), holder(&host, "run2")])
    });
    t.row("unlock: its run is silent, and another process has the same descriptor open on another file -> that one lives", || {
        let host = Sandbox::new();
        host.write("/var/lib/other/lock.flock", "");
        let other = AtWork::on(&host.path("/var/lib/other/lock.flock"));
        host.link_at(&format!("/proc/{}/fd/9", other.pid()), host.at("/var/lib/other/lock.flock"));
        let _held = hold(&host);
        unlocks(&host, "free", &format!("freed {RUN} "))?;
        other.lives()
    });
}

/// Starts a process that holds the host's lock and, as if its run were dead, never changes the time of the lock file.
fn hold(host: &Sandbox) -> AtWork {
    host.write("/var/lib/clusterctl/lock.flock", "");
    let held = AtWork::on(&host.path("/var/lib/clusterctl/lock.flock"));
    host.link_at(&format!("/proc/{}/fd/9", held.pid()), host.at("/var/lib/clusterctl/lock.flock"));
    held
}

fn unlocks(host: &Sandbox, how: &str, words: &str) -> Result<(), String> {
    let out = host.output(Cmd::script(script!("lock/unlock.sh")).arg("action", how));
    all(host, [said(&out, 0, words)])
}
