//! Tests of `observe.sh`, which collects the facts of a host: what it returns, and which secrets never leave the host.

use std::os::unix::net::UnixListener;
use std::time::{Duration, UNIX_EPOCH};

use clusterctl::facts::host::{parse, request};
use clusterctl::facts::{FileKind, HostFacts};

use super::pods::{all, same};
use super::sandbox::Sandbox;
use super::table::Table;

const PKI: &str = "/var/lib/kubelet/pki";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nTUlJ\nQg==\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\n-----END EC PRIVATE KEY-----\n";

/// A host whose kubelet has renewed its client certificate once. `pem` is the content of the certificate file that is in use.
fn host(pem: &str) -> Sandbox {
    let host = Sandbox::new();
    host.write(&format!("{PKI}/kubelet-client-2026.pem"), pem);
    host.write(&format!("{PKI}/kubelet-client-2025.pem"), "an old certificate and its key");
    host.write(&format!("{PKI}/kubelet.key"), "the key of the kubelet's server");
    let link = host.path(&format!("{PKI}/kubelet-client-current.pem"));
    std::os::unix::fs::symlink(host.path(&format!("{PKI}/kubelet-client-2026.pem")), link).expect("a link can be made");
    host
}

/// Runs `observe.sh`, and returns its output as text and as parsed facts.
fn look(host: &Sandbox, control_plane: bool) -> Result<(String, HostFacts), String> {
    look_also_at(host, control_plane, &[])
}

/// Runs `observe.sh` with these paths of the operator's files.
fn look_also_at(host: &Sandbox, control_plane: bool, files: &[&str]) -> Result<(String, HostFacts), String> {
    let out = host.output(request([10, 0, 0, 1].into(), control_plane, None, files));
    let facts = parse(&out.stdout, 7.0)?;
    Ok((String::from_utf8_lossy(&out.stdout).into_owned(), facts))
}

/// The content of the kubelet's client certificate file, to which the link `kubelet-client-current.pem` leads; `None` if the facts do not have it.
fn certificate(host: &Sandbox, facts: &HostFacts) -> Option<String> {
    let bytes = facts.resolved(&host.at(&format!("{PKI}/kubelet-client-current.pem")))?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}

pub fn table(t: &mut Table) {
    let damaged = format!("-----BEGIN CERTIFICATE-----\nTUlJ\n{KEY}");
    for (what, pem, seen) in [
        ("certificate and key", format!("{CERTIFICATE}{KEY}"), CERTIFICATE.to_string()),
        ("key and certificate", format!("{KEY}{CERTIFICATE}"), CERTIFICATE.to_string()),
        ("two certificates and a key", format!("{CERTIFICATE}{CERTIFICATE}{KEY}"), CERTIFICATE.repeat(2)),
        ("a certificate without its end and a key", damaged, "-----BEGIN CERTIFICATE-----\nTUlJ\n".to_string()),
        ("nothing", String::new(), String::new()),
    ] {
        t.row(format!("a worker whose kubelet's file holds {what} -> the certificates alone are seen, and no key"), || {
            let host = host(&pem);
            let (text, facts) = look(&host, false)?;
            let key = ["PRIVATE KEY", "c2VjcmV0", "its key", "the key"].into_iter().find(|k| text.contains(k));
            let found = certificate(&host, &facts).map(|c| c.trim_end().to_string());
            all(&host, [same(found, Some(seen.trim_end().to_string()), "certificates"), same(key, None, "keys")])
        });
    }
    t.row("a control-plane host -> the kubelet's certificate with its key is seen, and none of those before it", || {
        let host = host(&format!("{CERTIFICATE}{KEY}"));
        let (text, facts) = look(&host, true)?;
        let old = text.contains("an old certificate") || text.contains("the key of the kubelet's server");
        let link = facts.files.get(&host.at(&format!("{PKI}/kubelet-client-current.pem"))).map(|f| matches!(f.kind, FileKind::Link(_)));
        all(
            &host,
            [
                same(certificate(&host, &facts), Some(format!("{CERTIFICATE}{KEY}")), "certificate"),
                same(link, Some(true), "link"),
                same(old, false, "others"),
            ],
        )
    });
    t.row("a host without a kubelet -> it has no certificate, and its own clock is told", || {
        let host = Sandbox::new();
        let (_, facts) = look(&host, false)?;
        all(&host, [same(certificate(&host, &facts), None, "certificate"), same(facts.clock > 1e9, true, "clock")])
    });
    operators_files(t);
    outdated(t);
    outdated_kubelet(t);
    images(t);
    foreign(t);
    mounts(t);
    folders(t);
    read_at_boot(t);
    policies(t);
}

