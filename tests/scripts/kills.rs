//! `swap.sh` is killed, or loses power, at every effect: the whole old or the whole new manifest is in place, and the next run ends the work.

use super::pods::{all, both, clean, ended, in_place, manifest, path, pod, standing};
use super::runs::ENDS;
use super::sandbox::{End, Fault};
use super::table::Table;

const API: &str = "kube-apiserver";

pub fn table(t: &mut Table) {
    for (how, fault) in ENDS {
        // A pair has more than a hundred effects, so only a run with CLUSTERCTL_SWEEP=every tries every one of them.
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

/// Swaps etcd together with its API server; `mark` is a line of the API server's manifest. `None` if the fault was not reached.
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
        // The first answer of the next run may be a report of what the host has put back.
        let (etcd, api) = (manifest("etcd", "next", ""), manifest(API, "next", ""));
        let mut next = host.apply(both(&etcd, &api));
        if next != End::Done {
            next = host.apply(both(&etcd, &api));
        }
        all(&host, [ended(&next, "done"), in_place(&host, "etcd", &[&etcd]), in_place(&host, API, &[&api]), clean(&host)])
    })
}
