//! Tests of `wait_api.sh`, `wait_node.sh`, `wait_back.sh`, `wait_serves.sh`, `wait_endpoint.sh`, `wait_backend.sh` and `wait_rollout.sh`: each script ends
//! within its own limit and reports what it still waits for, whichever tool does not answer.

use std::time::Duration;

use clusterctl::facts::ObjectRef;
use clusterctl::step::{Step, wait};

use super::pods::{all, ended, same};
use super::sandbox::{End, Fault, Sandbox};
use super::table::Table;

const SERVER: &str = "https://10.0.0.1:6443";

/// A host whose API server answers with version 1.30.4, and whose kubelet started 100 s ago and has reported since then that its node is Ready.
fn host() -> Sandbox {
    let host = Sandbox::new();
    // Each `sleep` of a script moves the clock by at least 50 s, so a wait of four minutes is over after a few checks.
    host.stub("pace", "50000\n");
    host.stub("serves-kube-apiserver", "200\n");
    host.stub("answer-version", "{\n  \"gitVersion\": \"v1.30.4\",\n}\n");
    host.write("/var/lib/kubelet/pki/kubelet-client-current.pem", "pem");
    host.write("/proc/uptime", "1000.00 1000.00\n");
    host.write("/proc/4242/stat", "4242 (kubelet) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 90000 0 0\n");
    node(&host, "True", "1970-01-12T13:46:30Z", "v1.30.4");
    host
}

/// Sets the Node that the API returns: the status of its condition Ready, the time of the last heartbeat, and the version of its kubelet. The clock
/// of a sandbox starts at 1970-01-12T13:46:40Z.
fn node(host: &Sandbox, ready: &str, heard: &str, version: &str) {
    let text = format!(
        r#"{{"kind":"Node","status":{{"conditions":[{{"type":"Ready","status":"{ready}","lastHeartbeatTime":"{heard}"}}],"nodeInfo":{{"kubeletVersion":"{version}"}}}}}}"#
    );
    host.stub("answer-api-v1-nodes-w1", &text);
}

fn api() -> Step {
    wait::Api { address: [10, 0, 0, 1].into(), version: "v1.30.4".into() }.into()
}

fn endpoint() -> Step {
    wait::Endpoint { authority: "10.0.0.9:6443".into() }.into()
}

fn registered(ready: bool) -> Step {
    wait::Node { node: "w1".into(), server: SERVER.into(), version: "v1.30.4".into(), ready }.into()
}

fn back() -> Step {
    let api = Some("10.0.0.1:6443".into());
    wait::Back { node: Some("w1".into()), server: SERVER.into(), ready: true, api, etcd: true }.into()
}

fn serves() -> Step {
    let wait = wait::Serves { api: Some("10.0.0.1:6443".into()), etcd: true };
    wait.into()
}

fn rollout(first: bool) -> Step {
    let object = ObjectRef { group: "apps".into(), kind: "DaemonSet".into(), namespace: "kube-system".into(), name: "proxy".into() };
    wait::Rollout { address: [10, 0, 0, 1].into(), object, first }.into()
}

/// A kubectl that answers for a DaemonSet of two nodes, of which w7 is dead. `pod` is the other node with the generation and the readiness of its pod.
fn dead_node(pod: &str) -> String {
    format!(
        "case \"$*\" in *'rollout status'*) exit 1 ;; *'get nodes'*) printf 'm1 True\\nw7 Unknown\\n' ;; \
         *pod-template-generation*) printf '{pod}\\nw7|1|False\\n' ;; *matchLabels*) echo '{{\"k8s-app\":\"kube-proxy\"}}' ;; \
         *deprecated*) printf '1|1|2|2' ;; *observedGeneration*) echo '1 0 0' ;; esac\n"
    )
}

/// How many seconds have passed by the clock of the sandbox.
fn took(host: &Sandbox) -> u64 {
    let now = host.read("/stub/clock").and_then(|c| c.trim().parse::<u64>().ok()).unwrap_or_default();
    now.saturating_sub(1_000_000_000) / 1000
}

