//! Tests of `static_pod.sh` and `swap.sh` where the kubelet sees no change of a static pod manifest and therefore would not restart the pod: the
//! scripts end the process, so that the kubelet starts a new one.

use clusterctl::step::StaticPod;

use super::pods::{all, clean, ended, in_place, manifest, path, pod, process, same, standing};
use super::sandbox::{Fault, Sandbox};
use super::table::Table;

const SCHEDULER: &str = "kube-scheduler";
const API: &str = "kube-apiserver";

pub fn table(t: &mut Table) {
    // `broken` replaces the static pod manifest, but the kubelet does not read it. When the step then places the right manifest, the kubelet takes it
    // for the one that already runs and ends no process, so the script has to end the process.
    for (component, broken) in [(SCHEDULER, "apiVers"), (SCHEDULER, ""), (API, "apiVers"), (API, ""), ("etcd", "apiVers")] {
        for kubelet in ["v1.20.2", "v1.37.0"] {
            t.row(
                format!("{component} with {broken:?} as its manifest on a kubelet {kubelet} that has not read it -> a new process runs it"),
                || {
                    let host = standing(&[SCHEDULER, API, "etcd"]);
                    host.kubelet_version(kubelet);
                    host.write(&path(component), broken);
                    let (right, before) = (manifest(component, "old", ""), process(&host, component));
                    let end = host.apply(pod(component, right.clone(), 0));
                    let anew = process(&host, component).is_some_and(|p| Some(p) != before);
                    all(
                        &host,
                        [ended(&end, "done"), same(anew, true, "another process"), in_place(&host, component, &[&right]), clean(&host)],
                    )
                },
            );
        }
    }
    changed_kubeconfig(t);
}

/// Adds rows for restarts of a static pod whose manifest stays the same, because a new process has to read the changed kubeconfig.
fn changed_kubeconfig(t: &mut Table) {
    let again =
        |host: &Sandbox, mark: &str| host.apply(StaticPod { restart: true, ..pod(SCHEDULER, manifest(SCHEDULER, "old", mark), 30) });
    let old = manifest(SCHEDULER, "old", "");
    t.row("the manifest is in place and its process is to start anew -> another process runs the same manifest", || {
        let host = standing(&[SCHEDULER, API]);
        let before = [SCHEDULER, API].map(|c| process(&host, c));
        let end = again(&host, "");
        let after = [SCHEDULER, API].map(|c| process(&host, c));
        all(
            &host,
            [
                ended(&end, "done"),
                in_place(&host, SCHEDULER, &[&old]),
                same(after[0].is_some() && after[0] != before[0], true, "another process"),
                same(&after[1], &before[1], "the API server"),
                same(host.list("/var/lib/clusterctl/static-pods"), vec!["swap-kube-scheduler.sh".into()], "left"),
                clean(&host),
            ],
        )
    });
    t.row("a process that is to start anew does not serve again -> it is told, and the manifest stays", || {
        let host = standing(&[SCHEDULER]);
        host.stub("serves-kube-scheduler", "000\n");
        let end = again(&host, "");
        all(
            &host,
            [ended(&end, "did not serve at https://127.0.0.1:10259/healthz again"), in_place(&host, SCHEDULER, &[&old]), clean(&host)],
        )
    });
    t.row("a process that is to start anew does not end when it is told to -> it is killed", || {
        let host = Sandbox::new();
        host.stub("deaf", "");
        host.write("/etc/kubernetes/manifests/kube-scheduler.yaml", &manifest(SCHEDULER, "old", ""));
        host.tick();
        let before = process(&host, SCHEDULER);
        let end = again(&host, "");
        all(&host, [ended(&end, "done"), same(process(&host, SCHEDULER) != before, true, "another process"), clean(&host)])
    });
    t.row("no process runs that could start anew -> the manifest is seen to serve", || {
        let host = standing(&[SCHEDULER]);
        let pid = process(&host, SCHEDULER).unwrap_or_default();
        let _ = std::process::Command::new("/bin/kill").args(["-KILL", pid.trim()]).status();
        let _ = std::fs::remove_dir_all(host.path(&format!("/proc/{}", pid.trim())));
        let end = again(&host, "");
        all(&host, [ended(&end, "done"), in_place(&host, SCHEDULER, &[&old]), clean(&host)])
    });
    t.row("the manifest changes, too -> it is swapped as ever", || {
        let host = standing(&[SCHEDULER]);
        let end = again(&host, "# crashes\n");
        all(&host, [ended(&end, "is back and serves"), in_place(&host, SCHEDULER, &[&old]), clean(&host)])
    });
    t.row("another run takes the lock while the input arrives -> no process ends", || {
        let host = standing(&[SCHEDULER]);
        let before = process(&host, SCHEDULER);
        host.inject(Fault::LockLostInInput(20));
        let end = again(&host, "");
        all(&host, [ended(&end, "fenced"), same(process(&host, SCHEDULER), before, "process"), clean(&host)])
    });
    t.sweep("a process starts anew, killed at an effect", 1, |n| {
        let host = standing(&[SCHEDULER]);
        host.inject(Fault::KilledAt(n));
        again(&host, "");
        host.was_killed().then(|| {
            host.inject(Fault::None);
            let next = again(&host, "");
            all(&host, [ended(&next, "done"), in_place(&host, SCHEDULER, &[&old]), clean(&host)])
        })
    });
}
