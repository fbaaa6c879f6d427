//! Tests of the scripts that stop and start the components of a control plane for a restore of etcd, and that end the restore: wherever a script is
//! killed, no manifest is lost, and the next run completes the work.

use clusterctl::step::restore::Part;

use super::pods::{all, ended, in_place, manifest, path, process, same, standing};
use super::restore::{KEPT, WITHOUT_COPIES, at, is_at, log_of, mark, restore, with_data};
use super::restore_data::lives;
use super::runs::{Answer, ENDS, anything, killed, under};
use super::sandbox::{End, Fault, Sandbox};
use super::table::Table;

const ASIDE: &str = "/var/lib/clusterctl/restore/manifests";
const API: &str = "kube-apiserver";

pub fn table(t: &mut Table) {
    stopping(t);
    starting(t);
    ending(t);
}

/// A host whose API server and etcd run as static pods.
fn running() -> Sandbox {
    let host = standing(&["etcd", API]);
    with_data(&host);
    mark(&host, "prepared");
    host
}

/// The manifest of the component is whole, either in place or aside.
fn has_manifest(host: &Sandbox, component: &str) -> Answer {
    let wanted = manifest(component, "old", "");
    let places = [path(component), format!("{ASIDE}/{component}.yaml")];
    same(places.iter().any(|p| host.read(p).as_deref() == Some(wanted.as_str())), true, &format!("a whole manifest of {component}"))
}

fn is_stopped(host: &Sandbox) -> Answer {
    same(host.path(&path(API)).exists(), false, "the manifest is in place")?;
    same(host.read(&format!("{ASIDE}/{API}.yaml")), Some(manifest(API, "old", "")), "the manifest aside")?;
    same(process(host, API), None, "its process")?;
    in_place(host, "etcd", &[&manifest("etcd", "old", "")])?;
    is_at(host, "api-stopped")
}

fn stopping(t: &mut Table) {
    let stop = || restore(Part::StopApi);
    t.row("stop: the manifest is aside, and the process has ended", || under(Fault::None, &running(), stop(), "done", is_stopped));
    t.row("stop: the kubelet does not run -> the process is ended all the same", || {
        let host = running();
        host.kubelet("inactive");
        // The stub of the kubelet, which does not run here, would remove the ended process from the folder /proc of the sandbox. So the script does
        // not see the end of the process.
        let end = host.apply(stop());
        let ends = matches!(end, End::Refused(_)) && !lives(&host, API);
        all(&host, [same(ends, true, "the process is ended"), has_manifest(&host, API)])
    });
    t.row("stop: a process of a tenant with the same name lives on", || {
        let host = running();
        host.write("/proc/99/comm", "kube-apiserver\n");
        host.write("/proc/99/stat", "99 (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0\n");
        host.write("/proc/99/cgroup", "0::/kubepods/burstable/pod1234-5678/c0ffee\n");
        let end = host.apply(stop());
        all(&host, [ended(&end, "done"), is_stopped(&host)])
    });
    t.row("stop: a process does not end -> it fails and names it", || {
        let host = running();
        host.stub("deaf", "");
        host.program("/stub/tools/kill", "#!/bin/sh\n");
        host.kubelet("inactive");
        host.write("/proc/98/comm", "kube-apiserver\n");
        let own = host.read("/stub/pods/kube-apiserver/process").unwrap_or_default();
        let uid = own.split_whitespace().nth(1).unwrap_or_default().to_string();
        host.write("/proc/98/cgroup", &format!("12:pids:/kubepods/burstable/pod{uid}/c0ffee\n"));
        host.write("/proc/98/stat", "98 (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0\n");
        under(Fault::None, &host, stop(), "these still run", |host| has_manifest(host, API))
    });
    t.row("stop: the manifest cannot be copied -> it stays", || {
        under(Fault::DiskFull("cp", "*manifests/.kube-apiserver.new"), &running(), stop(), "", |host| {
            in_place(host, API, &[&manifest(API, "old", "")])
        })
    });
    t.row("stop: a replacement of a static pod is under way and does not end -> nothing is changed", || {
        let host = running();
        host.stub("units/clusterctl-static-pod-kube-apiserver", "active\n");
        host.inject(Fault::None);
        let end = host.apply_alone(stop());
        all(&host, [ended(&end, "still under way"), in_place(&host, API, &[&manifest(API, "old", "")])])
    });
    t.row("stop: etcd is a service -> it is stopped, and does not start at a boot", || {
        let host = at("prepared");
        let end = host.apply(restore(Part::StopEtcd { service: true }));
        let log = host.log();
        let called = |words: &str| log.contains(words);
        all(
            &host,
            [
                ended(&end, "done"),
                same((called("disable -q etcd"), called("stop etcd")), (true, true), "the calls"),
                is_at(&host, "etcd-stopped"),
            ],
        )
    });
    for (how, fault) in ENDS {
        t.sweep(format!("stop: {how} an effect -> a whole manifest exists, and the next run ends it"), 1, |n| {
            let host = running();
            host.inject(fault(n));
            host.apply(stop());
            host.was_killed().then(|| {
                has_manifest(&host, API)?;
                has_manifest(&host, "etcd")?;
                if matches!(fault(n), Fault::PowerCutAt(_)) {
                    host.boot()
                } else {
                    host.inject(Fault::None)
                }
                under(Fault::None, &host, stop(), "done", is_stopped)
            })
        });
    }
}

