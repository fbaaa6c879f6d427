//! Tests of swaps of etcd's static pod to another version: if the new etcd fails, the previous static pod manifest is put back only if the previous
//! etcd would still start with the data.

use clusterctl::step::wait;

use super::pods::{all, clean, ended, in_place, manifest, pod, standing};
use super::sandbox::Sandbox;
use super::table::Table;

const ETCD: &str = "etcd";

/// A host whose etcd runs as a static pod with this image tag, in an etcd cluster of two members.
fn at(tag: &str) -> Sandbox {
    let host = standing(&[ETCD]);
    host.write("/etc/kubernetes/manifests/etcd.yaml", &manifest(ETCD, tag, ""));
    host.tick();
    host.tick();
    host.stub("etcdctl.member-list", "1, started, m1, https://10.0.0.1:2380, https://10.0.0.1:2379, false\n2, started, m2, https://10.0.0.2:2380, https://10.0.0.2:2379, false\n");
    host
}

pub fn table(t: &mut Table) {
    let new = "does not serve";
    let rows = [
        ("3.5.1", "3.5.2", r#"{"etcdserver":"3.5.2","etcdcluster":"3.5.0"}"#, "the previous manifest of etcd is back", "3.5.1"),
        ("3.5.1", "3.6.1", r#"{"etcdserver":"3.6.1","etcdcluster":"3.5.0"}"#, "the previous manifest of etcd is back", "3.5.1"),
        ("3.5.1", "3.6.1", r#"{"etcdserver":"3.6.1","etcdcluster":"3.6.0"}"#, "invalid downgrade", "3.6.1"),
        ("3.5.1", "3.6.1", r#"{"etcdserver":"3.6.1","etcdcluster":"3.6.0","storage":"3.6.0"}"#, "etcdutl snapshot restore", "3.6.1"),
        ("3.5.1", "3.6.1", "", "the previous manifest of etcd is back", "3.5.1"),
        ("3.4.1", "3.5.1", r#"{"etcdserver":"3.5.1","etcdcluster":"not_decided"}"#, "the previous manifest of etcd is back", "3.4.1"),
    ];
    for (from, to, answer, wanted, stays) in rows {
        t.row(format!("from {from} to {to}, which {new}; the members answer {answer:?} -> {stays} is in place"), || {
            let host = at(from);
            if !answer.is_empty() {
                // The other member answers the request for its version even if this host's own member does not serve.
                host.stub("serves-etcd-version", "200\n");
                host.stub("answer-version", answer);
            }
            let end = host.apply(pod(ETCD, manifest(ETCD, to, "# does not serve\n"), 0));
            let mark = if stays == to { "# does not serve\n" } else { "" };
            all(&host, [ended(&end, wanted), in_place(&host, ETCD, &[&manifest(ETCD, stays, mark)]), clean(&host)])
        });
    }
    let raised = r#"{"etcdserver":"3.6.1","etcdcluster":"3.6.0"}"#;
    for (what, tag) in [("the same image", "3.6.1"), ("a later one", "3.6.2")] {
        t.row(format!("the copy is of 3.5.1, 3.6.1 is in place and does not serve, and {what} fails -> 3.5.1 is not put back"), || {
            let host = at("3.6.1");
            let old = manifest(ETCD, "3.5.1", "");
            host.stub("images", "site/etcd:3.6.1\nsite/etcd:3.6.2\n");
            host.write("/var/lib/clusterctl/static-pods/etcd.old", &old);
            host.write("/var/lib/clusterctl/static-pods/etcd.old.sha256", &format!("{}  -\n", clusterctl::step::digest(old.as_bytes())));
            host.stub("serves-etcd", "000\n");
            host.stub("serves-etcd-version", "200\n");
            host.stub("answer-version", raised);
            let next = manifest(ETCD, tag, "# does not serve\n");
            let end = host.apply(pod(ETCD, next.clone(), 0));
            all(&host, [ended(&end, "invalid downgrade"), in_place(&host, ETCD, &[&next]), clean(&host)])
        });
    }
    t.row(
        "3.6.1 is placed for 3.5.1 while the kubelet is stopped, and does not serve -> the other members say that 3.5.1 must not come back",
        || {
            let host = at("3.5.1");
            host.kubelet("inactive");
            let next = manifest(ETCD, "3.6.1", "# does not serve\n");
            let placed = host.apply(pod(ETCD, next.clone(), 0));
            host.kubelet("active");
            host.tick();
            host.stub("etcdctl.script", "exit 1\n");
            host.stub("curl.script", "case $url in *127.0.0.1:2379/version) exit 7 ;; esac\n");
            host.stub("serves-etcd-version", "200\n");
            host.stub("answer-version", raised);
            let end = host.apply(pod(ETCD, next.clone(), 0));
            all(&host, [ended(&placed, "done"), ended(&end, "invalid downgrade"), in_place(&host, ETCD, &[&next]), clean(&host)])
        },
    );
    t.row("from 3.5.1 to 3.6.1, which served and ended, and no member answers -> 3.6.1 is in place", || {
        let host = at("3.5.1");
        host.stub("on-sleep", "[ ! -e \"$STUB/units/clusterctl-watch-etcd\" ] || echo 000 >\"$STUB/serves-etcd\"");
        let end = host.apply(pod(ETCD, manifest(ETCD, "3.6.1", ""), 60));
        let told = host.apply(wait::Settled);
        all(
            &host,
            [ended(&end, "done"), ended(&told, "invalid downgrade"), in_place(&host, ETCD, &[&manifest(ETCD, "3.6.1", "")]), clean(&host)],
        )
    });
}
