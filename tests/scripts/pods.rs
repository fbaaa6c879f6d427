//! Static pods of a sandbox: makes static pod manifests whose pods are healthy or fail, makes hosts that run them, and checks the state of a host
//! after a step.

use clusterctl::step::static_pod::SwapPolicy;
use clusterctl::step::{ApiWithEtcd, StaticPod};
use std::time::Duration;

use super::sandbox::{End, Sandbox};

/// The output of `etcdctl endpoint status` for the host's own etcd member, which is not the leader.
const STATUS: &str = r#"[{"Endpoint":"https://127.0.0.1:2379","Status":{"header":{"cluster_id":1,"member_id":1,"raft_term":2},"version":"3.5.1","leader":2}}]"#;

/// A static pod manifest of the component with this image tag. `marks` are comment lines such as `# crashes`, by which the stubs decide how the pod
/// behaves.
pub fn manifest(component: &str, tag: &str, marks: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {component}\nspec:\n  containers:\n  - name: {component}\n    image: site/{component}:{tag}\n    command: [{component}]\n{marks}"
    )
}

/// The step that swaps the component's static pod manifest for this one, and watches the new pod for `watch` seconds.
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

/// The step that swaps the static pod manifests of etcd and of the API server on the same host together.
pub fn both(etcd: &str, api: &str) -> ApiWithEtcd {
    ApiWithEtcd { etcd: Some(pod("etcd", etcd.into(), 0)), api: Some(pod("kube-apiserver", api.into(), 0)) }
}

/// A host whose kubelet runs these components as static pods with the image tag `old`. The images of all tags that the tests use are on the host.
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

/// Sets up the host's etcd as the only member of a cluster that is established, so that the check of the quorum (`quorum.sh`) allows every script to
/// stop it.
pub fn member(host: &Sandbox) {
    host.write("/var/lib/clusterctl/established", "ha\n");
    for file in ["healthcheck-client.key", "healthcheck-client.crt", "peer.key", "peer.crt"] {
        host.write(&format!("/etc/kubernetes/pki/etcd/{file}"), "pem");
    }
    host.stub("etcdctl.endpoint-status", STATUS);
    host.stub("etcdctl.member-list", "1, started, m1, https://10.0.0.1:2380, https://10.0.0.1:2379, false\n");
    host.stub("etcdctl.endpoint-health", r#"[{"endpoint":"https://10.0.0.2:2379","health":true}]"#);
}

/// The path of a component's static pod manifest on a host.
pub fn path(component: &str) -> String {
    format!("/etc/kubernetes/manifests/{component}.yaml")
}

/// The ID of the process that runs a component; `None` if the stub of the kubelet runs none.
pub fn process(host: &Sandbox, component: &str) -> Option<String> {
    host.read(&format!("/stub/pods/{component}/pid"))
}

/// Checks that the component's static pod manifest on the host is one of `one_of`.
pub fn in_place(host: &Sandbox, component: &str, one_of: &[&str]) -> Result<(), String> {
    let now = host.read(&path(component)).unwrap_or_default();
    if one_of.contains(&now.as_str()) { Ok(()) } else { Err(format!("the manifest of {component} is {now:?}")) }
}

/// Checks that a swap has left no manifest that was to be placed, no drop-in of the kubelet's unit and no packet filter rule. Files that
/// `wait::Settled` removes later are allowed.
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

/// Checks how a step ended. `wanted` is `done`, `fenced` or `killed`; any other text means that the step was refused with an output that contains the
/// text.
pub fn ended(end: &End, wanted: &str) -> Result<(), String> {
    let is = match end {
        End::Done => wanted == "done",
        End::Refused(said) => wanted != "done" && said.contains(wanted),
        End::Fenced(_) => wanted == "fenced",
        End::Killed => wanted == "killed",
    };
    if is { Ok(()) } else { Err(format!("it ended {end:?}, not {wanted:?}")) }
}

/// Fails with the error of the first check that failed, followed by the log of the calls of the tools.
pub fn all(host: &Sandbox, answers: impl IntoIterator<Item = Result<(), String>>) -> Result<(), String> {
    match answers.into_iter().find_map(Result::err) {
        None => Ok(()),
        Some(why) => Err(format!("{why}\n{}", host.log())),
    }
}

/// Checks that the two values are equal; `what` names them in the error.
pub fn same<T: PartialEq + std::fmt::Debug>(a: T, b: T, what: &str) -> Result<(), String> {
    if a == b { Ok(()) } else { Err(format!("{what}: {a:?}, then {b:?}")) }
}

/// The index of the last line of the log that contains all of these words; `None` if no line does. Each line is a call of a tool.
pub fn last_call(log: &str, words: &[&str]) -> Option<usize> {
    log.split_inclusive('\n').enumerate().filter(|(_, line)| words.iter().all(|w| line.contains(w))).last().map(|(n, _)| n)
}