fn checks(host: &Sandbox, end: &End, words: &[&str]) -> Result<(), String> {
    all(host, words.iter().map(|w| ended(end, w)).chain([same(took(host) <= 300, true, "it ended within the limit of its command")]))
}

type Make = fn() -> Step;
type Change = fn(&Sandbox);
/// A row: what is wrong with a host, the function that makes it so, and the words that the step's message must contain.
type Row<'a> = (&'a str, Change, &'a [&'a str]);

pub fn table(t: &mut Table) {
    let fine: [(&str, Make); 7] = [
        ("api", api),
        ("endpoint", endpoint),
        ("node ready", || registered(true)),
        ("node registered", || registered(false)),
        ("back", back),
        ("serves", serves),
        ("rollout", || rollout(false)),
    ];
    for (name, step) in fine {
        t.row(format!("{name}: everything is as it should be -> done at once"), || {
            let host = host();
            let end = host.apply(step());
            all(&host, [ended(&end, "done"), same(took(&host), 0, "it took")])
        });
    }
    let api_rows: &[Row] = &[
        ("it does not serve", |h| h.stub("serves-kube-apiserver", "500\n"), &["not ready at v1.30.4 after 240 s", "/readyz answers 500"]),
        ("another version serves", |h| h.stub("answer-version", "\"gitVersion\": \"v1.29.0\","), &["it serves version v1.29.0"]),
        ("nothing answers", |h| h.inject(Fault::Hangs("curl", "*")), &["/readyz answers 000"]),
        (
            "the kubelet does not run either",
            |h| {
                h.stub("serves-kube-apiserver", "000\n");
                h.kubelet("failed");
            },
            &["/readyz answers 000", "the kubelet is not running"],
        ),
        (
            "the host has put the previous one back",
            |h| h.write("/var/lib/clusterctl/static-pods/kube-apiserver.failed.run1", "the previous manifest is back\n"),
            &["the previous manifest is back"],
        ),
        (
            "beside its logs are those of a tenant's API server and of a container that is being created",
            |h| {
                h.stub("serves-kube-apiserver", "500\n");
                h.write("/var/log/pods/kube-system_kube-apiserver-m1_0dd/kube-apiserver/0.log", "its own last words\n");
                h.write("/var/log/pods/kube-system_kube-apiserver-m1_0dd/kube-apiserver/1.log", "");
                h.write("/var/log/pods/kube-system_kube-apiserver-t_a-b-c/kube-apiserver/0.log", "a tenant's words\n");
            },
            &["its own last words"],
        ),
    ];
    let endpoint_rows: &[Row] = &[
        ("it answers with an error", |h| h.stub("serves-kube-apiserver", "503\n"), &["10.0.0.9:6443", "/readyz answers 503"]),
        ("nothing answers", |h| h.inject(Fault::Hangs("curl", "*")), &["10.0.0.9:6443", "nothing answers TLS there: curl: no answer"]),
    ];
    let ready_rows: &[Row] = &[
        ("it is not Ready", |h| node(h, "False", "1970-01-12T13:46:30Z", "v1.30.4"), &["node w1 is not ready", "not Ready"]),
        ("its kubelet is another one", |h| node(h, "True", "1970-01-12T13:46:30Z", "v1.29.0"), &["its kubelet is not at v1.30.4"]),
        (
            "only an earlier kubelet has said that it is Ready",
            |h| node(h, "True", "1970-01-12T13:44:00Z", "v1.30.4"),
            &["its kubelet has said nothing since it started"],
        ),
        ("its kubelet does not run", |h| h.stub("units/kubelet.MainPID", "0\n"), &["its kubelet does not run"]),
        ("systemd does not answer", |h| h.inject(Fault::Hangs("systemctl", "show*")), &["systemd does not say whether its kubelet runs"]),
        ("nothing answers", |h| h.inject(Fault::Hangs("curl", "*")), &["node w1 is not ready", "curl: no answer within 3 s"]),
    ];
    let registered_rows: &[Row] = &[
        (
            "it has no certificate",
            |h| h.remove("/var/lib/kubelet/pki/kubelet-client-current.pem"),
            &["the kubelet has no client certificate yet"],
        ),
        (
            "the API says something else",
            |h| h.stub("answer-api-v1-nodes-w1", "{\"kind\":\"Status\",\"message\":\"nodes \\\"w1\\\" not found\"}"),
            &["not found"],
        ),
    ];
    let back_rows: &[Row] = &[
        (
            "its member is not healthy",
            |h| h.inject(Fault::CallFails("etcdctl", "*")),
            &["not back in service after 240 s", "its etcd member: etcdctl: it fails"],
        ),
        ("its member hangs", |h| h.inject(Fault::Hangs("etcdctl", "*")), &["its etcd member: etcdctl: no answer within 3 s"]),
        ("its API hangs", |h| h.inject(Fault::Hangs("curl", "*readyz")), &["the API at 10.0.0.1:6443: /readyz answers 000"]),
        ("its node is not Ready", |h| node(h, "False", "1970-01-12T13:46:30Z", "v1.30.4"), &["not Ready"]),
    ];
    let serves_rows: &[Row] = &[
        (
            "its member has no leader yet",
            |h| h.inject(Fault::CallFails("etcdctl", "*")),
            &["does not serve with its new certificates after 240 s", "its etcd member: etcdctl: it fails"],
        ),
        ("its member hangs", |h| h.inject(Fault::Hangs("etcdctl", "*")), &["its etcd member: etcdctl: no answer within 3 s"]),
        ("its API server is not ready", |h| h.stub("serves-kube-apiserver", "500\n"), &["the API at 10.0.0.1:6443: /readyz answers 500"]),
        (
            "its API server still has the expired certificate",
            |h| h.inject(Fault::CallFails("curl", "*--cacert*readyz")),
            &["the API at 10.0.0.1:6443: /readyz answers"],
        ),
        (
            "the kubelet does not run",
            |h| {
                h.stub("serves-kube-apiserver", "000\n");
                h.kubelet("failed");
                h.write("/var/log/pods/kube-system_kube-apiserver-m1_0dd/kube-apiserver/0.log", "its last words\n");
            },
            &["the kubelet is not running", "last lines of kube-apiserver:", "its last words"],
        ),
    ];
    let rollout_rows: &[Row] = &[
        (
            "the API server hangs",
            |h| h.inject(Fault::Hangs("kubectl", "*")),
            &["has made no progress for 240 s", "the API server at 10.0.0.1:6443 does not answer it"],
        ),
        ("the API server fails", |h| h.inject(Fault::CallFails("kubectl", "*")), &["has made no progress for 240 s", "kubectl: it fails"]),
    ];
    for (pod, wanted) in [("m1|2|True", true), ("m1|1|True", false), ("m1|2|False", false)] {
        t.row(format!("rollout: w7 is not Ready, and the pod of the other node is {pod} -> done: {wanted}, and w7 is named"), || {
            let host = host();
            host.stub("kubectl.script", &dead_node(pod));
            let end = host.apply(rollout(false));
            let named = end.said().contains("these nodes are not Ready: w7;") && end.said().contains("remove NODE --dead");
            all(&host, [same(end == End::Done, wanted, "it is done"), same(named, !wanted, "w7 is named")])
        });
    }
    let steps: [(&str, Make, &[Row]); 7] = [
        ("api", api, api_rows),
        ("endpoint", endpoint, endpoint_rows),
        ("node", || registered(true), ready_rows),
        ("node", || registered(false), registered_rows),
        ("back", back, back_rows),
        ("serves", serves, serves_rows),
        ("rollout", || rollout(true), rollout_rows),
    ];
    for (name, step, rows) in steps {
        for (what, change, words) in rows {
            t.row(format!("{name}: {what} -> it ends with that"), || {
                let host = host();
                change(&host);
                let end = host.apply(step());
                // The limit of a rollout is longer than the one that `checks` compares with, so only the words are checked.
                if name == "rollout" { all(&host, words.iter().map(|w| ended(&end, w))) } else { checks(&host, &end, words) }
            });
        }
    }
    backends(t);
}

