//! Asks the API, through a control-plane host, for pods and PodDisruptionBudgets, and tries evictions of pods as a dry run.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::url_host;
use crate::host::Cmd;
use crate::script;

const EVICTIONS: &str = script!("lib/admin.sh", "observe/evictions.sh");

/// The API path of the pods in all namespaces.
pub const ALL_PODS: &str = "/api/v1/pods";
/// The API path of the pods that a drain of their node would have to evict: the pods that are bound to a node and have not ended. An observation
/// requests it only if the caller adds it to the lists of [`super::cluster::Questions::new`].
pub const PODS: &str = "/api/v1/pods?fieldSelector=spec.nodeName!%3D,status.phase!%3DSucceeded,status.phase!%3DFailed";
/// The API paths of all PodDisruptionBudgets, newest API version first. Every supported API has at least one of the two versions, so both are
/// requested and the first answer is used.
pub const BUDGETS: [&str; 2] = ["/apis/policy/v1/poddisruptionbudgets", "/apis/policy/v1beta1/poddisruptionbudgets"];

/// Namespace and name of a pod.
pub type PodName = (String, String);

/// The API's answer to an eviction that is tried as a dry run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Answer {
    /// 200 or 201: the pod would be evicted. 429: a PodDisruptionBudget does not allow the eviction now. 404: the pod does not exist any more. 500:
    /// more than one PodDisruptionBudget selects the pod, or the API failed. 0: the API did not answer.
    pub status: u16,
    /// The API's message; empty if the pod would be evicted.
    pub message: String,
}

impl Answer {
    /// Whether the eviction would be refused. Every status except success and 404 counts as a refusal.
    pub fn refuses(&self) -> bool {
        !matches!(self.status, 200..=299 | 404)
    }
}

/// The API paths of the lists that a check of evictions needs from an observation: the lists of pods in `pods`, and those of all
/// PodDisruptionBudgets.
pub fn lists(pods: &[String]) -> Vec<String> {
    pods.iter().cloned().chain(BUDGETS.map(String::from)).collect()
}

/// API path of the pods of one node.
pub fn pods_on(node: &str) -> String {
    format!("{ALL_PODS}?fieldSelector=spec.nodeName%3D{node}")
}

/// Combines the pods of all pod lists in `asked` into one list. `lists` has the lists of an observation by API path. `None` if the API did not return
/// one of the pod lists.
pub fn pods(lists: &BTreeMap<String, Value>, asked: &[String]) -> Option<Value> {
    let mut all = Vec::new();
    for path in asked.iter().filter(|path| path.starts_with(ALL_PODS)) {
        all.extend(lists.get(path)?["items"].as_array().into_iter().flatten().cloned());
    }
    Some(json!({"items": all}))
}

/// The list of PodDisruptionBudgets among the lists of an observation; an empty list if there is none.
pub fn budgets(lists: &BTreeMap<String, Value>) -> Value {
    BUDGETS.iter().find_map(|path| lists.get(*path)).cloned().unwrap_or_else(|| json!({"items": []}))
}

/// The command that tries the eviction of these pods as a dry run on the server. `address` is the address of the API server on the host that runs
/// the command.
pub fn request(address: IpAddr, pods: &[PodName]) -> Cmd {
    // The names of Kubernetes objects contain only these characters; a pod with another name is not requested.
    let plain =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.'));
    let mut input = String::new();
    for (namespace, name) in pods.iter().filter(|(namespace, name)| plain(namespace) && plain(name)) {
        let body = json!({"kind": "Eviction", "metadata": {"namespace": namespace, "name": name}, "deleteOptions": {"dryRun": ["All"]}})
            .to_string();
        input += &format!("/api/v1/namespaces/{namespace}/pods/{name}/eviction\n{}\n", body.trim_start_matches('{'));
    }
    Cmd::script(EVICTIONS).arg("address", url_host(address)).stdin(input).timeout(Duration::from_secs(120))
}

/// Reads the output of `evictions.sh`: the API's answer by pod.
pub fn parse(stdout: &[u8]) -> BTreeMap<PodName, Answer> {
    let text = String::from_utf8_lossy(stdout);
    let (mut answers, mut body) = (BTreeMap::new(), String::new());
    for line in text.lines() {
        let Some((status, url)) = line.strip_prefix("@end ").and_then(|l| l.split_once(' ')) else {
            body += line;
            continue;
        };
        let said = std::mem::take(&mut body);
        let Some(pod) = pod(url) else { continue };
        let status = status.parse().unwrap_or_default();
        let told = serde_json::from_str::<Value>(&said).ok();
        let causes = told.as_ref().and_then(|v| v["details"]["causes"].as_array()).cloned().unwrap_or_default();
        let words = told.iter().map(|v| &v["message"]).chain(causes.iter().map(|c| &c["message"])).filter_map(Value::as_str);
        let message = words.collect::<Vec<_>>().join(" ");
        let good = matches!(status, 200..=299);
        answers.insert(pod, Answer { status, message: if good { String::new() } else { message } });
    }
    answers
}

fn pod(url: &str) -> Option<PodName> {
    let (namespace, rest) = url.split_once("/api/v1/namespaces/")?.1.split_once("/pods/")?;
    Some((namespace.to_string(), rest.strip_suffix("/eviction")?.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Stdin;

    fn named(namespace: &str, name: &str) -> PodName {
        (namespace.into(), name.into())
    }

    #[test]
    fn names_that_are_none_are_not_asked_for() {
        let cmd = request(IpAddr::from([10, 0, 0, 1]), &[named("default", "web-1"), named("default", "a/b\n\"")]);
        let Stdin::Bytes(input) = cmd.stdin else { panic!("no input") };
        assert_eq!(
            String::from_utf8_lossy(input.expose()),
            "/api/v1/namespaces/default/pods/web-1/eviction\n\"kind\":\"Eviction\",\"metadata\":{\"namespace\":\"default\",\"name\":\"web-1\"},\
             \"deleteOptions\":{\"dryRun\":[\"All\"]}}\n"
        );
        assert_eq!(cmd.argv.last().map(String::as_str), Some("address=10.0.0.1"));
    }

    #[test]
    fn answers_are_read_by_pod() {
        let url = |name: &str| format!("https://10.0.0.1:6443/api/v1/namespaces/default/pods/{name}/eviction");
        let no = r#"{"kind":"Status","status":"Failure","message":"Cannot evict pod as it would violate the pod's disruption budget.",
            "details":{"causes":[{"reason":"DisruptionBudget","message":"The disruption budget web needs 2 healthy pods and has 2 currently"}]},"code":429}"#;
        let yes = r#"{"kind":"Status","status":"Success","code":201}"#;
        let text = format!("{no}\n@end 429 {}\n{yes}\n@end 201 {}\n\n@end 404 {}\n", url("a"), url("b"), url("c"));
        let answers = parse(text.as_bytes());
        assert!(answers[&named("default", "a")].refuses() && answers[&named("default", "a")].message.ends_with("has 2 currently"));
        assert_eq!(answers[&named("default", "b")], Answer { status: 201, message: String::new() });
        assert!(!answers[&named("default", "c")].refuses());
    }
}
