//! Asks the API, through a control-plane host, for the objects we keep and for the nodes.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::{ClusterFacts, ObjectRef};
use crate::host::{Cmd, HostName};

const CLUSTER: &str = concat!(include_str!("../host/remote/admin.sh"), include_str!("../host/remote/cluster.sh"));

/// Exit status of the script when no API server serves on the host.
pub const NOT_SERVING: i32 = 3;

/// How our runs describe the bootstrap tokens they make, so that a later run finds what an interrupted one left.
pub const TOKEN_DESCRIPTION: &str = "clusterctl join, made for one run";

const NODES: &str = "/api/v1/nodes";
const TOKENS: &str = "/api/v1/namespaces/kube-system/secrets?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken";

/// All bootstrap tokens; asked for by `token list`.
pub const ALL_TOKENS: &str = "/api/v1/namespaces/kube-system/secrets?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken&limit=500";

/// Kinds whose API paths are known: API version, kind, plural. Others are left to kubectl, which asks the API for them first.
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

/// The API path of an object of a known kind.
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

/// The command for these objects; `raw` are further API paths, answered as they are.
pub fn request(address: std::net::IpAddr, objects: &[Value], raw: &[&str]) -> Cmd {
    let mut input = format!("{NODES}\n{TOKENS}\n");
    let mut unknown = Vec::new();
    for o in objects {
        match path(o) {
            // Names are Kubernetes' own and hold no line ends; what does is not asked for.
            Some(path) if !path.contains(['\n', '"', '\\', ' ']) => input += &format!("{path}\n"),
            _ => unknown.push(json!({"apiVersion": o["apiVersion"], "kind": o["kind"],
                "metadata": {"name": o["metadata"]["name"], "namespace": o["metadata"]["namespace"]}})),
        }
    }
    input.extend(raw.iter().map(|path| format!("{path}\n")));
    input += "---\n";
    if !unknown.is_empty() {
        input += &json!({"apiVersion": "v1", "kind": "List", "items": unknown}).to_string();
    }
    let address = match address {
        std::net::IpAddr::V6(a) => format!("[{a}]"),
        std::net::IpAddr::V4(a) => a.to_string(),
    };
    Cmd::script(CLUSTER, [address]).stdin(input).timeout(Duration::from_secs(30))
}

/// Reads the answer: the facts, and the bodies by path.
pub fn parse(via: &HostName, stdout: &[u8]) -> Result<(ClusterFacts, BTreeMap<String, Value>), String> {
    let text = String::from_utf8_lossy(stdout);
    let (answers, kubectl) = text.split_once("\n@kubectl\n").unwrap_or((&text, ""));
    let mut facts = ClusterFacts { via: via.clone(), ..ClusterFacts::default() };
    let mut raw = BTreeMap::new();
    let mut body = String::new();
    for line in answers.lines() {
        let Some((status, url)) = line.strip_prefix("@end ").and_then(|l| l.split_once(' ')) else {
            body += line;
            continue;
        };
        let path = url.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..])).unwrap_or(url);
        answer(&mut facts, &mut raw, path, status, &std::mem::take(&mut body))?;
    }
    if !kubectl.trim().is_empty() {
        let list: Value = serde_json::from_str(kubectl).map_err(|e| format!("kubectl's answer is not JSON: {e}"))?;
        let items = list["items"].as_array().cloned().unwrap_or_else(|| vec![list.clone()]);
        facts.objects.extend(items.into_iter().map(|o| (ObjectRef::of(&o), o)));
    }
    Ok((facts, raw))
}

fn answer(facts: &mut ClusterFacts, raw: &mut BTreeMap<String, Value>, path: &str, status: &str, body: &str) -> Result<(), String> {
    if status == "404" {
        return Ok(());
    }
    if status != "200" {
        return Err(format!("the API answers {status} to `{path}`: {}", body.chars().take(300).collect::<String>()));
    }
    let value: Value = serde_json::from_str(body).map_err(|e| format!("the API's answer to `{path}` is not JSON: {e}"))?;
    let items = || value["items"].as_array().into_iter().flatten();
    match path {
        NODES => facts.nodes.extend(items().map(|n| (name(n), n.clone()))),
        TOKENS => {
            facts.run_tokens.extend(items().filter_map(run_token));
            facts.tokens.extend(items().map(token_id));
        }
        _ if value["metadata"]["name"].is_string() => drop(facts.objects.insert(ObjectRef::of(&value), value)),
        _ => drop(raw.insert(path.to_string(), value)),
    }
    Ok(())
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_string()
}

/// The id of a token made by one of our runs.
fn run_token(secret: &Value) -> Option<String> {
    use base64::Engine;
    let description = base64::engine::general_purpose::STANDARD.decode(secret["data"]["description"].as_str()?).ok()?;
    (description == TOKEN_DESCRIPTION.as_bytes()).then(|| token_id(secret))
}

fn token_id(secret: &Value) -> String {
    name(secret).trim_start_matches("bootstrap-token-").to_string()
}
