//! Tests of `quorum.sh`, the guard that every script runs directly before it stops this host's etcd member: the guard opens if the other members have
//! the quorum without this one, or if this one does not run. While the guard is closed, the script changes nothing.

use std::time::Duration;

use clusterctl::step::command::{Place, When};
use clusterctl::step::{Command, Reboot, Step, Unit, wait};

use super::pods::{all, both, clean, ended, in_place, manifest, pod, same, standing};
use super::sandbox::{Fault, Sandbox};
use super::table::Table;

const OTHERS: &str = r#"  *"https://10.0.0.2:2379,https://10.0.0.3:2379"*) printf '[{"endpoint":"https://10.0.0.2:2379","health":%s},{"endpoint":"https://10.0.0.3:2379","health":%s}]' "$second" "$third" ;;"#;

/// A host whose etcd member is one of three. `second` and `third` state whether the other two members are healthy.
fn three(second: bool, third: bool) -> Sandbox {
    let host = standing(&["etcd", "kube-apiserver"]);
    let member = |n: u8| format!("{n}, started, m{n}, https://10.0.0.{n}:2380, https://10.0.0.{n}:2379, false\n");
    host.stub("etcdctl.member-list", &(1..=3).map(member).collect::<String>());
    let only_each =
        format!("second={second} third={third}\ncase \"$*\" in\n{OTHERS}\nesac\ncase \"$*\" in *'endpoint health'*) exit 0 ;; esac\n");
    host.stub("etcdctl.script", &only_each);
    host
}

/// The host of [`three`], on which the kubelet does not run the etcd member.
fn no_static_pod(second: bool, third: bool) -> Sandbox {
    let host = three(second, third);
    host.remove("/etc/kubernetes/manifests/etcd.yaml");
    host.tick();
    host
}

fn check(host: &Sandbox, wanted: &str) -> Result<(), String> {
    let end = host.apply(wait::Quorum);
    all(host, [ended(&end, wanted)])
}

pub fn table(t: &mut Table) {
    for (second, third, wanted) in
        [(true, true, "done"), (true, false, "1 would be left healthy"), (false, false, "0 would be left healthy")]
    {
        t.row(format!("three members, the others healthy: {second} and {third} -> {wanted}"), || check(&three(second, third), wanted));
    }
    t.row("the leader died a moment ago and reads fail -> the guard stays closed", || {
        let host = three(true, false);
        host.stub("etcdctl.script", "case \"$*\" in *'endpoint status'*) ;; *) echo 'context deadline exceeded' >&2; exit 1 ;; esac\n");
        check(&host, "cannot be read")
    });
    t.row("the leader died a moment ago and a new one is elected -> the guard opens then", || {
        let host = three(true, true);
        let script = host.read("/stub/etcdctl.script").unwrap_or_default();
        host.stub("etcdctl.healthy", &script);
        host.stub("etcdctl.script", "case \"$*\" in *'endpoint status'*) ;; *) exit 1 ;; esac\n");
        host.stub("on-sleep", "[ \"$now\" -lt 1000020000 ] || /bin/cp \"$STUB/etcdctl.healthy\" \"$STUB/etcdctl.script\"");
        check(&host, "done")
    });
    for (what, file) in [("status", "etcdctl.endpoint-status"), ("member list", "etcdctl.member-list")] {
        t.row(format!("the own member runs and its {what} is empty -> the guard stays closed, and says so"), || {
            let host = three(true, true);
            host.stub(file, "");
            check(&host, if what == "status" { "does not answer" } else { "cannot be read" })
        });
    }
    t.row("etcdctl warns on standard error -> nothing of that is parsed", || {
        let host = three(true, true);
        let warning = "9, started, warning, https://10.0.0.9:2380, https://10.0.0.9:2379, false";
        host.stub("etcdctl.script", &format!("echo '{warning}' >&2\n{}", host.read("/stub/etcdctl.script").unwrap_or_default()));
        check(&host, "done")?;
        if host.log().contains("ETCDCTL_API") { Err("ETCDCTL_API is set".into()) } else { Ok(()) }
    });
    t.row("the own member does not run -> there is nothing to lose", || check(&no_static_pod(false, false), "done"));
    absence(t);
    t.row("the kubelet is stopped, and the others cannot do without this host's member -> no manifest is replaced", || {
        let host = three(true, false);
        host.kubelet("inactive");
        let end = host.apply(both(&manifest("etcd", "new", ""), &manifest("kube-apiserver", "new", "")));
        let old = ["etcd", "kube-apiserver"].map(|c| in_place(&host, c, &[&manifest(c, "old", "")]));
        all(&host, [ended(&end, "1 would be left healthy"), clean(&host)])?;
        all(&host, old)
    });
    t.row("the kubelet is stopped, and the lock is lost while the quorum is waited for -> no manifest is replaced", || {
        let host = three(true, true);
        host.kubelet("inactive");
        host.stub("etcdctl.lost", &host.read("/stub/etcdctl.script").unwrap_or_default());
        host.stub("etcdctl.script", "echo 'run2 other' >\"$ROOT/var/lib/clusterctl/lock\"; . \"$STUB/etcdctl.lost\"\n");
        let end = host.apply(pod("etcd", manifest("etcd", "new", ""), 0));
        all(&host, [ended(&end, "fenced"), in_place(&host, "etcd", &[&manifest("etcd", "old", "")])])
    });
    type Change = fn(&Sandbox);
    let services: [(&str, Change); 2] = [
        ("the own member is a service that runs", |h| h.stub("units/etcd.MainPID", "77\n")),
        ("systemd does not say whether the own member runs", |h| h.inject(Fault::CallFails("systemctl", "*"))),
    ];
    for (what, change) in services {
        t.row(format!("{what}, and the others are not enough -> the guard stays closed"), || {
            let host = no_static_pod(true, false);
            change(&host);
            check(&host, "1 would be left healthy")
        });
    }
    for (what, others, gone, wanted) in [
        ("the host is still coming in -> nobody counts on its member", false, "/var/lib/clusterctl/established", "done"),
        ("the own member runs and etcdctl is missing -> the guard stays closed", true, "/usr/local/bin/etcdctl", "cannot be asked"),
        (
            "the client certificate is lost -> the members are asked with another one",
            true,
            "/etc/kubernetes/pki/etcd/healthcheck-client.key",
            "done",
        ),
        ("every client certificate is lost -> the guard stays closed", true, "/etc/kubernetes/pki/etcd", "cannot be asked"),
    ] {
        t.row(what, || {
            let host = three(others, others);
            host.remove(gone);
            check(&host, wanted)
        });
    }
    t.row("the own member hangs -> the guard stays closed, and says so", || {
        let host = three(true, true);
        host.inject(Fault::Hangs("etcdctl", "*"));
        check(&host, "runs and does not answer")
    });
    t.row("a single member -> the guard opens", || {
        let host = three(true, true);
        host.stub("etcdctl.member-list", "1, started, m1, https://10.0.0.1:2380, https://10.0.0.1:2379, false\n");
        check(&host, "done")
    });
    for (what, step) in acts() {
        t.row(format!("{what}: the others cannot do without this host's member -> it stays, and nothing was done"), || {
            let host = three(true, false);
            let end = host.apply(step.clone());
            let done =
                host.log().lines().any(|l| l.contains("systemctl re") || l.contains("move-leader")) || host.path("/etc/touched").exists();
            all(
                &host,
                [
                    ended(&end, "1 would be left healthy"),
                    in_place(&host, "etcd", &[&manifest("etcd", "old", "")]),
                    in_place(&host, "kube-apiserver", &[&manifest("kube-apiserver", "old", "")]),
                    same(done, false, "something was done"),
                ],
            )
        });
        t.row(format!("{what}: another run takes the lock while the quorum is waited for -> nothing was done"), || {
            let host = three(true, false);
            host.stub("on-sleep", "echo 'run2 other' >\"$ROOT/var/lib/clusterctl/lock\"; echo 'second=true third=true' | /bin/cat - \"$STUB/each\" >\"$STUB/etcdctl.script\"");
            host.stub("each", host.read("/stub/etcdctl.script").unwrap_or_default().split_once('\n').map_or("", |(_, rest)| rest));
            let end = host.apply(step.clone());
            let done = host.log().lines().any(|l| l.contains("systemctl re") || l.contains("move-leader")) || host.path("/etc/touched").exists();
            all(&host, [same(matches!(end, super::sandbox::End::Done), false, "it is done"), same(done, false, "something was done")])
        });
    }
}

