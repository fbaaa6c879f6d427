//! Tests of the scripts that rewrite stored values and count how values are stored: an object that somebody else changes is left alone, a value that was
//! not rewritten is found, and no value is printed.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clusterctl::facts::etcd;
use clusterctl::step::{Encoded, Rewrite};
use serde_json::json;

use super::pods::{all, ended, same};
use super::runs::{anything, killed, under};
use super::sandbox::{Fault, Sandbox};
use super::table::Table;

const CANARY: &str = "CANARY-of-a-value";
const NEW: &str = "k8s:enc:secretbox:v1:key2-0123abcd:";
const OLD: &str = "k8s:enc:secretbox:v1:key1-89abcdef:";
const KUBECONFIG: &str = "certificate-authority-data: Y2E=\nclient-certificate-data: Y2VydA==\nclient-key-data: a2V5\n";

/// A script for the stub of curl, which answers with the file `page-TOKEN` (`page-first` without a token), and with the status in `page-TOKEN.status`.
const CURL: &str = r#"
token=${url##*continue=}
[ "$token" != "$url" ] || token=first
out='' before=''
for word; do [ "$before" != -o ] || out=$word; before=$word; done
[ ! -e "$STUB/page-$token" ] || /bin/cp "$STUB/page-$token" "$out"
[ ! -e "$STUB/page-$token.status" ] || { /bin/cat "$STUB/page-$token.status"; [ ! -e "$STUB/once" ] || /bin/rm "$STUB/page-$token.status"; exit 0; }
echo 200
exit 0
"#;

fn resources(prefix: &str) -> BTreeMap<String, String> {
    [("secrets".to_string(), prefix.to_string())].into()
}

fn rewrite() -> Rewrite {
    Rewrite { address: [10, 0, 0, 1].into(), resources: resources(NEW), anew: false }
}

fn page(next: &str, names: &[&str]) -> String {
    let items: Vec<_> = names.iter().map(|n| json!({"metadata": {"name": n, "resourceVersion": "5"}, "data": {"k": CANARY}})).collect();
    let metadata = if next.is_empty() { json!({"resourceVersion": "7"}) } else { json!({"resourceVersion": "7", "continue": next}) };
    json!({"kind": "SecretList", "apiVersion": "v1", "metadata": metadata, "items": items}).to_string()
}

/// A control-plane host whose API has two pages of Secrets.
fn api() -> Sandbox {
    let host = Sandbox::new();
    host.write("/etc/kubernetes/admin.conf", KUBECONFIG);
    host.write("/dev/shm/.keep", "");
    host.stub("curl.script", CURL);
    host.stub("page-first", &page("abc", &["a", "b"]));
    host.stub("page-abc", &page("", &["c"]));
    host
}

/// How often kubectl was asked to write a page.
fn written(host: &Sandbox, times: usize) -> Result<(), String> {
    same(host.log().lines().filter(|l| l.contains(" kubectl ") && l.contains(" replace ")).count(), times, "pages that were written")
}

/// Nothing of a value is in an argument or left on the host.
fn quiet(host: &Sandbox) -> Result<(), String> {
    all(
        host,
        [
            same(host.log().contains(CANARY), false, "a value is in an argument"),
            same(host.list("/dev/shm"), vec![".keep".to_string()], "files that were left"),
        ],
    )
}

pub fn table(t: &mut Table) {
    rewrites(t);
    counts(t);
}

fn rewrites(t: &mut Table) {
    t.row("rewrite: two pages -> both are written, and no value is in an argument", || {
        let host = api();
        under(Fault::None, &host, rewrite(), "done", |h| all(h, [written(h, 2), quiet(h)]))
    });
    t.row("rewrite: no objects -> nothing is written", || {
        let host = api();
        host.stub("page-first", &page("", &[]));
        under(Fault::None, &host, rewrite(), "done", |h| all(h, [written(h, 0), quiet(h)]))
    });
    for reason in ["Conflict", "NotFound"] {
        t.row(format!("rewrite: {reason} for an object -> it is left alone"), || {
            let host = api();
            host.stub(
                "kubectl.script",
                &format!("echo 'Error from server ({reason}): error when replacing \"page\": secrets \"a\" {CANARY}' >&2; exit 1\n"),
            );
            under(Fault::None, &host, rewrite(), "done", |h| all(h, [written(h, 2), quiet(h)]))
        });
    }
    t.row("rewrite: a webhook refuses an object -> the step fails, names the webhook, and prints no value", || {
        let host = api();
        let said = format!("Error from server (BadRequest): error when replacing: admission webhook \"a.example.org\" denied: {CANARY}");
        host.stub("kubectl.script", &format!("echo '{said}' >&2; exit 1\n"));
        let end = host.apply(rewrite());
        all(
            &host,
            [
                ended(&end, "(BadRequest): admission webhook \"a.example.org\""),
                same(end.said().contains(CANARY), false, "a value is in the message"),
                written(&host, 10),
                quiet(&host),
            ],
        )
    });
    t.row("rewrite: the API server is away for a moment -> the page is written afterwards", || {
        let host = api();
        host.stub(
            "kubectl.script",
            "[ -e \"$STUB/once\" ] || { : >\"$STUB/once\"; echo 'Unable to connect to the server' >&2; exit 1; }\n",
        );
        under(Fault::None, &host, rewrite(), "done", |h| written(h, 3))
    });
    t.row("rewrite: the token of the second page has expired -> the list goes on with the new one", || {
        let host = api();
        host.stub("page-abc.status", "410\n");
        host.stub("page-abc", &page("new", &[]));
        host.stub("page-new", &page("", &["c"]));
        under(Fault::None, &host, rewrite(), "done", |h| written(h, 2))
    });
    t.row("rewrite: the list is refused -> the step fails and says so", || {
        let host = api();
        host.stub("page-first.status", "403\n");
        under(Fault::None, &host, rewrite(), "answers 403 to the list of secrets", |h| written(h, 0))
    });
    t.row("rewrite: the lock is lost while the API server is away -> nothing more is written", || {
        let host = api();
        host.stub("kubectl.script", "echo 'Unable to connect to the server' >&2; exit 1\n");
        host.stub("on-sleep", "echo 'run2 other' >\"$ROOT/var/lib/clusterctl/lock\"");
        under(Fault::None, &host, rewrite(), "fenced", |h| written(h, 1))
    });
    t.sweep("rewrite: killed at a call -> the next run writes all", 1, |n| {
        killed(Fault::KilledAtCall(n), &api(), rewrite(), anything, |h| same(h.log().contains("continue=abc"), true, "the second page"))
    });
}

/// A host whose etcd has these Secrets. The stub of etcdctl answers with two pages, of which the second one begins with the last key of the first.
fn stored(values: &[&str]) -> Sandbox {
    let host = Sandbox::new();
    host.write("/etc/kubernetes/pki/etcd/healthcheck-client.key", "key");
    host.write("/dev/shm/.keep", "");
    let key = |n: usize| STANDARD.encode(format!("/registry/secrets/shop/s{n}"));
    let kv = |n: usize| {
        let value = STANDARD.encode(format!("{}{CANARY}{}", values[n], "x".repeat(120)));
        json!({"key": key(n), "create_revision": 1, "mod_revision": 2, "version": 1, "value": value})
    };
    let half = values.len() / 2;
    let answer = |range: std::ops::Range<usize>| {
        json!({"header": {"cluster_id": 1}, "kvs": range.map(kv).collect::<Vec<_>>(), "count": 9}).to_string()
    };
    host.stub("one", &answer(0..half + 1));
    host.stub("two", &answer(half..values.len()));
    host.stub("three", &answer(values.len() - 1..values.len()));
    host.stub(
        "etcdctl.script",
        &format!(
            "case \"$*\" in\n*'get /registry/secrets/ /registry/secrets0 '*) /bin/cat \"$STUB/one\" ;;\n\
             *'get /registry/secrets/shop/s{half} /registry/secrets0 '*) /bin/cat \"$STUB/two\" ;;\n\
             *'get /registry/secrets/shop/s{} '*) /bin/cat \"$STUB/three\" ;;\n*) echo '{{\"header\":{{}}}}' ;;\nesac\nexit 0\n",
            values.len() - 1
        ),
    );
    host
}

fn counts(t: &mut Table) {
    t.row("values are counted by the way in which they are stored, each once, and none leaves the host", || {
        let host = stored(&["k8s", NEW, OLD, "{\"kind\":", NEW]);
        let out = host.output(etcd::encodings(&["secrets", "configmaps"]));
        let text = String::from_utf8_lossy(&out.stdout).to_string();
        let counts = etcd::parse_encodings(&["secrets", "configmaps"], &out.stdout).ok_or(format!("not read: {text}"))?;
        let wanted = BTreeMap::from([("plain".to_string(), 2), (NEW.to_string(), 2), (OLD.to_string(), 1)]);
        all(
            &host,
            [
                same(&counts["secrets"], &wanted, "the counts"),
                same(counts["configmaps"].len(), 0, "no ConfigMaps"),
                same(text.contains("CANARY"), false, "a value is in the output"),
                quiet(&host),
            ],
        )
    });
    t.row("etcd does not answer -> there are no counts", || {
        let host = stored(&[NEW]);
        host.inject(Fault::CallFails("etcdctl", "*get*"));
        same(etcd::parse_encodings(&["secrets"], &host.output(etcd::encodings(&["secrets"])).stdout), None, "the counts")
    });
    let check = || Encoded { resources: resources(NEW) };
    t.row("check: every value begins as it should -> done", || under(Fault::None, &stored(&[NEW, NEW, NEW]), check(), "done", quiet));
    for (what, other) in [("with the old key", OLD), ("in clear", "k8s")] {
        t.row(format!("check: a value is stored {what} -> the step fails and says how many"), || {
            under(Fault::None, &stored(&[NEW, other, NEW]), check(), "secrets 1 ", quiet)
        });
    }
    t.row("check: everything is to be in clear, and one value is encrypted -> the step fails", || {
        let step = Encoded { resources: resources("plain") };
        under(Fault::None, &stored(&["k8s", OLD, "k8s"]), step, "secrets 1 k8s:enc:", quiet)
    });
    t.row("check: etcd does not answer -> the step fails and says so", || {
        under(Fault::CallFails("etcdctl", "*get*"), &stored(&[NEW]), check(), "does not tell how its values are stored", anything)
    });
}
