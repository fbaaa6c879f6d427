//! Tests of `packages.sh`, `member.sh`, `wait_rollout.sh` and `snapshot.sh` with tools that fail, hang, or print more than they should.

use clusterctl::facts::ObjectRef;
use clusterctl::host::Cmd;
use clusterctl::script;
use clusterctl::step::{Member, MemberState, Package, wait};

use super::sandbox::{End, Fault, RUN, Sandbox};
use super::table::Table;

fn package(host: &Sandbox) -> End {
    host.apply(Package { names: vec!["containerd".into()] })
}

/// A host with etcdctl for a cluster of three etcd members, of which `m3` is to be removed. `health` states whether the other two are healthy.
fn three(health: [bool; 2]) -> Sandbox {
    let host = Sandbox::new();
    let member = |n: u8| format!("{n}, started, m{n}, https://10.0.0.{n}:2380, https://10.0.0.{n}:2379, false\n");
    host.stub("etcdctl.member-list", &(1..=3).map(member).collect::<String>());
    host.stub(
        "etcdctl.endpoint-health",
        &format!(r#"[{{"endpoint":"a","health":{}}},{{"endpoint":"b","health":{}}}]"#, health[0], health[1]),
    );
    // etcdctl may print a warning on standard error at any time. This one has the form of a line of the member list, so a script that parsed standard
    // error would use the address 10.0.0.9.
    let warning = "echo '9, started, m3, https://10.0.0.3:2380, https://10.0.0.9:2379, false' >&2\n";
    let removed = "case \"$*\" in *'member remove 3'*) grep -v '^3' \"$STUB/etcdctl.member-list\" >\"$STUB/l\"; /bin/mv \"$STUB/l\" \"$STUB/etcdctl.member-list\" ;; esac\n";
    host.stub("etcdctl.script", &format!("{warning}{removed}"));
    host
}

fn member(want: MemberState) -> Member {
    let through = vec!["https://10.0.0.1:2379".into(), "https://10.0.0.2:2379".into()];
    Member { name: "m3".into(), peer_url: "https://10.0.0.3:2380".into(), through, want }
}

fn told(host: &Sandbox, is: bool, end: &End) -> Result<(), String> {
    if is { Ok(()) } else { Err(format!("{end:?}\n{}", host.log())) }
}

/// A host on which another program holds the frontend lock of dpkg.
fn at_work() -> Sandbox {
    use std::os::unix::fs::MetadataExt;
    let host = Sandbox::new();
    host.write("/var/lib/dpkg/lock-frontend", "");
    let inode = std::fs::metadata(host.path("/var/lib/dpkg/lock-frontend")).map(|m| m.ino()).unwrap_or_default();
    host.write("/proc/locks", &format!("1: FLOCK  ADVISORY  WRITE 12 08:01:7 0 EOF\n2: POSIX  ADVISORY  WRITE 900 08:01:{inode} 0 EOF\n"));
    host.write("/proc/900/comm", "unattended-upgr\n");
    host
}

/// How many seconds have passed on the clock of the host.
fn seconds(host: &Sandbox) -> u64 {
    host.read("/stub/clock").and_then(|c| c.trim().parse::<u64>().ok()).unwrap_or_default() / 1000 - 1_000_000
}

pub fn table(t: &mut Table) {
    t.row("packages: an installation that would remove docker-ce -> nothing is installed, and the packages are named", || {
        let host = Sandbox::new();
        host.stub(
            "apt-get.script",
            "case \"$*\" in *' -s '*) echo 'Remv docker-ce [5:24]'; echo 'Remv containerd.io [1.6]'; echo 'Inst containerd' ;; esac\n",
        );
        let end = package(&host);
        let installed = host.log().lines().any(|l| l.contains(" install ") && !l.contains(" -s "));
        told(&host, end.said().contains("docker-ce containerd.io") && !installed, &end)
    });
    t.row("packages: an installation that removes nothing -> it is carried out, and told not to remove anything", || {
        let host = Sandbox::new();
        host.stub("apt-get.script", "case \"$*\" in *' -s '*) echo 'Inst containerd' ;; esac\n");
        let end = package(&host);
        told(&host, end == End::Done && host.log().contains("install -y --no-install-recommends --no-remove containerd"), &end)
    });
    t.row("packages: dpkg was interrupted -> it is configured first", || {
        let host = Sandbox::new();
        host.write("/var/lib/dpkg/updates/0001", "");
        let end = package(&host);
        told(&host, end == End::Done && host.log().contains("dpkg --force-confold --configure -a"), &end)
    });
    for message in [
        "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 900 (apt-get)",
        "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?",
        "dpkg: error: dpkg frontend lock was locked by another process with pid 900",
    ] {
        t.row(format!("packages: apt-get says {message:?} at first -> it is tried again, and the packages are installed"), || {
            let host = Sandbox::new();
            host.stub(
                "apt-get.script",
                &format!("n=0; read -r n 2>/dev/null <\"$STUB/n\"; echo $((n + 1)) >\"$STUB/n\"; [ $n -gt 5 ] || {{ echo '{message}'; exit 100; }}\n"),
            );
            let end = package(&host);
            told(&host, end == End::Done && host.log().contains("--no-remove containerd"), &end)
        });
        t.row(format!("packages: apt-get says {message:?} again and again -> the step ends with that within its limit"), || {
            let host = Sandbox::new();
            host.stub("apt-get.script", &format!("echo '{message}'; exit 100\n"));
            let end = package(&host);
            told(&host, end.said().contains(message) && seconds(&host) < 600, &end)
        });
    }
    t.row("packages: unattended-upgrades is at work -> dpkg is asked for what is unconfigured only after its end", || {
        let host = at_work();
        host.stub("on-sleep", "[ \"$now\" -lt 1000060000 ] || : >\"$ROOT/proc/locks\"");
        host.stub("dpkg.script", "[ ! -s \"$ROOT/proc/locks\" ] || : >\"$STUB/asked\"\n");
        let end = package(&host);
        told(&host, end == End::Done && !host.path("/stub/asked").exists() && host.log().contains("dpkg --audit"), &end)
    });
    t.row("packages: another program does not end with the packages -> nothing is installed, and it is named", || {
        let host = at_work();
        let end = package(&host);
        let is = end.said().contains("process 900 (unattended-upgr)") && end.said().contains("nothing was installed");
        told(&host, is && !host.log().contains("apt-get") && seconds(&host) < 600, &end)
    });
    t.row("packages: the lock is lost while another program is waited for -> nothing is installed", || {
        let host = at_work();
        host.stub("on-sleep", "echo 'run2 other' >\"$ROOT/var/lib/clusterctl/lock\"; : >\"$ROOT/proc/locks\"");
        let end = package(&host);
        told(&host, matches!(end, End::Fenced(_)) && !host.log().contains("apt-get"), &end)
    });
    t.row("member: another run takes the lock while the others are asked for their health -> it is not removed", || {
        let host = three([true, true]);
        host.stub("etcdctl.script", "case \"$*\" in *'endpoint health'*) echo 'run2 other' >\"$ROOT/var/lib/clusterctl/lock\" ;; esac\n");
        let end = host.apply(member(MemberState::Gone));
        told(&host, matches!(end, End::Fenced(_)) && !host.log().contains("member remove"), &end)
    });
    t.row("member: etcdctl warns on standard error -> the member is removed", || {
        let host = three([true, true]);
        let end = host.apply(member(MemberState::Gone));
        told(&host, end == End::Done && host.log().contains("member remove 3") && !host.log().contains("10.0.0.9"), &end)
    });
    t.row("member: one of the two others is not healthy -> it is not removed", || {
        let host = three([true, false]);
        let end = host.apply(member(MemberState::Gone));
        told(&host, end.said().contains("2 must be healthy (quorum), and 1 are") && !host.log().contains("member remove"), &end)
    });
    t.row("member: the lock is lost while etcd refuses the change -> it is not asked again", || {
        let host = three([true, true]);
        let refuses = "case \"$*\" in *'member remove'*) echo 'etcdserver: unhealthy cluster' >&2; exit 1 ;; esac\n";
        host.stub("etcdctl.script", refuses);
        host.stub("on-sleep", "echo 'run2 other' >\"$ROOT/var/lib/clusterctl/lock\"");
        let end = host.apply(member(MemberState::Gone));
        told(&host, matches!(end, End::Fenced(_)) && host.log().matches("member remove").count() == 1, &end)
    });
    t.row("member: etcdctl hangs -> the step ends with that", || {
        let host = three([true, true]);
        host.stub("pace", "30000\n");
        host.inject(Fault::Hangs("etcdctl", "*"));
        let end = host.apply(member(MemberState::Gone));
        told(&host, end.said().contains("remove did not succeed within") && end.said().contains("etcdctl: no answer within 5 s"), &end)
    });
    for (health, wanted) in [([true, true], true), ([false, true], false)] {
        t.row(format!("member: asked whether it can leave while the others are {health:?} -> {wanted}, and nothing is changed"), || {
            let host = three(health);
            let end = host.apply(member(MemberState::Dispensable));
            told(&host, (end == End::Done) == wanted && !host.log().contains("member remove"), &end)
        });
    }
    t.row("rollout: it stands still -> the script ends by itself, with the reason and the state of the pods", || {
        let host = Sandbox::new();
        host.stub("kubectl.script", "case \"$*\" in *'rollout status'*) exit 1 ;; *'get pods'*) echo 'coredns-1 on m1: Pending no image' ;; *matchLabels*) echo '{\"k8s-app\":\"kube-dns\"}' ;; *observedGeneration*) echo '1 0 0' ;; esac\n");
        let object = ObjectRef { group: "apps".into(), kind: "Deployment".into(), namespace: "kube-system".into(), name: "coredns".into() };
        let end = host.apply(wait::Rollout { address: [10, 0, 0, 1].into(), object, first: false });
        let is = end.said().contains("has made no progress for 240 s") && end.said().contains("Pending no image");
        told(&host, is && host.log().contains("get pods -l k8s-app=kube-dns"), &end)
    });
    for (sum, wanted) in [(true, 0), (false, 1)] {
        t.row(format!("snapshot: its own sha256 is right: {sum} -> exit status {wanted}, and no file of it is left"), || {
            let host = Sandbox::new();
            host.write("/var/lib/clusterctl/snapshot.older/db", "left by a script that was killed");
            host.stub("etcdctl.endpoint-status", r#"[{"Status":{"dbSize":20480}}]"#);
            let trailer = if sum { "printf data | sha256sum | cut -c1-64 | xxd -r -p" } else { "printf '%032d' 0" };
            host.stub(
                "etcdctl.script",
                &format!("case \"$*\" in *'snapshot save'*) for to; do :; done; {{ printf data; {trailer}; }} >\"$to\" ;; esac\n"),
            );
            let script = script!("lib/lock_held.sh", "lib/fence.sh", "lib/etcdctl.sh", "steps/snapshot.sh");
            let out = host.output(Cmd::script(script).arg("run", RUN));
            let left = host.list("/var/lib/clusterctl").iter().any(|f| f.starts_with("snapshot."));
            let is = out.status == wanted && !left && (wanted != 0 || out.stdout.starts_with(b"data"));
            if is { Ok(()) } else { Err(format!("{out:?}, left: {left}\n{}", host.log())) }
        });
    }
}