/// Adds rows for the paths of the operator's files.
fn operators_files(t: &mut Table) {
    t.row("a file, a link, a folder and a path with nothing -> the file and the link are seen, and nothing in the folder is", || {
        let host = Sandbox::new();
        host.write("/srv/file", "content");
        host.write("/srv/folder/of-somebody", "content of somebody");
        std::os::unix::fs::symlink("/nowhere", host.path("/srv/link")).expect("a link can be made");
        let paths = ["/srv/file", "/srv/link", "/srv/folder", "/srv/nothing"].map(|p| host.at(p));
        let (text, facts) = look_also_at(&host, true, &paths.each_ref().map(String::as_str))?;
        let kinds = paths.each_ref().map(|p| facts.files.get(p).map(|f| f.kind.clone()));
        let expected = [Some(FileKind::File("content".into())), Some(FileKind::Link("/nowhere".into())), Some(FileKind::Directory), None];
        all(&host, [same(kinds, expected, "kinds"), same(text.contains("of somebody"), false, "what is in the folder")])
    });
    t.row("copies of files -> their contents are seen", || {
        let host = Sandbox::new();
        host.write("/var/lib/clusterctl/files/1-policy.yaml", "content");
        let (_, facts) = look(&host, true)?;
        let copy = facts.content(&host.at("/var/lib/clusterctl/files/1-policy.yaml")).map(<[u8]>::to_vec);
        all(&host, [same(copy, Some(b"content".to_vec()), "content")])
    });
}

/// Adds rows for processes of a component's name of which containerd knows no container in kube-system.
fn foreign(t: &mut Table) {
    let id = "0123456789abcdef".repeat(4);
    let uid = &id[..32];
    let static_pod = format!("/var/log/pods/kube-system_etcd-m1_{uid}/etcd/0.log");
    for (what, cgroup, log, counts) in [
        ("a container of Docker", format!("/system.slice/docker-{id}.scope"), None, false),
        ("a container of podman", format!("/machine.slice/libpod-{id}.scope"), None, false),
        ("a node of kind", format!("/docker/{id}/kubepods/burstable/pod{uid}/{id}"), None, false),
        ("a static pod of kube-system that another runtime runs", format!("/kubepods/burstable/pod{uid}/{id}"), Some(&static_pod), true),
    ] {
        t.row(format!("an etcd is in {what} -> it counts as ours: {counts}"), || {
            let (host, _socket) = running("etcd", 500, 400);
            host.remove("/run/containerd/io.containerd.runtime.v2.task/k8s.io");
            host.write("/proc/77/cgroup", &format!("0::{cgroup}\n"));
            if let Some(log) = log {
                host.write(log, "log");
            }
            let (_, facts) = look(&host, true)?;
            all(&host, [same(facts.pods.contains_key("etcd"), counts, "it counts")])
        });
    }
}

/// Adds rows for mounts at and inside folders that a reset removes.
fn mounts(t: &mut Table) {
    let seen = |host: &Sandbox, at: &str| {
        host.write("/proc/self/mountinfo", &format!("40 22 0:50 / {} rw - nfs4 server:/share rw\n", host.at(at)));
        look(host, false).map(|(_, facts)| facts.mounts)
    };
    for (at, counts) in [
        ("/opt/cni/bin", false),
        ("/etc/containerd/certs.d", true),
        ("/etc/kubernetes/backup", true),
        ("/var/lib/etcd/backup", true),
        ("/var/lib/etcd", false),
        ("/var/lib/kubelet/pods/uid/volumes/nfs/v", false),
        ("/srv", false),
    ] {
        t.row(format!("something is mounted at {at} -> a reset is told: {counts}"), || {
            let host = Sandbox::new();
            let wanted = if counts { vec![host.at(at)] } else { vec![] };
            same(seen(&host, at)?, wanted, "mounts")
        });
    }
    t.row("/var/lib is a link, and something is mounted below the real folder -> a reset is told", || {
        let host = Sandbox::new();
        std::fs::rename(host.path("/var/lib"), host.path("/data")).map_err(|e| e.to_string())?;
        host.link_at("/var/lib", host.path("/data"));
        same(seen(&host, "/data/etcd/tenant")?, vec![host.at("/data/etcd/tenant")], "mounts")
    });
}