/// Adds rows for looks at the own member that see nothing although it runs, or that fail: its absence is not proven, so the members are asked.
fn absence(t: &mut Table) {
    type Change = fn(&Sandbox);
    let runs: [(&str, Change); 2] = [
        ("the log folders of all pods are gone", |h| h.remove("/var/log/pods")),
        ("the logs of pods are in another folder", |h| {
            let _ = std::fs::rename(h.path("/var/log/pods"), h.path("/var/log/elsewhere"));
        }),
    ];
    for (what, change) in runs {
        t.row(format!("{what}, and the own member runs -> the guard stays closed"), || {
            let host = three(true, false);
            change(&host);
            check(&host, "1 would be left healthy")
        });
    }
    let unknown: [(&str, Change); 3] = [
        ("something listens on the port of etcd", |h| h.stub("ss.script", "echo 'LISTEN 0 4096 127.0.0.1:2379 0.0.0.0:*'\n")),
        ("it cannot be seen who listens", |h| h.inject(Fault::CallFails("ss", "*"))),
        ("it cannot be seen which processes run", |h| h.program("/stub/tools/pgrep", "#!/bin/sh\nexit 3\n")),
    ];
    for (what, change) in unknown {
        t.row(format!("no process of the own member is found, and {what} -> the guard stays closed"), || {
            let host = no_static_pod(true, false);
            change(&host);
            check(&host, "1 would be left healthy")
        });
    }
    t.row("an etcd of another pod or of no pod runs, and the own member does not -> there is nothing to lose", || {
        let host = no_static_pod(false, false);
        host.write("/proc/88/comm", "etcd\n");
        host.write("/proc/88/stat", "88 (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 7 0 0\n");
        for cgroup in [
            "kubepods.slice/kubepods-pod5b3e1f0a_7a0c_4f3e_9d57_0a1b2c3d4e5f.slice/cri-containerd-beef.scope",
            "system.slice/docker-0123456789abcdef.scope",
        ] {
            host.write("/proc/88/cgroup", &format!("0::/{cgroup}\n"));
            check(&host, "done")?;
        }
        Ok(())
    });
}

/// The steps that stop this host's etcd member, or may stop it.
fn acts() -> [(&'static str, Step); 5] {
    let touches = Command {
        label: String::new(),
        argv: ["/bin/sh", "-c", "touch \"$ROOT/etc/touched\""].map(String::from).into(),
        timeout: Duration::from_secs(90),
        place: Place::Host,
        when: When::Always,
    };
    [
        ("a swap of etcd", pod("etcd", manifest("etcd", "new", ""), 0).into()),
        ("a swap of etcd with its API server", both(&manifest("etcd", "new", ""), &manifest("kube-apiserver", "new", "")).into()),
        ("a restart of etcd's service", Unit::new("etcd", "digest".into()).into()),
        ("a reboot", Reboot { timeout: Duration::from_secs(5) }.into()),
        ("a command of the operator's", touches.into()),
    ]
}
