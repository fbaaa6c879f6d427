//! Tests of the scripts that look at etcd: a list of keys that is cut short is not taken for the whole list, and the value of a key stays on the host.

use clusterctl::facts::etcd;

use super::pods::{all, same};
use super::sandbox::Sandbox;
use super::table::Table;

/// A host whose etcdctl runs this shell text.
fn host(etcdctl: &str) -> Sandbox {
    let host = Sandbox::new();
    host.write("/etc/kubernetes/pki/etcd/healthcheck-client.key", "key");
    std::fs::create_dir_all(host.path("/dev/shm")).expect("the sandbox is writable");
    host.stub("etcdctl.script", etcdctl);
    host
}

pub fn table(t: &mut Table) {
    t.row("keys are listed -> all of them are read", || {
        let host = host("printf '/registry/a\\n\\n/registry/b\\n\\n'\n");
        let out = host.output(etcd::keys("/registry/"));
        same(etcd::parse_keys(&out.stdout), Some(vec!["/registry/a".into(), "/registry/b".into()]), "the keys")
    });
    t.row("etcd fails in the middle of the list -> there is no list, and the cause is told", || {
        let host = host("printf '/registry/a\\n\\n'; echo 'context deadline exceeded' >&2; exit 1\n");
        let out = host.output(etcd::keys("/registry/"));
        let said = String::from_utf8_lossy(&out.stderr).contains("context deadline exceeded");
        all(&host, [same(etcd::parse_keys(&out.stdout), None, "the keys"), same(said, true, "the cause")])
    });
    // The value is `k8s:enc:secretbox:v1:key2:SECRET` in base64.
    t.row("a key with an encrypted value -> its encoding is told, and the value stays on the host", || {
        let answer =
            r#"{"kvs":[{"key":"L3JlZ2lzdHJ5L2E=","create_revision":7,"mod_revision":9,"version":2,"value":"azhzOmVuYzpzZWNyZXRib3g6djE6a2V5MjpTRUNSRVQ="}]}"#;
        let host = host(&format!("echo '{answer}'\n"));
        let out = host.output(etcd::get("/registry/a"));
        let text = String::from_utf8_lossy(&out.stdout).to_string();
        let fact = etcd::parse_get(&out.stdout).ok_or_else(|| format!("not read: {text}"))?;
        all(
            &host,
            [
                same((fact.encoding.as_str(), fact.size), ("encrypted by secretbox with key key2", 32), "the key"),
                same(text.contains("SECRET") || text.contains("azhz"), false, "the value is in the output"),
                same(host.list("/dev/shm"), vec![], "files that were left"),
            ],
        )
    });
    t.row("a member that is not healthy -> what it knows by itself is told", || {
        let status = r#"[{"Status":{"header":{"cluster_id":1,"member_id":2},"version":"3.5.30","leader":0}}]"#;
        let health = r#"[{"health":false,"took":"3.0s","error":"context deadline exceeded"}]"#;
        let host = host(&format!(
            "case \"$*\" in *'endpoint status'*) echo '{status}' ;; *'endpoint health'*) echo '{health}'; exit 1 ;; *) exit 1 ;; esac\n"
        ));
        let metrics = "etcd_server_quota_backend_bytes 2.147483648e+09\netcd_debugging_mvcc_compact_revision 1.234567e+06\n";
        host.stub("metrics", metrics);
        host.stub("curl.script", "case $url in */metrics) /bin/cat \"$STUB/metrics\"; exit 0 ;; esac\n");
        let answer = etcd::parse(&host.output(etcd::request()).stdout);
        let health = answer.health.map(|h| (h.healthy, h.error));
        all(
            &host,
            [
                same(answer.status.map(|s| s.version), Some("3.5.30".into()), "the version"),
                same(health, Some((false, "context deadline exceeded".into())), "the health"),
                same(answer.members, None, "the member list"),
                same((answer.quota, answer.compacted), (Some(2_147_483_648), Some(1_234_567)), "the quota and the last compaction"),
            ],
        )
    });
}
