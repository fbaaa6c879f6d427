//! Tests of `fence.sh`, the check at the beginning of every script that changes a host: a run that does not hold the host's lock changes nothing on
//! that host.

use clusterctl::host::Cmd;
use clusterctl::script;
use clusterctl::step::{Absent, File, Stopped};

use super::sandbox::{End, RUN, Sandbox};
use super::table::Table;

pub fn table(t: &mut Table) {
    for (lock, text) in [("belongs to another run", "run2 other\n"), ("is empty", ""), ("names nobody", "\n")] {
        t.row(format!("the lock {lock} -> no effect"), || {
            let host = Sandbox::new();
            host.write("/var/lib/clusterctl/lock", text);
            host.write("/etc/first", "old");
            let ends = [
                host.apply(vec![File::text(host.at("/etc/first"), "new")]),
                host.apply(Absent { paths: vec![host.at("/etc/first")], locked: false, why: String::new() }),
                host.apply(Stopped { name: "haproxy" }),
            ];
            let fenced = ends.iter().all(|e| matches!(e, End::Fenced(_)));
            let untouched = host.read("/etc/first").as_deref() == Some("old") && !host.log().contains("systemctl");
            if fenced && untouched { Ok(()) } else { Err(format!("{ends:?}\n{}", host.log())) }
        });
    }
    t.row("the input of the lock's script ends before the first tick -> the lock is not taken", || {
        let host = Sandbox::new();
        let cmd = || Cmd::script(script!("lock/lock.sh")).arg("run", "run2").arg("who", "somebody").arg("attempt", "first");
        let without = host.output(cmd());
        let lock = host.read("/var/lib/clusterctl/lock").unwrap_or_default();
        let with = host.output(cmd().stdin("\n"));
        let held = host.read("/var/lib/clusterctl/lock").unwrap_or_default();
        let is = without.status != 0 && lock == format!("{RUN} me\n") && with.status == 0 && held.starts_with("run2 somebody");
        if is { Ok(()) } else { Err(format!("{without:?} {lock:?} {with:?} {held:?}")) }
    });
}
