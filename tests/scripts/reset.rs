//! Tests of `clean.sh` while other runs and other programs are at work: it changes nothing once another run has taken the host's lock, ends within its
//! limit, deletes no data that a process still uses, and leaves no route and no rule of clusterctl behind.

use super::pods::{all, ended, same};
use super::removal::{DATA, clean, container_runs, keeps_its_data, node};
use super::sandbox::{End, Fault, Sandbox};
use super::table::Table;

/// Shell text that makes another run the holder of the host's lock.
const LOST: &str = "echo 'run2 other' >\"$ROOT/var/lib/clusterctl/lock\"";

/// The process of etcd in a pod, in the cgroup that the kubelet makes with each of its two drivers.
const CGROUPS: [&str; 3] = [
    "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0123456789abcdef0123456789abcdef.slice/crio-beef.scope\n",
    "12:pids:/kubepods/burstable/pod5b3e1f0a-7a0c-4f3e-9d57-0a1b2c3d4e5f/beef\n1:name=systemd:/\n",
    "0::/site.slice/pod5b3e1f0a_7a0c_4f3e_9d57_0a1b2c3d4e5f.slice/docker-beef.scope\n",
];

/// The host of [`node`], on which containerd lists a container that never goes.
fn with_container() -> Sandbox {
    let host = node();
    host.stub("ctr.script", "case \"$*\" in *' ls -q') echo abc ;; esac\n");
    host
}

/// Adds a process to the host, in this cgroup, with this file open.
fn runs(host: &Sandbox, name: &str, cgroup: &str, open: Option<&str>) {
    host.write("/proc/88/comm", &format!("{name}\n"));
    host.write("/proc/88/cgroup", cgroup);
    if let Some(file) = open {
        host.link_at("/proc/88/fd/7", host.path(file));
    }
}

/// Checks that the run that lost its lock deleted no data, and that the log has none of these words.
fn fenced(host: &Sandbox, end: &End, not_done: &[&str]) -> Result<(), String> {
    let log = host.log();
    let done: Vec<_> = not_done.iter().filter(|w| log.contains(**w)).collect();
    all(host, [ended(end, "fenced"), same(host.path(DATA).exists(), true, "the data is there"), same(done, vec![], "done")])
}

pub fn table(t: &mut Table) {
    for (call, not_done) in [
        ("*'tasks kill'*", ["tasks delete", "containers delete", "images rm"]),
        ("*'tasks delete'*", ["containers delete", "umount", "images rm"]),
        ("*'containers ls'*", ["tasks kill", "umount", "images rm"]),
    ] {
        t.row(format!("another run takes the lock at the call {call} of ctr -> nothing more is ended, and nothing is deleted"), || {
            let host = with_container();
            host.stub(
                "ctr.script",
                &format!("case \"$*\" in {call}) {LOST} ;; esac\n{}", host.read("/stub/ctr.script").unwrap_or_default()),
            );
            let end = host.apply(clean());
            fenced(&host, &end, &not_done)
        });
    }
    t.row("another run takes the lock while the images are listed -> no image is removed", || {
        let host = node();
        host.stub("ctr.script", &format!("case \"$*\" in *'images ls'*) echo site/etcd:1; {LOST} ;; esac\n"));
        let end = host.apply(clusterctl::step::Clean { images: true, ..clean() });
        fenced(&host, &end, &["images rm"])
    });
    t.row("another run takes the lock while a container is waited for -> nothing is deleted", || {
        let host = node();
        container_runs(&host, "k8s.io");
        host.stub("on-sleep", &format!("{LOST}; /bin/rm -r \"$ROOT/proc/77\""));
        let end = host.apply(clean());
        fenced(&host, &end, &["umount", "link delete"])
    });
    t.row("another run takes the lock while the network links are deleted -> no data is deleted", || {
        let host = node();
        host.stub(
            "ip.script",
            &format!("case \"$*\" in *'route show'*) {LOST} ;; *'link delete'*) /bin/rm -r \"$ROOT/sys/class/net/$3\" ;; esac\n"),
        );
        let end = host.apply(clean());
        fenced(&host, &end, &[])
    });
    t.row("containers cannot be ended because containerd hangs -> the step ends within its limit, and nothing is deleted", || {
        let host = with_container();
        host.inject(Fault::Hangs("ctr", "*tasks kill*"));
        let end = host.apply(clean());
        let seconds = host.read("/stub/clock").and_then(|c| c.trim().parse::<u64>().ok()).unwrap_or_default() / 1000 - 1_000_000;
        all(
            &host,
            [
                ended(&end, "was removed within 220 s"),
                same(host.path(DATA).exists(), true, "the data is there"),
                same(seconds < 300, true, &format!("{seconds} s")),
            ],
        )
    });
    in_use(t);
    network(t);
}

