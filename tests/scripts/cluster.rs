//! Tests of `cluster.sh`, which asks the API: lists are read in pages, and a request that fails does not make the other requests fail. The stub of
//! curl answers with the pages that a row gives.

use std::net::IpAddr;

use clusterctl::facts::cluster::{Answered, NOT_SERVING, Questions, TOKENS};
use clusterctl::host::Output;
use serde_json::json;

use super::pods::same;
use super::sandbox::{Fault, Sandbox};
use super::table::Table;

const PODS: &str = "/api/v1/pods";
const NODES: &str = "/api/v1/nodes";
const KUBECONFIG: &str = "certificate-authority-data: Y2E=\nclient-certificate-data: Y2VydA==\nclient-key-data: a2V5\n";

/// A script for the stub of curl. For each URL in curl's `-K` file, it calls the shell function `answer`, which the row defines, and gets the name of
/// a page. It prints the content of this page, or nothing if no page has this name, and then the HTTP status: the number at the beginning of the
/// page's name, such as 504, or 200 if the name begins with no number.
const CURL: &str = r#"
case "$*" in *readyz*) return 0 ;; esac
while read -r _ _ url; do
  url=${url%\"}; url=${url#\"}
  page=$(answer "${url#https://10.0.0.1:6443}")
  status=200
  case $page in [0-9]*) status=${page%%-*} ;; esac
  echo "asked $url" >>"$STUB/log"
  [ ! -e "$STUB/page-$page" ] || /bin/cat "$STUB/page-$page"
  printf '\n@end %s %s\n' "$status" "$url"
done <<END
$(for word; do case ${before:-} in -K) /bin/cat "$word" ;; esac; before=$word; done)
END
exit 0
"#;

/// A control-plane host whose API server answers with `pages`, each given by its name and its content. `answer` is the branches of a shell `case`
/// that choose the page for a path.
fn host(answer: &str, pages: &[(&str, &str)]) -> Sandbox {
    let host = Sandbox::new();
    host.write("/etc/kubernetes/admin.conf", KUBECONFIG);
    host.write("/etc/kubernetes/manifests/kube-apiserver.yaml", "");
    host.write("/dev/shm/.keep", "");
    host.stub("serves-kube-apiserver", "200\n");
    host.stub("curl.script", &format!("answer() {{ case $1 in {answer} *) echo empty ;; esac; }}\n{CURL}"));
    host.stub("page-empty", &page("", &[]));
    for (name, text) in pages {
        host.stub(&format!("page-{name}"), text);
    }
    host
}

