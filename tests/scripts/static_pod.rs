//! Tests of `static_pod.sh` and `swap.sh`, which swap a static pod: whatever fails, the whole old or the whole new static pod manifest is in place
//! afterwards.

use clusterctl::step::{StaticPodsGone, wait};

use super::pods::{all, both, clean, ended, in_place, manifest, pod, process, same, standing};
use super::sandbox::{End, Fault, Sandbox};
use super::table::Table;

const SCHEDULER: &str = "kube-scheduler";
const API: &str = "kube-apiserver";

pub fn table(t: &mut Table) {
    let marks = [
        ("serves", "", "done", "new"),
        ("does not serve", "# does not serve\n", "the previous manifest", "old"),
        ("crashes", "# crashes\n", "is back and serves", "old"),
    ];
    for (what, mark, wanted, stays) in marks {
        for component in [SCHEDULER, API, "etcd"] {
            // For a kubelet older than 1.22, the script replaces the manifest directly; for a newer one, it first waits until the old pod has ended.
            // The API server is tested with both, the other components only with one version of the kubelet.
            for kubelet in ["v1.20.2", "v1.30.4", "v1.37.0"].into_iter().filter(|k| component == API || *k == "v1.30.4") {
                t.row(format!("{component} on a kubelet {kubelet}, the new one {what} -> the {stays} one is in place"), || {
                    let host = standing(&[SCHEDULER, API, "etcd"]);
                    host.kubelet_version(kubelet);
                    let texts = [manifest(component, "new", mark), manifest(component, "old", "")];
                    let end = host.apply(pod(component, texts[0].clone(), 0));
                    let wanted_text = if stays == "new" { &texts[0] } else { &texts[1] };
                    all(&host, [ended(&end, wanted), in_place(&host, component, &[wanted_text]), clean(&host)])
                });
            }
        }
    }

    t.row("a new one that dies while it is watched -> the old one is in place, and the next wait says so", || {
        let host = standing(&[SCHEDULER]);
        host.stub("on-sleep", "[ \"$now\" -lt 1000009000 ] || [ ! -e \"$STUB/units/clusterctl-watch-kube-scheduler\" ] || echo 000 >\"$STUB/serves-kube-scheduler\"");
        let end = host.apply(pod(SCHEDULER, manifest(SCHEDULER, "new", ""), 30));
        host.remove("/stub/on-sleep");
        let told = host.apply(wait::Settled);
        all(
            &host,
            [
                ended(&end, "done"),
                in_place(&host, SCHEDULER, &[&manifest(SCHEDULER, "old", "")]),
                ended(&told, "was down again before it was 30 s old"),
                clean(&host),
            ],
        )
    });

    t.row("a container that died while it was watched, the next one being created -> the log of the dead one is shown", || {
        let host = standing(&[SCHEDULER]);
        host.stub(
            "on-sleep",
            "if [ \"$now\" -ge 1000009000 ] && [ -e \"$STUB/units/clusterctl-watch-kube-scheduler\" ]; then\n\
             if [ ! -e \"$STUB/died\" ]; then : >\"$STUB/died\"; echo inactive >\"$STUB/units/kubelet\"\n\
             read -r pid uid <\"$STUB/pods/kube-scheduler/process\"; kill -KILL \"$pid\"; /bin/rm -rf \"$ROOT/proc/$pid\"\n\
             : >\"$ROOT/var/log/pods/kube-system_kube-scheduler-node_$uid/kube-scheduler/1.log\"\n\
             elif ! cmp -s \"$ROOT/etc/kubernetes/manifests/kube-scheduler.yaml\" \"$STUB/pods/kube-scheduler/yaml\"; then\n\
             echo active >\"$STUB/units/kubelet\"; fi; fi\n",
        );
        let end = host.apply(pod(SCHEDULER, manifest(SCHEDULER, "new", ""), 30));
        let told = host.apply(wait::Settled);
        let old = manifest(SCHEDULER, "old", "");
        all(&host, [ended(&end, "done"), ended(&told, "log of kube-scheduler, start 0"), in_place(&host, SCHEDULER, &[&old])])
    });

    t.row("one that ends three times beside the log of an earlier pod, which is written last -> its own last words are shown", || {
        let host = standing(&[SCHEDULER]);
        let earlier = "/var/log/pods/kube-system_kube-scheduler-node_ea51e5/kube-scheduler/0.log";
        host.write(earlier, "log of an earlier pod\n");
        host.stub("on-sleep", &format!("/bin/touch -d @2000000000 \"$ROOT{earlier}\"\n"));
        let end = host.apply(pod(SCHEDULER, manifest(SCHEDULER, "new", "# crashes\n"), 0));
        let shown = !end.said().contains("log of an earlier pod");
        all(&host, [ended(&end, "log of kube-scheduler, start 2"), same(shown, true, "only its own words")])
    });

    t.row("one that died while it was watched and runs again without a word, beside the log of an earlier pod -> its last words are shown", || {
        let host = standing(&[SCHEDULER]);
        host.write("/var/log/pods/kube-system_kube-scheduler-node_ea51e5/kube-scheduler/0.log", "log of an earlier pod\n");
        host.stub(
            "on-sleep",
                "if [ \"$now\" -ge 1000009000 ] && [ -e \"$STUB/units/clusterctl-watch-kube-scheduler\" ] && [ ! -e \"$STUB/died\" ]; then\n\
                 : >\"$STUB/died\"; echo 000 >\"$STUB/serves-kube-scheduler\"\n\
                 read -r pid uid <\"$STUB/pods/kube-scheduler/process\"\n\
                 : >\"$ROOT/var/log/pods/kube-system_kube-scheduler-node_$uid/kube-scheduler/1.log\"\n\
                 elif [ -e \"$STUB/died\" ] && ! grep -q new \"$STUB/pods/kube-scheduler/yaml\"; then echo 200 >\"$STUB/serves-kube-scheduler\"; fi\n"
        );
        let end = host.apply(pod(SCHEDULER, manifest(SCHEDULER, "new", ""), 30));
        let told = host.apply(wait::Settled);
        all(&host, [ended(&end, "done"), ended(&told, "log of kube-scheduler, start 0")])
    });

    t.row("the third start comes late and is the good one -> it is not given up while its container is being created", || {
        let host = standing(&[SCHEDULER]);
        let new = manifest(SCHEDULER, "new", "# crashes 2\n");
        host.stub(
            "on-sleep",
            "read -r p uid 2>/dev/null <\"$STUB/pods/kube-scheduler/process\" || :\n\
             logs=$ROOT/var/log/pods/kube-system_kube-scheduler-node_$uid/kube-scheduler\n\
             if [ -e \"$logs/1.log\" ] && [ ! -e \"$STUB/late\" ]; then echo inactive >\"$STUB/units/kubelet\"; : >\"$logs/2.log\"; : >\"$STUB/late\"\n\
             elif [ -e \"$STUB/late\" ] && [ ! -s \"$logs/2.log\" ]; then echo x >>\"$STUB/late\"\n\
             [ \"$(wc -l <\"$STUB/late\")\" -lt 3 ] || { /bin/rm -f \"$logs/2.log\"; echo active >\"$STUB/units/kubelet\"; }; fi\n",
        );
        let end = host.apply(pod(SCHEDULER, new.clone(), 0));
        all(&host, [ended(&end, "done"), in_place(&host, SCHEDULER, &[&new])])
    });

    t.row("the third start is the one that comes up, and serves only later -> it is waited for", || {
        let host = standing(&[SCHEDULER]);
        let new = manifest(SCHEDULER, "new", "# crashes 2\n");
        host.stub("serves-kube-scheduler", "000\n");
        host.stub(
            "on-sleep",
            "p=0; read -r p _ 2>/dev/null <\"$STUB/pods/kube-scheduler/process\" || :\n\
             if [ \"$p\" != 0 ] && grep -q 'crashes 2' \"$STUB/pods/kube-scheduler/yaml\"; then\n\
             echo x >>\"$STUB/seen\"; [ \"$(wc -l <\"$STUB/seen\")\" -lt 2 ] || echo 200 >\"$STUB/serves-kube-scheduler\"; fi\n",
        );
        let end = host.apply(pod(SCHEDULER, new.clone(), 0));
        all(&host, [ended(&end, "done"), in_place(&host, SCHEDULER, &[&new])])
    });

    t.row("a transaction that went well -> the wait afterwards forgets the old manifest", || {
        let host = standing(&[SCHEDULER]);
        let end = host.apply(pod(SCHEDULER, manifest(SCHEDULER, "new", ""), 5));
        let kept = host.read("/var/lib/clusterctl/static-pods/kube-scheduler.old").is_some();
        let settled = host.apply(wait::Settled);
        let left = host.list("/var/lib/clusterctl/static-pods");
        all(
            &host,
            [
                ended(&end, "done"),
                same(kept, true, "kept"),
                ended(&settled, "done"),
                same(left, vec!["swap-kube-scheduler.sh".into()], "left"),
            ],
        )
    });

    t.row("removal -> the manifest and the process are gone", || {
        let host = standing(&[SCHEDULER, API]);
        let end = host.apply(StaticPodsGone { components: vec![API, SCHEDULER] });
        all(
            &host,
            [
                ended(&end, "done"),
                same(host.list("/etc/kubernetes/manifests"), vec![], "manifests"),
                same(host.list("/stub/pods"), vec![], "pods"),
            ],
        )
    });

    input(t);
    disk(t);
    kubelet(t);
}

