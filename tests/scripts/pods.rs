//! Static pods of a sandbox: manifests whose pods serve or do not serve, hosts that run them, and checks of what must hold afterwards.

use clusterctl::step::static_pod::SwapPolicy;
use clusterctl::step::{ApiWithEtcd, StaticPod};
use std::time::Duration;

use super::sandbox::{End, Sandbox};

/// The status that the host's own member of etcd reports about itself.
const STATUS: &str = r#"[{"Endpoint":"https://127.0.0.1:2379","Status":{"header":{"cluster_id":1,"member_id":1,"raft_term":2},"version":"3.5.1","leader":2}}]"#;

/// A manifest with this tag of the image. `marks` are lines that the stub of the kubelet reads.
pub fn manifest(component: &str, tag: &str, marks: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {component}\nspec:\n  containers:\n  - name: {component}\n    image: site/{component}:{tag}\n    command: [{component}]\n{marks}"
    )
}

/// The step that runs this manifest, watched for `watch` seconds.
pub fn pod(component: &'static str, manifest: String, watch: u64) -> StaticPod {
    let port = match component {
        "etcd" => "http://127.0.0.1:2381/health",
        "kube-apiserver" => "https://127.0.0.1:6443/readyz",
        "kube-controller-manager" => "https://127.0.0.1:10257/healthz",
        _ => "https://127.0.0.1:10259/healthz",
    };
    let care = SwapPolicy { balancers: "10.0.0.9".into(), watch: Duration::from_secs(watch) };
    StaticPod::new(component, manifest, port.into(), care).expect("the manifest is YAML")
}

/// etcd and its API server as one step.
pub fn both(etcd: &str, api: &str) -> ApiWithEtcd {
    ApiWithEtcd { etcd: Some(pod("etcd", etcd.into(), 0)), api: Some(pod("kube-apiserver", api.into(), 0)) }
}

/// A host whose kubelet runs these components at the tag `old`.
pub fn standing(components: &[&str]) -> Sandbox {
    let host = Sandbox::new();
    let images = |c: &&str| ["3.4.1", "3.5.1", "3.5.2", "3.6.1", "old", "new", "next"].map(|tag| format!("site/{c}:{tag}\n")).concat();
    host.stub("images", &components.iter().map(images).collect::<String>());
    for component in components {
        host.write(&path(component), &manifest(component, "old", ""));
    }
    if components.contains(&"etcd") {
        member(&host);
    }
    host.tick();
    host
}

/// Makes the host's etcd a member that the others can do without, because it is the only member.
pub fn member(host: &Sandbox) {
    host.write("/var/lib/clusterctl/established", "ha\n");
    for file in ["healthcheck-client.key", "healthcheck-client.crt", "peer.key", "peer.crt"] {
        host.write(&format!("/etc/kubernetes/pki/etcd/{file}"), "pem");
    }
    host.stub("etcdctl.endpoint-status", STATUS);
    host.stub("etcdctl.member-list", "1, started, m1, https://10.0.0.1:2380, https://10.0.0.1:2379, false\n");
    host.stub("etcdctl.endpoint-health", r#"[{"endpoint":"https://10.0.0.2:2379","health":true}]"#);
}

/// The path of a component's manifest.
pub fn path(component: &str) -> String {
    format!("/etc/kubernetes/manifests/{component}.yaml")
}

/// The ID of the process that runs a component.
pub fn process(host: &Sandbox, component: &str) -> Option<String> {
    host.read(&format!("/stub/pods/{component}/pid"))
}

/// The manifest that is in place is one of these.
pub fn in_place(host: &Sandbox, component: &str, one_of: &[&str]) -> Result<(), String> {
    let now = host.read(&path(component)).unwrap_or_default();
    if one_of.contains(&now.as_str()) { Ok(()) } else { Err(format!("the manifest of {component} is {now:?}")) }
}

/// Nothing is left of a transaction except what `Wait::Settled` removes.
pub fn clean(host: &Sandbox) -> Result<(), String> {
    let manifests = host.list("/etc/kubernetes/manifests").into_iter().filter(|n| n.starts_with('.'));
    let state = host
        .list("/var/lib/clusterctl/static-pods")
        .into_iter()
        .filter(|n| n.ends_with(".new") || n.ends_with(".rules") || n.starts_with('.'));
    let drop_ins = host.list("/etc/systemd/system/kubelet.service.d").into_iter();
    let left: Vec<String> = manifests.chain(state).chain(drop_ins).collect();
    let rules = host.read("/stub/rules").unwrap_or_default();
    if left.is_empty() && rules.is_empty() { Ok(()) } else { Err(format!("left behind: {left:?}; rules {rules:?}")) }
}

/// The step ended as `wanted` says: `done`, `fenced`, `killed`, or any other words for a refusal that contains them.
pub fn ended(end: &End, wanted: &str) -> Result<(), String> {
    let is = match end {
        End::Done => wanted == "done",
        End::Refused(said) => wanted != "done" && said.contains(wanted),
        End::Fenced(_) => wanted == "fenced",
        End::Killed => wanted == "killed",
    };
    if is { Ok(()) } else { Err(format!("it ended {end:?}, not {wanted:?}")) }
}

/// The first check that failed, with the calls of the tools.
pub fn all(host: &Sandbox, answers: impl IntoIterator<Item = Result<(), String>>) -> Result<(), String> {
    match answers.into_iter().find_map(Result::err) {
        None => Ok(()),
        Some(why) => Err(format!("{why}\n{}", host.log())),
    }
}

/// The two values are equal.
pub fn same<T: PartialEq + std::fmt::Debug>(a: T, b: T, what: &str) -> Result<(), String> {
    if a == b { Ok(()) } else { Err(format!("{what}: {a:?}, then {b:?}")) }
}

/// The position of the last call that contains all of these words, among the calls of the tools.
pub fn last_call(log: &str, words: &[&str]) -> Option<usize> {
    log.split_inclusive('\n').enumerate().filter(|(_, line)| words.iter().all(|w| line.contains(w))).last().map(|(n, _)| n)
}