/// Adds rows for folders that the operator has changed.
fn folders(t: &mut Table) {
    t.row("/var/lib/etcd is a link to a data disk -> it is seen as a folder, and so is the member in it", || {
        let host = Sandbox::new();
        host.write("/data/member/wal", "data");
        host.link_at("/var/lib/etcd", host.path("/data"));
        let (_, facts) = look(&host, true)?;
        ["/var/lib/etcd", "/var/lib/etcd/member"]
            .iter()
            .try_for_each(|path| same(facts.files.get(&host.at(path)).map(|f| f.kind == FileKind::Directory), Some(true), path))
    });
    t.row("the operator keeps a backup in /etc/kubernetes -> it stays on the host", || {
        let host = Sandbox::new();
        host.write_all(&[("/etc/kubernetes/backup/etcd.db", "a large backup"), ("/etc/kubernetes/admin.conf", "the kubeconfig")]);
        let (text, facts) = look(&host, true)?;
        same(text.contains("a large backup"), false, "the backup")?;
        same(facts.text(&host.at("/etc/kubernetes/admin.conf")), Some("the kubeconfig"), "the kubeconfig")
    });
}

/// Adds a row for the policy that the kubelet's CPU manager has stored in its state file.
fn policies(t: &mut Table) {
    t.row("a kubelet that pins containers to processors -> its stored policy is seen, and none for memory", || {
        let host = Sandbox::new();
        host.write("/var/lib/kubelet/cpu_manager_state", r#"{"policyName":"static","defaultCpuSet":"0-3","checksum":14}"#);
        let (_, facts) = look(&host, false)?;
        let seen: Vec<(&str, &str)> = facts.kubelet_policies.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        all(&host, [same(seen, vec![("cpu", "static")], "policies")])
    });
}

/// Adds rows for sysctls that systemd reads at boot from files after clusterctl's own file: the facts have the value that is set last, with the path
/// of its file.
fn read_at_boot(t: &mut Table) {
    let forward = |path: &str, value: &str| (path.to_string(), format!("# a comment\n net/ipv4/ip_forward = {value} \nvm.swappiness=1\n"));
    for (what, files, seen) in [
        ("nothing", vec![], None),
        ("a file before ours", vec![forward("/etc/sysctl.d/10-router.conf", "0")], None),
        ("the file of sysctl.conf", vec![forward("/etc/sysctl.d/99-sysctl.conf", "0")], Some(("0", "/etc/sysctl.d/99-sysctl.conf"))),
        (
            "two files after ours",
            vec![forward("/etc/sysctl.d/95-a.conf", "0"), forward("/run/sysctl.d/96-b.conf", "1")],
            Some(("1", "/run/sysctl.d/96-b.conf")),
        ),
        (
            "a file that another one of its name hides",
            vec![forward("/etc/sysctl.d/95-a.conf", "1"), forward("/run/sysctl.d/95-a.conf", "0")],
            Some(("1", "/etc/sysctl.d/95-a.conf")),
        ),
        (
            "the same setting by its other name",
            vec![("/etc/sysctl.d/99-x.conf".into(), "-net.ipv4.conf.all.forwarding=0\n".into())],
            Some(("0", "/etc/sysctl.d/99-x.conf")),
        ),
    ] {
        t.row(format!("{what} sets forwarding at boot -> what comes last is seen"), || {
            let host = Sandbox::new();
            files.iter().for_each(|(path, text)| host.write(path, text));
            let (_, facts) = look(&host, false)?;
            let wanted = seen.map(|(value, path)| (value.to_string(), host.at(path)));
            all(&host, [same(facts.boot_sysctls.get("net.ipv4.ip_forward").cloned(), wanted, "what comes last")])
        });
    }
}

/// A control-plane host that runs this component in a container, with the listening socket of containerd. `started` and `written` are the times, in
/// seconds since 1970, at which the container was started and the component's kubeconfig was written.
fn running(component: &str, started: u64, written: u64) -> (Sandbox, UnixListener) {
    let host = Sandbox::new();
    let id = "0123456789abcdef".repeat(4);
    let put = |path: &str, text: &str, second: u64| {
        host.write(path, text);
        let file = std::fs::File::options().write(true).open(host.path(path)).expect("the file is there");
        file.set_modified(UNIX_EPOCH + Duration::from_secs(second)).expect("its time can be set");
    };
    let spec = r#"{"io.kubernetes.cri.image-name":"site/x:1","io.kubernetes.cri.sandbox-namespace":"kube-system"}"#;
    put(&format!("/run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}/config.json"), spec, started);
    put(&format!("/etc/kubernetes/{}.conf", component.trim_start_matches("kube-")), "a kubeconfig", written);
    host.write("/proc/77/comm", &format!("{component:.15}\n"));
    host.write("/proc/77/cgroup", &format!("0::/kubepods.slice/cri-containerd-{id}.scope\n"));
    host.write("/proc/77/cmdline", &format!("{component}\0--leader-elect=true\0"));
    let socket = UnixListener::bind(host.path("/run/containerd/containerd.sock")).expect("a socket can be made");
    (host, socket)
}

fn images(t: &mut Table) {
    for (pulls, seen) in [("", 2), ("site/image:1\n", 1), ("site/image:1\nsite/image:2\n", 0)] {
        t.row(format!("two images, of which {} may be damaged -> {seen} are seen", 2 - seen), || {
            let (host, _socket) = running("kube-scheduler", 500, 400);
            host.stub("images", "site/image:1\nsite/image:2\n");
            if !pulls.is_empty() {
                host.write("/var/lib/clusterctl/pulls", pulls);
            }
            let (_, facts) = look(&host, true)?;
            all(&host, [same(facts.images.len(), seen, "images")])
        });
    }
}

/// Adds rows for the first client certificate of a kubelet, which started in second 999700.
fn outdated_kubelet(t: &mut Table) {
    for (what, file, written, wanted) in [
        ("is older than the process", "kubelet-client-initial.pem", 999_600, false),
        ("is newer than the process", "kubelet-client-initial.pem", 999_800, true),
        ("was written in the second of the start", "kubelet-client-initial.pem", 999_700, false),
        ("has a time that is still to come", "kubelet-client-initial.pem", 1_000_060, false),
        ("was renewed by the kubelet", "kubelet-client-2026.pem", 999_800, false),
    ] {
        t.row(format!("the kubelet's certificate {what} -> outdated: {wanted}"), || {
            let host = Sandbox::new();
            let path = format!("{PKI}/{file}");
            host.write(&path, CERTIFICATE);
            let open = std::fs::File::options().write(true).open(host.path(&path)).expect("the file is there");
            open.set_modified(UNIX_EPOCH + Duration::from_secs(written)).expect("its time can be set");
            host.link_at(&format!("{PKI}/kubelet-client-current.pem"), host.path(&path));
            host.write("/proc/uptime", "1000.50 1000.00\n");
            host.stub("units/kubelet.ActiveEnterTimestampMonotonic", "700000000\n");
            let (_, facts) = look(&host, false)?;
            all(&host, [same(facts.outdated.contains("kubelet"), wanted, "outdated"), same(facts.kubelet_age, None, "age")])
        });
    }
}

fn outdated(t: &mut Table) {
    // The clock of a sandbox starts at second 1000000, so second 1000060 is in the future.
    for (what, component, started, written, wanted) in [
        ("before its container", "kube-scheduler", 500, 400, None),
        ("after its container", "kube-scheduler", 500, 600, Some("kube-scheduler")),
        ("after its container", "kube-controller-manager", 500, 600, Some("kube-controller-manager")),
        ("in the same second as its container", "kube-scheduler", 500, 500, None),
        ("at a time that is still to come", "kube-scheduler", 500, 1_000_060, None),
        ("after its container", "kube-apiserver", 500, 600, None),
    ] {
        t.row(format!("the kubeconfig of {component} was written {what} -> outdated: {wanted:?}"), || {
            let (host, _socket) = running(component, started, written);
            let (_, facts) = look(&host, true)?;
            let runs = facts.pods.contains_key(component);
            let found = facts.outdated.iter().next().map(String::as_str);
            all(&host, [same(runs, true, "it runs"), same(found, wanted, "outdated"), same(facts.outdated.len() < 2, true, "others")])
        });
    }
}