fn input(t: &mut Table) {
    let length = manifest(API, "new", "").len();
    for n in [0, 1, length / 2, length - 1, length, length + 64] {
        t.row(format!("the input ends after {n} bytes -> nothing is changed"), || {
            let host = standing(&[API]);
            let before = process(&host, API);
            host.inject(Fault::InputEnds(n));
            let end = host.apply(pod(API, manifest(API, "new", ""), 0));
            host.tick();
            let old = manifest(API, "old", "");
            all(
                &host,
                [
                    ended(&end, "nothing was changed"),
                    in_place(&host, API, &[&old]),
                    same(before, process(&host, API), "process"),
                    clean(&host),
                ],
            )
        });
    }
    t.row("an empty manifest -> nothing is changed", || {
        let host = standing(&[API]);
        let mut empty = pod(API, manifest(API, "new", ""), 0);
        empty.manifest = String::new();
        let end = host.apply(empty);
        all(&host, [ended(&end, "is empty; nothing was changed"), in_place(&host, API, &[&manifest(API, "old", "")]), clean(&host)])
    });
    t.row("another run takes the lock while the input arrives -> nothing is changed", || {
        let host = standing(&[API]);
        host.inject(Fault::LockLostInInput(20));
        let end = host.apply(pod(API, manifest(API, "new", ""), 0));
        all(&host, [ended(&end, "fenced"), in_place(&host, API, &[&manifest(API, "old", "")]), clean(&host)])
    });
    t.row("another run takes the lock while an earlier transaction is waited for -> nothing is changed", || {
        let host = standing(&[API]);
        host.stub("units/clusterctl-static-pod-etcd", "active\n");
        host.stub(
            "on-sleep",
            "echo 'run2 other' >\"$ROOT/var/lib/clusterctl/lock\"; /bin/rm -f \"$STUB/units/clusterctl-static-pod-etcd\"",
        );
        let end = host.apply(pod(API, manifest(API, "new", ""), 0));
        all(&host, [ended(&end, "fenced"), in_place(&host, API, &[&manifest(API, "old", "")]), clean(&host)])
    });
    t.row("another run takes the lock before the host's own transaction begins -> nothing is changed", || {
        let host = standing(&[API]);
        host.stub("on-unit", "echo 'run2 other' >\"$ROOT/var/lib/clusterctl/lock\"");
        let end = host.apply(pod(API, manifest(API, "new", ""), 0));
        all(&host, [ended(&end, "fenced"), in_place(&host, API, &[&manifest(API, "old", "")]), clean(&host)])
    });
}

