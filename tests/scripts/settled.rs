//! Tests of `wait_settled.sh` and `report_rollbacks.sh`: a static pod manifest that the host has put back by itself is reported once, even if the
//! first attempt to report it fails, and every wait has a limit.

use clusterctl::step::wait;

use super::pods::{all, ended, same};
use super::sandbox::{Fault, Sandbox};
use super::table::Table;

const STATE: &str = "/var/lib/clusterctl/static-pods";
const WATCH: &str = "units/clusterctl-watch-etcd";

/// A host that has put the previous static pod manifest of etcd back during the run `run`, and has not reported it yet.
fn host(run: &str) -> Sandbox {
    let host = Sandbox::new();
    host.write(&format!("{STATE}/etcd.failed.{run}"), "etcd was put back\n");
    host.write(&format!("{STATE}/etcd.old"), "the manifest before");
    host
}

pub fn table(t: &mut Table) {
    for run in ["run1", "run0"] {
        t.row(format!("something was put back in {run} -> it is told once, and forgotten"), || {
            let host = host(run);
            let first = host.apply(wait::Settled);
            let next = host.apply(wait::Settled);
            all(&host, [ended(&first, "etcd was put back"), ended(&next, "done"), same(host.list(STATE), vec![], "left")])
        });
    }
    t.row("two were put back -> both are told", || {
        let host = host("run1");
        host.write(&format!("{STATE}/kube-apiserver.failed.run0"), "kube-apiserver was put back\n");
        let end = host.apply(wait::Settled);
        all(&host, [ended(&end, "etcd was put back"), ended(&end, "kube-apiserver was put back")])
    });
    t.row("the words cannot be told -> they stay for the next run", || {
        let host = host("run1");
        host.inject(Fault::ReadFails("*/etcd.failed.run1"));
        let first = host.apply(wait::Settled);
        host.inject(Fault::None);
        let next = host.apply(wait::Settled);
        all(&host, [ended(&first, "Input/output error"), ended(&next, "etcd was put back")])
    });
    t.row("the words cannot be told while the API server is waited for -> they stay for the next wait", || {
        let host = host("run1");
        host.inject(Fault::ReadFails("*/etcd.failed.run1"));
        let first = host.apply(wait::Api { address: [10, 0, 0, 1].into(), version: "v1.30.4".into() });
        host.inject(Fault::None);
        let next = host.apply(wait::Settled);
        all(&host, [ended(&first, "Input/output error"), ended(&next, "etcd was put back")])
    });
    t.sweep("killed at an effect -> the next run tells what was put back, or it was told", 1, |n| {
        let host = host("run1");
        host.inject(Fault::KilledAt(n));
        host.apply(wait::Settled);
        host.was_killed().then(|| {
            let told = host.read("/stub/stderr").unwrap_or_default().contains("etcd was put back");
            host.inject(Fault::None);
            let next = host.apply(wait::Settled);
            let again = next.said().contains("etcd was put back");
            all(&host, [same(told || again, true, "it was told")])
        })
    });
    t.row("a watch that ends -> it is waited for", || {
        let host = host("run1");
        host.stub(WATCH, "active\n");
        host.stub("on-sleep", "[ \"$now\" -lt 1000020000 ] || /bin/rm -f \"$STUB/units/clusterctl-watch-etcd\"");
        let end = host.apply(wait::Settled);
        all(&host, [ended(&end, "etcd was put back"), same(host.path(&format!("/stub/{WATCH}")).exists(), false, "it is watched")])
    });
    for unit in [WATCH, "units/clusterctl-static-pod-etcd"] {
        t.row(format!("{unit} does not end -> the step ends and names it, and nothing is forgotten"), || {
            let host = host("run1");
            host.stub(unit, "active\n");
            host.stub("pace", "60000\n");
            let end = host.apply_alone(wait::Settled);
            all(&host, [ended(&end, "or a transaction with one, does not end"), same(host.list(STATE).len(), 2, "left")])
        });
    }
    t.row("systemd does not answer -> the step ends, and nothing is forgotten", || {
        let host = host("run1");
        host.stub("pace", "60000\n");
        host.inject(Fault::Hangs("systemctl", "*"));
        let end = host.apply(wait::Settled);
        all(
            &host,
            [
                ended(&end, "systemd does not say whether clusterctl-watch-* clusterctl-static-pod-* is at work"),
                same(host.list(STATE).len(), 2, "left"),
            ],
        )
    });
    t.row("the lock is lost while it waits -> nothing is forgotten", || {
        let host = host("run1");
        host.stub(WATCH, "active\n");
        host.stub("on-sleep", "echo 'run2 other' >\"$ROOT/var/lib/clusterctl/lock\"; /bin/rm -f \"$STUB/units/clusterctl-watch-etcd\"");
        let end = host.apply(wait::Settled);
        all(&host, [ended(&end, "fenced"), same(host.list(STATE).len(), 2, "left")])
    });
}
