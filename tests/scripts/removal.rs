//! Tests of `clean.sh` and `absent.sh`, which remove Kubernetes from a host: they delete only what belongs to Kubernetes and no longer runs, and
//! delete nothing through a mount or a link.

use clusterctl::step::{Absent, Clean};

use super::sandbox::{End, Sandbox};
use super::table::Table;

pub const MOUNTINFO: &str = "22 1 0:20 / /proc rw - proc proc rw\n";

/// A file with data of etcd, which exists as long as nothing was deleted.
pub const DATA: &str = "/var/lib/etcd/member/wal";

/// The folder of a pod's volume.
const VOLUME: &str = "/var/lib/kubelet/pods/uid/volumes/nfs/v";

/// A host that was a node. It has data of etcd, a configuration of the kubelet, a log of a pod, the network links `cni0` and `veth1` of the pod
/// network, and the network link `veth-vpn`, which does not belong to the pod network.
pub fn node() -> Sandbox {
    let host = Sandbox::new();
    host.write_all(&[
        ("/proc/self/mountinfo", MOUNTINFO),
        (DATA, "data"),
        ("/var/lib/kubelet/config.yaml", "kind: KubeletConfiguration"),
        ("/var/log/pods/kube-system_etcd-m1_uid/etcd/0.log", "log"),
    ]);
    for link in ["cni0/brif/veth1", "veth1/x", "veth-vpn/x"] {
        host.write(&format!("/sys/class/net/{link}"), "");
    }
    host.stub("ip.script", "case \"$1 $2\" in 'link delete') /bin/rm -r \"$ROOT/sys/class/net/$3\" ;; esac\n");
    host
}

/// The host of [`node`], on which a share with the file `precious` is mounted at a path, according to the kernel's list of mounts.
fn node_with_mount(path: &str) -> Sandbox {
    let host = node();
    host.write(&format!("{path}/precious"), "precious");
    host.write("/proc/self/mountinfo", &format!("{MOUNTINFO}40 22 0:50 / {} rw - nfs4 server:/share rw\n", host.at(path)));
    host
}

/// Adds the containerd-shim process of a container in this containerd namespace to the host.
pub fn container_runs(host: &Sandbox, namespace: &str) {
    host.write("/proc/77/comm", "containerd-shim\n");
    host.write("/proc/77/stat", "77 (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0\n");
    host.write("/proc/77/cmdline", &format!("/usr/bin/containerd-shim-runc-v2\0-namespace\0{namespace}\0-id\0abc\0"));
}

pub fn clean() -> Clean {
    Clean { images: false, found: vec!["data in /var/lib/etcd".into()] }
}

/// Checks that the step was refused with an output that contains `words`, and that the path `kept` still exists.
pub fn refused(host: &Sandbox, end: &End, words: &str, kept: &str) -> Result<(), String> {
    let is = matches!(end, End::Refused(_)) && end.said().contains(words) && host.path(kept).exists();
    if is { Ok(()) } else { Err(format!("{end:?}, {kept} is there: {}\n{}", host.path(kept).exists(), host.log())) }
}

/// Checks that a removal is refused with an output that contains `words`, and that the data of etcd still exists.
pub fn keeps_its_data(host: &Sandbox, words: &str) -> Result<(), String> {
    refused(host, &host.apply(clean()), words, DATA)
}

