//! Tests in which `swap.sh`, which swaps static pods, is killed or loses power at an effect (a call of a tool that changes something): the whole old
//! or the whole new static pod manifest is in place afterwards, and the next run completes the swap.

use super::pods::{all, both, clean, ended, in_place, manifest, path, pod, standing};
use super::runs::ENDS;
use super::sandbox::{End, Fault};
use super::table::Table;

const API: &str = "kube-apiserver";

pub fn table(t: &mut Table) {
    for (how, fault) in ENDS {
        // A swap of etcd together with its API server has more than a hundred effects, so only every 7th or 11th of them is tried, unless
        // CLUSTERCTL_SWEEP=every is set.
        t.sweep(format!("a good pair, {how} an effect"), 7, |n| pair(fault(n), ""));
        t.sweep(format!("a pair whose API server crashes, {how} an effect"), 11, |n| pair(fault(n), "# crashes\n"));
    }
    t.row("the copy of the old manifest is in pieces and the power failed -> the host still has a whole manifest", || {
        for pieces in ["", "apiVersion: v"] {
            let mut n = 0;
            let host = loop {
                n += 1;
                let host = standing(&[API]);
                host.inject(Fault::PowerCutAt(n));
                host.apply(pod(API, manifest(API, "new", ""), 0));
                if !host.was_killed() {
                    return Err("the manifest is never set aside".into());
                }
                if !host.path(&path(API)).exists() {
                    break host;
                }
            };
            host.write("/var/lib/clusterctl/static-pods/kube-apiserver.old", pieces);
            host.boot();
            all(&host, [in_place(&host, API, &[&manifest(API, "old", "")])])?;
        }
        Ok(())
    });
}

/// Swaps etcd together with its API server under the fault, and checks the static pod manifests before and after the next run, which swaps them
/// again. `mark` is a line of the API server's manifest. Returns `None` if the fault was not reached.
fn pair(fault: Fault, mark: &str) -> Option<Result<(), String>> {
    let host = standing(&["etcd", API]);
    let (etcd, api) = (manifest("etcd", "new", ""), manifest(API, "new", mark));
    host.inject(fault);
    host.apply(both(&etcd, &api));
    host.was_killed().then(|| {
        if matches!(fault, Fault::PowerCutAt(_)) {
            host.boot()
        } else {
            host.inject(Fault::None)
        }
        host.tick();
        let whole =
            [in_place(&host, "etcd", &[&manifest("etcd", "old", ""), &etcd]), in_place(&host, API, &[&manifest(API, "old", ""), &api])];
        all(&host, whole)?;
        // The first attempt of the next run may fail with the report that the host has put a manifest back, so the step is then applied once more.
        let (etcd, api) = (manifest("etcd", "next", ""), manifest(API, "next", ""));
        let mut next = host.apply(both(&etcd, &api));
        if next != End::Done {
            next = host.apply(both(&etcd, &api));
        }
        all(&host, [ended(&next, "done"), in_place(&host, "etcd", &[&etcd]), in_place(&host, API, &[&api]), clean(&host)])
    })
}