/// The answer of haproxy's admin socket to `show stat`, with this state of the server `m1`.
fn answer(state: &str) -> String {
    let fields = |name: &str, state: &str| format!("api,{name}{}{state},1\n", ",0".repeat(15) + ",");
    format!("# pxname,svname\n{}{}", fields("m0", "DOWN"), fields("m1", state))
}

/// A stub of haproxy's admin socket. It answers each connection with the next of `words`, and with the last one again when all are used. If `words`
/// is empty, it never answers.
fn balancer(host: &Sandbox, words: &[&str]) -> std::thread::JoinHandle<()> {
    std::fs::create_dir_all(host.path("/run/haproxy")).expect("a folder can be made");
    let listener = std::os::unix::net::UnixListener::bind(host.path("/run/haproxy/admin.sock")).expect("a socket can be made");
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    let gone = host.path("/run/haproxy/gone");
    std::thread::spawn(move || {
        let mut silent = vec![];
        for n in 0.. {
            let Ok((mut stream, _)) = listener.accept() else { return };
            if gone.exists() {
                return;
            }
            match words.get(n).or(words.last()) {
                Some(text) => {
                    let _ = std::io::BufRead::read_line(&mut std::io::BufReader::new(&stream), &mut String::new());
                    let _ = std::io::Write::write_all(&mut stream, text.as_bytes());
                }
                None => silent.push(stream),
            }
        }
    })
}