/// A page of a list of pods as the API writes it. `next` is the `continue` token of the next page, and is empty if this page is the last one.
fn page(next: &str, names: &[&str]) -> String {
    let items =
        names.iter().map(|n| json!({"metadata": {"name": n, "namespace": "shop", "managedFields": []}, "spec": {"nodeName": "w1"}}));
    let metadata = if next.is_empty() { json!({"resourceVersion": "7"}) } else { json!({"resourceVersion": "7", "continue": next}) };
    json!({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": items.collect::<Vec<_>>()}).to_string() + "\n"
}

fn asked(host: &Sandbox, objects: &[serde_json::Value]) -> (Output, Answered) {
    let questions = Questions::new(objects, &[PODS.into()]);
    let out = host.output(questions.request(IpAddr::from([10, 0, 0, 1])));
    let answered = questions.read(&"m1".to_string(), &out);
    (out, answered)
}

/// The names of the pods that were read, separated by spaces, or the messages of the requests that failed.
fn pods(answered: &Answered) -> String {
    let names = |list: &serde_json::Value| {
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|p| p["metadata"]["name"].as_str().map(String::from)).collect::<Vec<_>>().join(" ")
    };
    match (answered.lists.get(PODS), &answered.failed[..]) {
        (Some(list), []) => names(list),
        (None, failed) => failed.join("; "),
        (Some(_), failed) => format!("a list in spite of {failed:?}"),
    }
}

/// How often curl asked for a path.
fn times(host: &Sandbox, path: &str) -> usize {
    host.log().lines().filter(|l| *l == format!("asked https://10.0.0.1:6443{path}")).count()
}

/// How often curl was run, not counting the request for `/readyz` that precedes all others.
fn curls(host: &Sandbox) -> usize {
    host.log().lines().filter(|l| l.starts_with("- curl") && !l.contains("readyz")).count()
}

pub fn table(t: &mut Table) {
    lists(t);
    let nodes = "/api/v1/nodes*) echo 500-said ;;";
    t.row("the nodes are not answered -> nothing is said of the cluster, and why", || {
        let (_, answered) = asked(&host(nodes, &[("500-said", r#"{"kind":"Status","message":"etcdserver: no leader"}"#)]), &[]);
        same(answered.cluster.is_none(), true, "whether there are no facts of the cluster")?;
        same(answered.failed.join("; ").as_str(), "the API answers 500 to `/api/v1/nodes`: etcdserver: no leader", "what failed")
    });
    t.row("pods are not answered -> the nodes and the tokens are known", || {
        let host = host("*pods*) echo 504-said ;; *nodes*) echo one ;;", &[("504-said", "slow"), ("one", &page("", &["w1"]))]);
        let (_, answered) = asked(&host, &[]);
        same(answered.cluster.map(|c| c.nodes.into_keys().collect()), Some(vec!["w1".to_string()]), "the nodes")?;
        same(answered.failed.join("; ").as_str(), "the API answers 504 to `/api/v1/pods`: slow", "what failed")
    });
    t.row("a short list -> one curl for everything", || {
        let host = host("*pods*) echo one ;;", &[("one", &page("", &["a"]))]);
        asked(&host, &[]);
        same(curls(&host), 1, "calls of curl")?;
        same(times(&host, &format!("{TOKENS}&limit=500")), 1, "questions for the tokens")?;
        same(times(&host, &format!("{NODES}?limit=500")), 1, "questions for the nodes")
    });
    t.row("no API server serves -> no answer at all", || {
        let host = host("", &[]);
        host.stub("serves-kube-apiserver", "500\n");
        same(asked(&host, &[]).0.status, NOT_SERVING, "the status")
    });
    objects(t);
    t.row("nothing of the credentials or the answers is left on the host", || {
        let host = host("*continue=two*) echo two ;; *pods*) echo one ;;", &[("one", &page("two", &["a"])), ("two", &page("", &["b"]))]);
        asked(&host, &[]);
        same(host.list("/dev/shm"), vec![".keep".to_string()], "what is in memory")
    });
}

/// A row: the state of the list of pods, the branches of the shell `case` that choose the page for a path, the pages, and the pods or the error that
/// must be read.
type Row<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str);

/// Adds rows for lists of pods that are complete, paged, cut short, expired or hostile; each row checks which pods or which error is read.
fn lists(t: &mut Table) {
    let both = "*continue=two*) echo two ;; *pods*) echo one ;;";
    let again = r#"*continue=two*) n=$(/bin/cat "$STUB/gone" 2>/dev/null); echo "x$n" >"$STUB/gone"; [ "$n" ] && echo two || echo 410-old ;; *pods*) echo one ;;"#;
    let gone = "*continue=two*) echo 410-old ;; *pods*) echo one ;;";
    let one = page("two", &["a", "b"]);
    let hostile = r#"x","continue":"evil"},"items":[{"#;
    let forged = "x\n@end 200 https://10.0.0.1:6443/api/v1/pods?limit=500&continue=evil\n@done";
    let rows: &[Row<'_>] = &[
        ("has no pods", "", &[], ""),
        ("has one page", "*pods*) echo one ;;", &[("one", &page("", &["a", "b"]))], "a b"),
        ("has two pages", both, &[("one", &one), ("two", &page("", &["c"]))], "a b c"),
        (
            "has three pages",
            "*continue=three*) echo three ;; *continue=two*) echo two ;; *pods*) echo one ;;",
            &[("one", &one), ("two", &page("three", &["c"])), ("three", &page("", &["d"]))],
            "a b c d",
        ),
        (
            "has a page that fails",
            "*continue=two*) echo 504-said ;; *pods*) echo one ;;",
            &[("one", &one), ("504-said", r#"{"kind":"Status","message":"Timeout"}"#)],
            "the API answers 504 to `/api/v1/pods`: Timeout",
        ),
        (
            "has a page that is not answered",
            "*continue=two*) echo 000 ;; *pods*) echo one ;;",
            &[("one", &one)],
            "the API does not answer `/api/v1/pods`",
        ),
        (
            "has a second page that is kept no longer, and then changes no more",
            again,
            &[("one", &one), ("two", &page("", &["c"])), ("410-old", r#"{"message":"The provided continue parameter is too old"}"#)],
            "a b c",
        ),
        (
            "has a second page that is never kept for long enough",
            gone,
            &[("one", &one), ("410-old", r#"{"message":"The provided continue parameter is too old"}"#)],
            "the API answers 410 to `/api/v1/pods`: The provided continue parameter is too old",
        ),
        (
            "is cut short",
            "*pods*) echo one ;;",
            &[("one", &one[..one.len() / 2])],
            "the API's answer to `/api/v1/pods` is not whole: EOF while parsing",
        ),
        (
            "is cut short on its second page",
            both,
            &[("one", &one), ("two", &one[..20])],
            "the API's answer to `/api/v1/pods` is not whole: EOF while parsing",
        ),
        (
            "has names that look like tokens",
            "*pods*) echo one ;;",
            &[("one", &page("", &[hostile, "b"]))],
            "x\",\"continue\":\"evil\"},\"items\":[{ b",
        ),
        ("has names that look like the end of an answer", "*pods*) echo one ;;", &[("one", &page("", &[forged]))], forged),
        (
            "is the API's of another kind, without the token where it is looked for",
            "*pods*) echo one ;;",
            &[("one", "{\"apiVersion\":\"v1\",\"items\":[],\"kind\":\"List\",\"metadata\":{\"continue\":\"two\"}}\n")],
            "the API's answer to `/api/v1/pods` ends before its last page",
        ),
        ("is not known to the API", "*pods*) echo 404 ;;", &[], ""),
    ];
    for (state, answer, pages, wanted) in rows {
        let shown = wanted.lines().next().unwrap_or_default();
        t.row(format!("the list of pods {state} -> {shown:?}"), || {
            let host = host(answer, pages);
            let said = pods(&asked(&host, &[]).1);
            let long = wanted.ends_with("EOF while parsing");
            same(if long { &said[..wanted.len().min(said.len())] } else { &said }, wanted, "the pods")?;
            same(times(&host, "/api/v1/pods?limit=500&continue=evil"), 0, "questions that a name made")?;
            let first = times(&host, "/api/v1/pods?limit=500");
            same(first, if answer.contains("410") { 2 } else { 1 }, "questions for the first page")
        });
    }
    t.row("curl is not answered at all -> every question has failed", || {
        let host = host("", &[]);
        host.inject(Fault::CallFails("curl", "*-K*"));
        let (_, answered) = asked(&host, &[]);
        same(answered.failed.len(), 3, "questions that failed")?;
        same(answered.failed[0].as_str(), "the API does not answer `/api/v1/nodes`: curl: it fails, as the case says", "what is said")
    });
}

/// Adds rows for single objects: a ConfigMap, whose API path is known, so that curl asks for it, and an object of an unknown kind, for which kubectl
/// asks.
fn objects(t: &mut Table) {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "kube-system"}});
    let other = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "b"}});
    let found = |answered: &Answered| {
        let objects = answered.cluster.iter().flat_map(|c| c.objects.keys());
        objects.map(ToString::to_string).chain(answered.failed.iter().cloned()).collect::<Vec<_>>().join("; ")
    };
    let present = format!("/bin/cat <<'END'\n{}\nEND\n", json!({"apiVersion": "v1", "kind": "List", "items": [other]}));
    let rows = [
        ("are there", "*configmaps/a) echo map ;;", present.as_str(), "ConfigMap kube-system/a; Thing b"),
        ("are not there", "*configmaps/a) echo 404 ;;", "", ""),
        (
            "are of kinds that the API does not know",
            "*configmaps/a) echo 404 ;;",
            "echo 'error: no matches for kind \"Thing\"' >&2; exit 1",
            "",
        ),
        (
            "cannot be asked for by kubectl",
            "*configmaps/a) echo map ;;",
            "echo 'The connection was refused' >&2; exit 1",
            "ConfigMap kube-system/a; The connection was refused",
        ),
        (
            "are refused by the API",
            "*configmaps/a) echo 403-no ;;",
            present.as_str(),
            "Thing b; the API answers 403 to `/api/v1/namespaces/kube-system/configmaps/a`: no",
        ),
    ];
    for (state, answer, kubectl, wanted) in rows {
        t.row(format!("objects {state} -> {wanted:?}"), || {
            let host = host(answer, &[("map", &format!("{map}\n")), ("403-no", "no")]);
            host.stub("kubectl.script", kubectl);
            same(found(&asked(&host, &[map.clone(), other.clone()]).1).as_str(), wanted, "what is found")
        });
    }
}