fn disk(t: &mut Table) {
    let full = [
        ("cp", "*static-pods/.kube-apiserver.old"),
        ("cp", "*manifests/.kube-apiserver.swap"),
        ("sync", "*static-pods/.kube-apiserver.old.sha256"),
        ("sync", "*manifests/.kube-apiserver.swap"),
        ("sync", "*kubelet.service.d/.90-clusterctl-kube-apiserver"),
        ("mkdir", "*kubelet.service.d"),
        ("head", "*"),
        ("mktemp", "*"),
        ("sync", "*static-pods/.swap-kube-apiserver"),
    ];
    for (tool, pattern) in full {
        for fault in [Fault::DiskFull(tool, pattern), Fault::ToolFails(tool, pattern)] {
            t.row(format!("{fault:?} -> nothing is changed"), || {
                let host = standing(&[API]);
                let before = process(&host, API);
                host.inject(fault);
                let end = host.apply(pod(API, manifest(API, "new", "# crashes\n"), 0));
                host.tick();
                let refused = if matches!(end, End::Refused(_)) { Ok(()) } else { Err(format!("{end:?}")) };
                all(&host, [refused, in_place(&host, API, &[&manifest(API, "old", "")]), same(before, process(&host, API), "process")])?;
                host.inject(Fault::None);
                let next = host.apply(pod(API, manifest(API, "next", ""), 0));
                all(&host, [ended(&next, "done"), in_place(&host, API, &[&manifest(API, "next", "")]), clean(&host)])
            });
        }
    }
}