fn starting(t: &mut Table) {
    let start = || restore(Part::StartApi { address: [127, 0, 0, 1].into() });
    let stopped = || {
        let host = running();
        host.apply(restore(Part::StopApi));
        mark(&host, "etcd-serves");
        host
    };
    let is_started = |host: &Sandbox| {
        in_place(host, API, &[&manifest(API, "old", "")])?;
        same(host.list(ASIDE), Vec::<String>::new(), "what is aside")?;
        same(process(host, API).is_some(), true, "its process runs")?;
        is_at(host, "api-started")
    };
    t.row("start: the manifest is back, and the API server is ready", || under(Fault::None, &stopped(), start(), "done", is_started));
    t.row("start: the API server does not become ready -> it fails and says so", || {
        let host = stopped();
        host.stub("serves-kube-apiserver", "500\n");
        under(Fault::None, &host, start(), "kube-apiserver does not serve at", |host| has_manifest(host, API))
    });
    t.row("start: the manifest cannot be written -> it fails, and the copy aside stays", || {
        under(Fault::DiskFull("cp", "*/.kube-apiserver.swap"), &stopped(), start(), "cannot be written", |host| has_manifest(host, API))
    });
    t.row("start: the kubelet does not run -> it is started", || {
        let host = stopped();
        host.kubelet("inactive");
        host.stub("on-restart", "echo active >\"$STUB/units/kubelet\"\n");
        under(Fault::None, &host, start(), "done", is_started)
    });
    t.row("start: etcd is a service -> it is enabled and started, and not waited for", || {
        let host = at("exchanged");
        let end = host.apply(restore(Part::StartEtcd { service: true }));
        let log = host.log();
        let called = (log.contains("enable -q etcd"), log.contains("start --no-block etcd"));
        all(&host, [ended(&end, "done"), same(called, (true, true), "the calls"), is_at(&host, "etcd-started")])
    });
    for (how, fault) in ENDS {
        t.sweep(format!("start: {how} an effect -> a whole manifest exists, and the next run ends it"), 1, |n| {
            let host = stopped();
            host.inject(fault(n));
            host.apply(start());
            host.was_killed().then(|| {
                has_manifest(&host, API)?;
                if matches!(fault(n), Fault::PowerCutAt(_)) {
                    host.boot()
                } else {
                    host.inject(Fault::None)
                }
                under(Fault::None, &host, start(), "done", is_started)
            })
        });
    }
}

fn ending(t: &mut Table) {
    t.row("await: the member is healthy -> done", || {
        let host = running();
        mark(&host, "etcd-started");
        under(Fault::None, &host, restore(Part::AwaitEtcd { service: false }), "done", |host| is_at(host, "etcd-serves"))
    });
    t.row("await: the member has no quorum -> it fails with etcd's words", || {
        let host = at("etcd-started");
        host.stub("etcdctl.script", "echo 'context deadline exceeded' >&2; exit 1\n");
        under(Fault::None, &host, restore(Part::AwaitEtcd { service: false }), "context deadline exceeded", |host| {
            is_at(host, "etcd-started")
        })
    });
    let done = || {
        let host = at("api-started");
        host.write("/var/lib/clusterctl/restore/db", "a snapshot");
        host.write("/var/lib/clusterctl/restore/db.0123.part", "a");
        host.write(&format!("{KEPT}/wal/0"), "kept\n");
        std::fs::create_dir_all(host.path(ASIDE)).expect("a folder can be made");
        host
    };
    let is_done = |host: &Sandbox| {
        same(host.list("/var/lib/clusterctl/restore"), vec!["mark".into()], "what is left")?;
        same(log_of(host, KEPT), Some("kept\n".into()), "the previous data")?;
        is_at(host, "finished")
    };
    t.row("finish: only the mark and the previous data are left", || under(Fault::None, &done(), restore(Part::Finish), "done", is_done));
    for (how, fault) in WITHOUT_COPIES {
        t.sweep(format!("finish: {how} an effect -> the next run ends it"), 1, |n| {
            killed(fault(n), &done(), restore(Part::Finish), anything, is_done)
        });
    }
    let kubelet = || restore(Part::Kubelet { node: "m1".into(), server: "https://10.0.0.1:6443".into(), ready: false });
    let node = || {
        let host = at("finished");
        host.write("/var/lib/kubelet/pki/kubelet-client-current.pem", "pem");
        host.stub("curl.script", "echo '{\"kind\":\"Node\"}'; exit 0\n");
        host
    };
    t.row("kubelet: it is restarted, and its node is back", || {
        let host = node();
        under(Fault::None, &host, kubelet(), "done", |host| {
            same(host.log().contains("systemctl restart kubelet"), true, "it is restarted")?;
            is_at(host, "kubelet")
        })
    });
    t.row("kubelet: the node does not come back -> it fails and says why", || {
        let host = node();
        host.stub("curl.script", "echo 'connection refused' >&2; exit 7\n");
        under(Fault::None, &host, kubelet(), "node m1 is not registered", |host| is_at(host, "finished"))
    });
    t.row("kubelet: it does not restart -> it fails", || {
        under(Fault::CallFails("systemctl", "restart*"), &node(), kubelet(), "it fails", |host| is_at(host, "finished"))
    });
}
