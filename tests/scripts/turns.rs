//! Tests of `within.sh`: the script of a run that was killed may still be running. The next script for the same object waits for the end of that
//! script, and if the wait reaches its limit, it fails and names what it waited for.

use std::path::Path;
use std::process::{Child, Command};

use clusterctl::step::binary::Source;
use clusterctl::step::{Binary, CheckFlags, Clean, File, Step, Unit};

use super::pods::{all, both, ended, in_place, manifest, pod, same, standing};
use super::sandbox::{Fault, Sandbox};
use super::table::Table;

/// Shell text that makes another run the holder of the host's lock.
const LOST: &str = "echo 'run2 other' >\"$ROOT/var/lib/clusterctl/lock\"";

/// A process that holds a lock file of a host, as a script that is still running does. The process is killed when this value is dropped.
pub struct AtWork(Child);

impl AtWork {
    /// Starts a process that locks this file, and waits until the lock is held.
    pub fn on(file: &Path) -> Self {
        let mut child = Command::new("/usr/bin/flock").arg("-F").arg(file).args(["/bin/sleep", "60"]).spawn().expect("flock runs");
        let free = || Command::new("/usr/bin/flock").arg("-n").arg(file).arg("/bin/true").status().is_ok_and(|s| s.success());
        while free() && matches!(child.try_wait(), Ok(None)) {
            std::thread::yield_now();
        }
        AtWork(child)
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Checks that the process still runs.
    pub fn lives(mut self) -> Result<(), String> {
        match self.0.try_wait() {
            Ok(None) => Ok(()),
            ended => Err(format!("the process that held the lock was ended: {ended:?}")),
        }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn table(t: &mut Table) {
    type Make = fn(&Sandbox) -> Step;
    let steps: [(&str, Make, &str, &str); 7] = [
        ("files", |h| vec![File::text(h.at("/etc/first"), "new")].into(), "clusterctl-files.lock", "at work on files after 60 s"),
        (
            "a unit",
            |_| Unit::new("haproxy", "digest".into()).into(),
            "clusterctl-unit-haproxy.lock",
            "at work on haproxy.service after 60 s",
        ),
        (
            "a program",
            |h| Binary { path: h.at("/usr/local/bin/kubelet"), source: Source::Url("http://mirror/kubelet".into()), staged: false }.into(),
            "clusterctl-kubelet.lock",
            "/usr/local/bin/kubelet after 60 s",
        ),
        (
            "a static pod",
            |_| pod("kube-scheduler", manifest("kube-scheduler", "new", ""), 0).into(),
            "clusterctl-static-pod-kube-scheduler.lock",
            "at work on kube-scheduler after 60 s",
        ),
        (
            "etcd, which goes along",
            |_| both(&manifest("etcd", "new", ""), &manifest("kube-apiserver", "new", "")).into(),
            "clusterctl-static-pod-etcd.lock",
            "at work on etcd after 60 s",
        ),
        (
            "a reset",
            |_| Clean { images: true, found: vec![] }.into(),
            "clusterctl-clean.lock",
            "at work on what Kubernetes left after 60 s",
        ),
        (
            "the flags of programs",
            |_| CheckFlags { programs: vec![] }.into(),
            "clusterctl-flags.lock",
            "at work on the flags of programs after 60 s",
        ),
    ];
    for (what, step, file, wanted) in steps {
        t.row(format!("a script of an earlier run does not end with {what} -> the step ends and says so, and nothing is changed"), || {
            let host = standing(&["kube-scheduler", "kube-apiserver", "etcd"]);
            let _held = AtWork::on(&host.path(&format!("/run/{file}")));
            let end = host.apply(step(&host));
            let old = ["kube-scheduler", "kube-apiserver", "etcd"].map(|c| in_place(&host, c, &[&manifest(c, "old", "")]));
            all(&host, [ended(&end, wanted), ended(&end, "nothing was changed"), same(host.path("/etc/first").exists(), false, "a file")])?;
            all(&host, old)
        });
        t.row(format!("the lock is lost while {what} waits for the script of an earlier run -> nothing is changed"), || {
            let host = standing(&["kube-scheduler", "kube-apiserver", "etcd"]);
            let held = host.path(&format!("/run/{file}"));
            let work = AtWork::on(&held);
            let ends = format!("kill -KILL {}; /usr/bin/flock {} true", work.0.id(), held.display());
            host.stub("on-sleep", &format!("{LOST}; {ends}"));
            let calls = host.log();
            let end = host.apply(step(&host));
            let log = host.log();
            let effects =
                log[calls.len()..].lines().filter(|l| l.contains(" mv ") || l.contains("systemctl restart") || l.contains("- curl"));
            all(
                &host,
                [ended(&end, "fenced"), same(effects.count(), 0, "effects"), same(host.path("/etc/first").exists(), false, "a file")],
            )
        });
    }
    t.row("the lock is lost while a transaction of an earlier run is waited for -> nothing is changed", || {
        let host = standing(&["kube-scheduler"]);
        host.stub("units/clusterctl-static-pod-kube-scheduler", "active\n");
        host.stub("on-sleep", &format!("{LOST}; /bin/rm -f \"$STUB/units/clusterctl-static-pod-kube-scheduler\""));
        let end = host.apply(pod("kube-scheduler", manifest("kube-scheduler", "new", ""), 0));
        all(&host, [ended(&end, "fenced"), in_place(&host, "kube-scheduler", &[&manifest("kube-scheduler", "old", "")])])
    });
    t.row("systemd does not say whether a transaction goes on -> the step ends and says so, and nothing is changed", || {
        let host = standing(&["kube-scheduler"]);
        host.inject(Fault::CallFails("systemctl", "list-units*"));
        let end = host.apply(pod("kube-scheduler", manifest("kube-scheduler", "new", ""), 0));
        all(
            &host,
            [ended(&end, "systemd does not say whether"), in_place(&host, "kube-scheduler", &[&manifest("kube-scheduler", "old", "")])],
        )
    });
    t.row("a transaction of an earlier run does not end -> the step ends and says so, and nothing is changed", || {
        let host = standing(&["kube-scheduler"]);
        host.stub("units/clusterctl-static-pod-kube-scheduler", "active\n");
        host.stub("pace", "60000\n");
        let end = host.apply_alone(pod("kube-scheduler", manifest("kube-scheduler", "new", ""), 0));
        all(
            &host,
            [ended(&end, "still under way after 240 s"), in_place(&host, "kube-scheduler", &[&manifest("kube-scheduler", "old", "")])],
        )
    });
}
