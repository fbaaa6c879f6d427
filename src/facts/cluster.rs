//! Asks the API, through a control-plane host, for the nodes, the bootstrap tokens and the objects that clusterctl manages.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::answers::{self, LIMIT};
use super::evictions::ALL_PODS;
use super::{ClusterFacts, ObjectRef, url_host};
use crate::host::{Cmd, HostName, Output};
use crate::script;

const CLUSTER: &str = script!("lib/admin.sh", "observe/cluster.sh");

/// The exit status of `cluster.sh` if the host's API server is not ready.
pub const NOT_SERVING: i32 = 3;

/// The description of the bootstrap tokens that runs of clusterctl create, by which a later run finds the tokens of an interrupted run.
pub const TOKEN_DESCRIPTION: &str = "clusterctl join, made for one run";

const NODES: &str = "/api/v1/nodes";
/// API path of all bootstrap tokens.
pub const TOKENS: &str = "/api/v1/namespaces/kube-system/secrets?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken";

/// The limit of the whole script. The script limits each page and each round of pages, but the number of rounds is known only at the end. 30,000
/// pods took 14 s on two cores.
const TIMEOUT: Duration = Duration::from_secs(1800);

/// Kinds with known API paths: API version, kind, plural. Objects of other kinds are requested by kubectl, which first asks the API for their
/// paths.
const PLURALS: [(&str, &str, &str); 14] = [
    ("v1", "ConfigMap", "configmaps"),
    ("v1", "Namespace", "namespaces"),
    ("v1", "Secret", "secrets"),
    ("v1", "Service", "services"),
    ("v1", "ServiceAccount", "serviceaccounts"),
    ("apps/v1", "DaemonSet", "daemonsets"),
    ("apps/v1", "Deployment", "deployments"),
    ("apps/v1", "StatefulSet", "statefulsets"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings"),
    ("rbac.authorization.k8s.io/v1", "Role", "roles"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions"),
];

/// The API path of an object of a known kind; `None` for other kinds.
fn path(object: &Value) -> Option<String> {
    let (api, kind) = (object["apiVersion"].as_str()?, object["kind"].as_str()?);
    let (_, _, plural) = PLURALS.iter().find(|(a, k, _)| *a == api && *k == kind)?;
    let root = if api.contains('/') { format!("/apis/{api}") } else { format!("/api/{api}") };
    let name = object["metadata"]["name"].as_str()?;
    Some(match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{root}/namespaces/{namespace}/{plural}/{name}"),
        None => format!("{root}/{plural}/{name}"),
    })
}

/// What one run of `cluster.sh` requests from the API.
pub struct Questions {
    /// The API paths of all requested lists, which include those of the nodes and the bootstrap tokens, and of the objects of known kinds, in the
    /// order of the requests.
    paths: Vec<String>,
    lists: BTreeSet<String>,
    /// The objects of kinds that are not in [`PLURALS`], reduced to kind, name and namespace. kubectl requests them.
    others: Vec<Value>,
}

/// The answers of one API server to all requests.
#[derive(Default)]
pub struct Answered {
    /// `None` if the API did not return the list of nodes or the list of bootstrap tokens.
    pub cluster: Option<ClusterFacts>,
    /// The lists that the API returned, by path. A list that the API does not know is absent.
    pub lists: BTreeMap<String, Value>,
    /// The reasons why requests failed, one sentence per request.
    pub failed: Vec<String>,
}

impl Questions {
    /// Requests for the nodes, the bootstrap tokens, `objects`, and the lists with the API paths in `lists`.
    pub fn new(objects: &[Value], lists: &[String]) -> Self {
        let lists = [NODES, TOKENS].map(String::from).into_iter().chain(lists.iter().cloned()).collect::<Vec<_>>();
        let mut paths = lists.clone();
        let mut others = Vec::new();
        for o in objects {
            match path(o) {
                // The names of Kubernetes objects contain none of these characters; kubectl requests an object whose path contains one of them.
                Some(path) if !path.contains(['\n', '"', '\\', ' ']) => paths.push(path),
                _ => others.push(json!({"apiVersion": o["apiVersion"], "kind": o["kind"],
                    "metadata": {"name": o["metadata"]["name"], "namespace": o["metadata"]["namespace"]}})),
            }
        }
        let mut seen = BTreeSet::new();
        paths.retain(|path| seen.insert(path.clone()));
        // The lists of pods are the longest, so they are requested last and no short answer has to wait for them.
        paths.sort_by_key(|path| path.starts_with(ALL_PODS));
        Questions { paths, lists: lists.into_iter().collect(), others }
    }

    /// The command that asks the API server at this address; it runs on the host of the API server.
    pub fn request(&self, address: IpAddr) -> Cmd {
        let mut input = String::new();
        for path in &self.paths {
            let limit = match (self.lists.contains(path), path.contains('?')) {
                (false, _) => String::new(),
                (true, false) => format!("?{LIMIT}"),
                (true, true) => format!("&{LIMIT}"),
            };
            input += &format!("{path}{limit}\n");
        }
        input += "---\n";
        if !self.others.is_empty() {
            input += &json!({"apiVersion": "v1", "kind": "List", "items": self.others}).to_string();
        }
        Cmd::script(CLUSTER).arg("address", url_host(address)).stdin(input).timeout(TIMEOUT)
    }

    /// Reads the output of the command of [`Questions::request`], which ran on the host `via`.
    pub fn read(&self, via: &HostName, out: &Output) -> Answered {
        let said = String::from_utf8_lossy(&out.stderr);
        let (mut answers, others) = answers::read(&self.paths, &out.stdout, said.trim());
        let mut answered = Answered::default();
        let mut facts = ClusterFacts { via: via.clone(), ..ClusterFacts::default() };
        let whole = [NODES, TOKENS].iter().all(|path| matches!(answers.get(*path), Some(Ok(Some(_)))));
        for path in &self.paths {
            match answers.remove(path) {
                Some(Ok(Some(value))) if !self.lists.contains(path) => drop(facts.objects.insert(ObjectRef::of(&value), value)),
                Some(Ok(Some(list))) => {
                    learn(&mut facts, path, &list);
                    answered.lists.insert(path.clone(), list);
                }
                Some(Ok(None)) | None => {}
                Some(Err(why)) => answered.failed.push(why),
            }
        }
        match others {
            Ok(objects) => facts.objects.extend(objects.into_iter().map(|o| (ObjectRef::of(&o), o))),
            Err(_) if self.others.is_empty() => {}
            Err(why) => answered.failed.push(why),
        }
        answered.cluster = whole.then_some(facts);
        answered
    }
}

fn learn(facts: &mut ClusterFacts, path: &str, list: &Value) {
    let items = || list["items"].as_array().into_iter().flatten();
    match path {
        NODES => facts.nodes.extend(items().map(|n| (name(n), n.clone()))),
        TOKENS => {
            facts.run_tokens.extend(items().filter_map(run_token));
            facts.tokens.extend(items().map(token_id));
        }
        _ => {}
    }
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_string()
}

/// The ID of a token that a run of clusterctl created; `None` for other tokens.
fn run_token(secret: &Value) -> Option<String> {
    use base64::Engine;
    let description = base64::engine::general_purpose::STANDARD.decode(secret["data"]["description"].as_str()?).ok()?;
    (description == TOKEN_DESCRIPTION.as_bytes()).then(|| token_id(secret))
}

fn token_id(secret: &Value) -> String {
    name(secret).trim_start_matches("bootstrap-token-").to_string()
}