fn in_use(t: &mut Table) {
    for cgroup in CGROUPS {
        t.row(
            format!("a process runs in a pod that no containerd knows ({}) -> no data is deleted, and it is named", cgroup.trim()),
            || {
                let host = node();
                runs(&host, "etcd", cgroup, None);
                keeps_its_data(&host, "process 88 (etcd) runs in a pod")
            },
        );
    }
    t.row("a process has a file of etcd open -> no data is deleted, and both are named", || {
        let host = node();
        runs(&host, "etcd", "0::/system.slice/cron.service\n", Some(DATA));
        keeps_its_data(&host, &format!("process 88 (etcd) has {} open", host.at(DATA)))
    });
    t.row("a process of a pod ends a moment later -> it is waited for, and the data is deleted", || {
        let host = node();
        runs(&host, "etcd", CGROUPS[0], Some(DATA));
        host.stub("on-sleep", "/bin/rm -rf \"$ROOT/proc/88\"");
        let end = host.apply(clean());
        all(&host, [ended(&end, "done"), same(host.path(DATA).exists(), false, "the data is there")])
    });
    for (what, cgroup, open) in [
        ("reads the logs of pods", "0::/system.slice/fluent-bit.service\n", Some("/var/log/pods/kube-system_etcd-m1_uid/etcd/0.log")),
        (
            "is in a container of podman's pod",
            "0::/machine.slice/machine-libpod_pod_0123456789abcdef0123456789abcdef.slice/libpod-beef.scope\n",
            None,
        ),
        ("has a file of its own open", "0::/user.slice\n", Some("/etc/passwd")),
    ] {
        t.row(format!("a process that is not of Kubernetes {what} -> it is none of ours, and the data is deleted"), || {
            let host = node();
            runs(&host, "other", cgroup, open);
            let end = host.apply(clean());
            all(&host, [ended(&end, "done"), same(host.path(DATA).exists(), false, "the data is there")])
        });
    }
}

fn network(t: &mut Table) {
    // `ip route del` refuses the words that `ip route show` prints of a route whose link is down.
    let kernel = "f=$STUB/routes$1\ncase \"$2 $3\" in 'route show') case $4 in proto) /bin/cat \"$f\" 2>/dev/null ;; *) grep \"^$4 \" \"$f\" ;; esac ;;\n\
                  'route del') [ \"$5 $6\" = 'proto 86' ] && [ $# = 6 ] && [ ! -e \"$STUB/refuses\" ] || exit 2; sed -i \"s,^$4 .*,,; /^$/d\" \"$f\" ;; esac\n\
                  case \"$1 $2\" in 'link delete') /bin/rm -r \"$ROOT/sys/class/net/$3\" ;; esac\n";
    let routes = || {
        let host = node();
        host.stub("routes-4", "10.244.1.0/24 via 10.0.0.2 dev eth0 dead linkdown\n10.244.2.0/24 via 10.0.0.3 dev eth1\n");
        host.stub("routes-6", "fd00:1::/64 via fd00::2 dev eth0 metric 1024 pref medium\n");
        host.stub("ip.script", kernel);
        host
    };
    t.row("routes of both families, one over a link that is down -> all of them are deleted", || {
        let host = routes();
        let end = host.apply(clean());
        let left = ["/stub/routes-4", "/stub/routes-6"].map(|f| host.read(f).unwrap_or_default());
        all(&host, [ended(&end, "done"), same(left.concat(), String::new(), "routes")])
    });
    t.row("a route cannot be deleted -> the step fails and names it", || {
        let host = routes();
        host.stub("refuses", "");
        let end = host.apply(clean());
        all(&host, [ended(&end, "the route to 10.244.1.0/24"), same(host.path(DATA).exists(), true, "the data is there")])
    });
    t.row("rules that let the packets of pods through -> they are deleted, and those of others stay", || {
        let host = node();
        let ours = "FORWARD -s 10.244.0.0/16 -m comment --comment clusterctl -j ACCEPT";
        host.stub("iptables-save.script", &format!("cat <<'E'\n*filter\n:FORWARD DROP [0:0]\n-A {ours}\n-A FORWARD -s 10.244.0.0/16 -j ACCEPT\n-A FORWARD -m comment --comment \"not of clusterctl\" -j DROP\nCOMMIT\nE\n"));
        host.stub("iptables-restore.script", "/bin/cat >\"$STUB/restored\"\n");
        let end = host.apply(clean());
        let restored = host.read("/stub/restored").unwrap_or_default();
        all(&host, [ended(&end, "done"), same(restored, format!("*filter\n-D {ours}\nCOMMIT\n"), "deleted")])
    });
    t.row("the script on the host marks the rules that let the packets of pods through", || {
        let script = include_str!("../../templates/cni/clusterctl-routes.sh");
        let accepts: Vec<_> = script.lines().filter(|l| l.contains("-j ACCEPT")).collect();
        same(accepts.len() == 2 && accepts.iter().all(|l| l.contains("--comment clusterctl -j ACCEPT")), true, &accepts.join("\n"))
    });
}