fn backends(t: &mut Table) {
    let wait = || wait::Backend { balancer: "b1".into(), server: "m1".into(), limit: Duration::from_secs(30) };
    let (up, down) = (answer("UP"), answer("DOWN 1/3"));
    let unknown = "# pxname,svname\n".to_string();
    let rows: [(&str, Vec<&str>, &[&str]); 6] = [
        ("it sends requests there", vec![&up], &["done"]),
        ("it takes it back after a while", vec![&down, &down, &up], &["done"]),
        ("it does not take it back", vec![&down], &["haproxy has not taken m1 back after 30 s: it is DOWN 1/3"]),
        ("it does not know the server", vec![&unknown], &["done"]),
        ("it ends its answer early, as when it is reloaded -> that says nothing", vec!["", "", &down], &["it is DOWN 1/3"]),
        ("it ends its answer early for ever", vec![""], &["haproxy has not taken m1 back after 30 s", "it does not answer at"]),
    ];
    for (what, words, wanted) in rows {
        t.row(format!("backend: {what} -> {wanted:?}"), || {
            let host = host();
            host.stub("pace", "5000\n");
            let asked = balancer(&host, &words);
            let end = host.apply(wait());
            host.write("/run/haproxy/gone", "");
            let _ = std::os::unix::net::UnixStream::connect(host.path("/run/haproxy/admin.sock"));
            let _ = asked.join();
            checks(&host, &end, wanted)
        });
    }
    t.row("backend: it takes the question and never answers -> it ends with that", || {
        let host = host();
        let asked = balancer(&host, &[]);
        host.stub("really", "");
        let end = host.apply(wait());
        host.write("/run/haproxy/gone", "");
        let _ = std::os::unix::net::UnixStream::connect(host.path("/run/haproxy/admin.sock"));
        let _ = asked.join();
        checks(&host, &end, &["it does not answer at"])
    });
    t.row("backend: no haproxy runs there -> there is nothing to wait for", || {
        let host = host();
        let end = host.apply(wait());
        all(&host, [ended(&end, "done")])
    });
}