fn kubelet(t: &mut Table) {
    t.row("the kubelet is stopped and there is no manifest (founding) -> both are placed for it", || {
        let host = Sandbox::new();
        host.kubelet("inactive");
        let (etcd, api) = (manifest("etcd", "new", ""), manifest(API, "new", ""));
        let end = host.apply(both(&etcd, &api));
        let state = host.list("/var/lib/clusterctl/static-pods");
        all(
            &host,
            [
                ended(&end, "done"),
                in_place(&host, "etcd", &[&etcd]),
                in_place(&host, API, &[&api]),
                same(state, vec![], "state"),
                clean(&host),
            ],
        )
    });
    for state in ["inactive", "failed", "activating"] {
        t.row(format!("the kubelet stays {state} and manifests are in place -> they are replaced, and both are kept whole"), || {
            let host = standing(&["etcd", API]);
            host.kubelet(state);
            let end = host.apply(both(&manifest("etcd", "new", ""), &manifest(API, "new", "")));
            let kept = |c: &str| host.read(&format!("/var/lib/clusterctl/static-pods/{c}.old")) == Some(manifest(c, "old", ""));
            all(
                &host,
                [
                    ended(&end, "done"),
                    in_place(&host, API, &[&manifest(API, "new", "")]),
                    same((true, true), (kept("etcd"), kept(API)), "kept"),
                    clean(&host),
                ],
            )
        });
    }
    t.row("manifests that were replaced while the kubelet was stopped do not serve -> the next run puts them back", || {
        let host = standing(&[API]);
        host.kubelet("inactive");
        let bad = manifest(API, "new", "# does not serve\n");
        let first = host.apply(pod(API, bad.clone(), 0));
        host.kubelet("active");
        host.tick();
        let end = host.apply(pod(API, bad, 0));
        all(
            &host,
            [ended(&first, "done"), ended(&end, "is back and serves"), in_place(&host, API, &[&manifest(API, "old", "")]), clean(&host)],
        )
    });
    t.row("the kubelet is stopped, and a bad manifest is corrected by another bad one -> the copy of the good one stays", || {
        let host = standing(&[API]);
        host.kubelet("inactive");
        for tag in ["new", "next"] {
            let end = host.apply(pod(API, manifest(API, tag, "# does not serve\n"), 0));
            all(&host, [ended(&end, "done"), in_place(&host, API, &[&manifest(API, tag, "# does not serve\n")])])?;
        }
        let kept = host.read("/var/lib/clusterctl/static-pods/kube-apiserver.old");
        all(&host, [same(kept, Some(manifest(API, "old", "")), "kept"), clean(&host)])
    });
    t.row("the kubelet is stopped, and the second of two manifests cannot be written -> neither is placed, now or later", || {
        let host = standing(&["etcd", API]);
        host.kubelet("inactive");
        host.inject(Fault::DiskFull("cp", "*manifests/.kube-apiserver.swap"));
        let end = host.apply(both(&manifest("etcd", "new", ""), &manifest(API, "new", "")));
        all(&host, [ended(&end, "cannot be written"), in_place(&host, "etcd", &[&manifest("etcd", "old", "")]), clean(&host)])
    });
    t.row("the kubelet is stopped, and a killed run has left a staged manifest -> it is not placed for the one that is there", || {
        let host = standing(&[API]);
        host.kubelet("inactive");
        host.write("/etc/kubernetes/manifests/.kube-apiserver.swap", "half a manif");
        let end = host.apply(pod(API, manifest(API, "old", ""), 0));
        all(&host, [ended(&end, "done"), in_place(&host, API, &[&manifest(API, "old", "")]), clean(&host)])
    });
    for (fault, wanted) in
        [(Fault::Hangs("ctr", "*images ls*"), "containerd does not answer"), (Fault::CallFails("ctr", "*"), "containerd does not answer")]
    {
        t.row(format!("{fault:?} before a swap -> it ends with that, and nothing is changed"), || {
            let host = standing(&[API]);
            host.inject(fault);
            let end = host.apply(pod(API, manifest(API, "new", ""), 0));
            all(&host, [ended(&end, wanted), in_place(&host, API, &[&manifest(API, "old", "")]), clean(&host)])
        });
    }
    for state in ["activating", "deactivating", "reloading"] {
        t.row(format!("the kubelet is {state} and then active -> the swap is a watched one"), || {
            let host = standing(&[API]);
            host.kubelet(state);
            host.stub("on-sleep", "[ \"$now\" -lt 1000002000 ] || echo active >\"$STUB/units/kubelet\"");
            let end = host.apply(pod(API, manifest(API, "new", "# does not serve\n"), 0));
            all(&host, [ended(&end, "is back and serves"), in_place(&host, API, &[&manifest(API, "old", "")]), clean(&host)])
        });
    }
    t.row("an earlier transaction of an API server and its etcd still runs -> a scheduler's swap leaves it alone", || {
        let host = standing(&[SCHEDULER, API, "etcd"]);
        host.write("/var/lib/clusterctl/static-pods/etcd.new", "its manifest");
        host.stub("units/clusterctl-static-pod-kube-apiserver", "active\n");
        let seen = "/bin/cp \"$ROOT/var/lib/clusterctl/static-pods/etcd.new\" \"$STUB/seen\"; /bin/rm \"$STUB/units/clusterctl-static-pod-kube-apiserver\"";
        host.stub("on-unit", seen);
        let end = host.apply(pod(SCHEDULER, manifest(SCHEDULER, "new", ""), 0));
        all(&host, [ended(&end, "done"), same(host.read("/stub/seen"), Some("its manifest".to_string()), "etcd.new")])
    });
    t.row("another component's manifest that was never placed is stale -> it is removed", || {
        let host = standing(&[API]);
        host.write("/var/lib/clusterctl/static-pods/etcd.new", "half a manif");
        let end = host.apply(pod(API, manifest(API, "new", ""), 0));
        all(&host, [ended(&end, "done"), clean(&host)])
    });
}