pub fn table(t: &mut Table) {
    t.row("a node without containers -> its data is deleted, a link that is not of pods stays", || {
        let host = node();
        let end = host.apply(clean());
        let links = host.list("/sys/class/net");
        let is =
            end == End::Done && host.list("/var/lib/etcd").is_empty() && host.list("/var/log/pods").is_empty() && links == ["veth-vpn"];
        if is { Ok(()) } else { Err(format!("{end:?} {links:?}\n{}", host.log())) }
    });
    for share in ["/var/lib/etcd/backup", "/etc/kubernetes/backup", "/var/lib/kubelet/pods", "/var/log/pods/share"] {
        t.row(format!("something is mounted at {share} -> nothing is changed, and the mount is named"), || {
            let host = node_with_mount(share);
            let end = host.apply(clean());
            refused(&host, &end, &host.at(share), &format!("{share}/precious"))?;
            refused(&host, &end, "nothing was changed", DATA)
        });
    }
    t.row("the volume of a pod cannot be unmounted -> nothing is deleted", || {
        let host = node_with_mount(VOLUME);
        host.stub("umount.script", "exit 32\n");
        let end = host.apply(clean());
        refused(&host, &end, "cannot be unmounted", &format!("{VOLUME}/precious"))?;
        refused(&host, &end, VOLUME, DATA)
    });
    t.row("the volume of a pod is mounted -> it is unmounted before anything is deleted", || {
        let host = node_with_mount(VOLUME);
        host.stub("umount.script", "/bin/rm \"$2/precious\"; head -n 1 \"$ROOT/proc/self/mountinfo\" >\"$ROOT/stub/m\"; /bin/mv \"$ROOT/stub/m\" \"$ROOT/proc/self/mountinfo\"\n");
        let end = host.apply(clean());
        if end == End::Done && host.list("/var/lib/kubelet").is_empty() { Ok(()) } else { Err(format!("{end:?}\n{}", host.log())) }
    });
    t.row("containerd does not answer and containers run -> nothing is deleted", || {
        let host = node();
        host.write("/run/containerd/io.containerd.runtime.v2.task/k8s.io/abc/config.json", "{}");
        host.stub("no-runtime", "");
        keeps_its_data(&host, "containerd does not answer")
    });
    t.row("containerd is down and can be started -> it is started, and stopped again after the work", || {
        let host = node();
        host.stub("no-runtime", "");
        host.stub("on-start", "/bin/rm -f \"$STUB/no-runtime\"\n");
        let end = host.apply(clean());
        let is = end == End::Done && host.list("/var/lib/etcd").is_empty() && host.log().contains("systemctl stop containerd");
        if is { Ok(()) } else { Err(format!("{end:?}\n{}", host.log())) }
    });
    t.row("containerd fails to list its containers -> nothing is deleted", || {
        let host = node();
        host.stub("ctr.script", "case \"$*\" in *'containers ls'*) exit 1 ;; esac\n");
        keeps_its_data(&host, "does not list its containers")
    });
    t.row("containerd lists no container and one still runs -> no data is deleted", || {
        let host = node();
        container_runs(&host, "k8s.io");
        keeps_its_data(&host, "containers still run")
    });
    t.row("a container of another namespace runs -> it is none of ours", || {
        let host = node();
        container_runs(&host, "moby");
        let end = host.apply(clean());
        if end == End::Done { Ok(()) } else { Err(format!("{end:?}\n{}", host.log())) }
    });
    t.row("a folder is a link to a data disk -> nothing is deleted through it", || {
        let host = node();
        let _ = std::fs::rename(host.path("/var/lib/etcd"), host.path("/data"));
        let _ = std::os::unix::fs::symlink(host.path("/data"), host.path("/var/lib/etcd"));
        let end = host.apply(clean());
        refused(&host, &end, "is a link to", "/data/member/wal")
    });
    t.row("rules of others stand beside those of Kubernetes -> only the latter are deleted, one by one", || {
        let host = node();
        host.stub("iptables-save.script", "cat <<'E'\n*nat\n:POSTROUTING ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n:DOCKER - [0:0]\n-A POSTROUTING -j KUBE-SERVICES\n-A POSTROUTING -s 10.9.0.0/16 -j DOCKER\n-A KUBE-SERVICES -j RETURN\nCOMMIT\nE\n");
        host.stub("iptables-restore.script", "/bin/cat >\"$STUB/restored\"\n");
        let end = host.apply(clean());
        let restored = host.read("/stub/restored").unwrap_or_default();
        let is = end == End::Done
            && host.log().contains("iptables-restore -w 10 --noflush")
            && restored == "*nat\n-D POSTROUTING -j KUBE-SERVICES\n-F KUBE-SERVICES\n-X KUBE-SERVICES\nCOMMIT\n";
        if is { Ok(()) } else { Err(format!("{end:?}\n{restored}\n{}", host.log())) }
    });
    for at in ["/opt/cni/bin/share", "/opt/cni/bin"] {
        t.row(format!("a path to remove has something mounted at {at} -> it stays, and nothing of the share is deleted"), || {
            let host = node_with_mount(at);
            let end = host.apply(Absent { paths: vec![host.at("/opt/cni/bin")], locked: false, why: String::new() });
            refused(&host, &end, &host.at(at), &format!("{at}/precious"))
        });
    }
    t.row("a path to remove is a link to a mount -> the link is removed, and its target is not", || {
        let host = node_with_mount("/data/bin");
        host.link_at("/opt/cni/bin", host.path("/data/bin"));
        let end = host.apply(Absent { paths: vec![host.at("/opt/cni/bin")], locked: false, why: String::new() });
        let is =
            end == End::Done && host.path("/data/bin/precious").exists() && std::fs::symlink_metadata(host.path("/opt/cni/bin")).is_err();
        if is { Ok(()) } else { Err(format!("{end:?}\n{}", host.log())) }
    });
    parent_is_a_link(t);
}

/// Adds rows for a host on which /var/lib is a link to a folder on a data disk, so that the kernel's list of mounts has other paths than the scripts.
fn parent_is_a_link(t: &mut Table) {
    let linked = |mount: &str| {
        let host = node();
        std::fs::rename(host.path("/var/lib"), host.path("/data")).expect("the sandbox is writable");
        host.link_at("/var/lib", host.path("/data"));
        host.write(&format!("/data/{mount}/precious"), "precious");
        host.write(
            "/proc/self/mountinfo",
            &format!("{MOUNTINFO}40 22 0:50 / {} rw - ext4 /dev/sdb rw\n", host.at(&format!("/data/{mount}"))),
        );
        host
    };
    t.row("a parent folder is a link, and a bind mount is below the real folder -> nothing is changed, and the mount is named", || {
        let host = linked("etcd/tenant");
        let end = host.apply(clean());
        refused(&host, &end, &host.at("/data/etcd/tenant"), "/data/etcd/tenant/precious")?;
        refused(&host, &end, "nothing was changed", DATA)
    });
    t.row("a parent folder is a link, and the volume of a pod is mounted -> it is unmounted, and the data is deleted", || {
        let host = linked("kubelet/pods/uid/volumes/nfs/v");
        host.stub("umount.script", "/bin/rm \"$2/precious\"; head -n 1 \"$ROOT/proc/self/mountinfo\" >\"$STUB/m\"; /bin/mv \"$STUB/m\" \"$ROOT/proc/self/mountinfo\"\n");
        let end = host.apply(clean());
        if end == End::Done && host.list("/data/kubelet").is_empty() { Ok(()) } else { Err(format!("{end:?}\n{}", host.log())) }
    });
    t.row("a parent folder of a path to remove is a link, and something is mounted below -> it stays", || {
        let host = linked("clusterctl/share");
        let end = host.apply(Absent { paths: vec![host.at("/var/lib/clusterctl")], locked: false, why: String::new() });
        refused(&host, &end, &host.at("/data/clusterctl/share"), "/data/clusterctl/share/precious")
    });
}
