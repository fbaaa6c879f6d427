//! Tests of the scripts that look at etcd: a list of keys that is cut short is not taken for the whole list, and the value of a key stays on the host.

use clusterctl::facts::etcd;
use clusterctl::facts::snapshot::{self, Taken, Unpacker};
use clusterctl::host::Output;

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

/// A host whose etcd sends this answer to a request for a snapshot. The answer may also be shell text that prints it.
fn gateway(snapshot: &str) -> Sandbox {
    let host = host("");
    host.stub(
        "curl.script",
        &format!(
            "case $url in\n\
             */v3/kv/range) echo '{{\"header\":{{\"cluster_id\":\"10\",\"revision\":\"7\"}},\"count\":\"3\"}}'; exit 0 ;;\n\
             */v3/maintenance/snapshot) {snapshot}; exit 0 ;;\nesac\n"
        ),
    );
    host
}

/// The snapshot in the output of `etcd_snapshot.sh`, or the reason why it is not whole.
fn unpacked(out: &Output) -> Result<(Taken, Vec<u8>), String> {
    let mut unpacker = Unpacker::new(Vec::new());
    unpacker.take(&out.stdout).and_then(|()| unpacker.finish()).map_err(|e| e.to_string())
}

/// A line for each part of a snapshot with the content `abc`: first the content, then its SHA-256.
const PARTS: &str =
    "printf '%s\\n' '{\"result\":{\"blob\":\"YWJj\"}}' '{\"result\":{\"blob\":\"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=\"}}'";

fn snapshots(t: &mut Table) {
    t.row("etcd streams a snapshot -> it is unpacked, and nothing is written on the host", || {
        let host = gateway(PARTS);
        let out = host.output(snapshot::request());
        let (taken, bytes) = unpacked(&out)?;
        let wanted = ("a", 7, 3, 35);
        let none = Vec::<String>::new();
        all(
            &host,
            [
                same((taken.cluster.as_str(), taken.revision, taken.keys, taken.size), wanted, "the snapshot"),
                same(&bytes[..3], b"abc", "the content"),
                same((host.list("/run"), host.list("/var/lib/clusterctl")), (none, vec!["lock".into()]), "what is left"),
            ],
        )
    });
    for (what, snapshot, why) in [
        ("the stream ends early", "echo '{\"result\":{\"blob\":\"YWJj\"}}'; echo 'curl: (18) transfer closed' >&2; exit 18", "not whole"),
        ("etcd fails in the middle", "echo '{\"error\":{\"message\":\"disk gone\"}}'", "etcd ended the snapshot: disk gone"),
        ("a byte differs", "echo '{\"result\":{\"blob\":\"YWJk\"}}'", "SHA-256"),
    ] {
        t.row(format!("snapshot: {what} -> it is not taken for a whole one"), || {
            let host = gateway(snapshot);
            let said = unpacked(&host.output(snapshot::request())).err().unwrap_or_default();
            all(&host, [same(said.contains(why), true, &said)])
        });
    }
    t.row("snapshot: the gateway does not answer -> the cause is told", || {
        let host = host("");
        host.stub("curl.script", "echo 'curl: (7) Failed to connect' >&2; exit 7\n");
        let out = host.output(snapshot::request());
        let said = String::from_utf8_lossy(&out.stderr).contains("Failed to connect");
        all(&host, [same(unpacked(&out).is_err(), true, "it is not whole"), same(said, true, "the cause")])
    });
}

pub fn table(t: &mut Table) {
    snapshots(t);
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
