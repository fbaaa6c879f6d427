//! Applies Kubernetes objects with server-side apply under the field manager `clusterctl`.

use std::net::IpAddr;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::{Answers, KUBECTL, StepError, carry_out, kept, missing, on_api, text_diff};
use crate::facts::{Facts, ObjectRef};
use crate::fenced;
use crate::host::{Host, HostName};

/// Objects as they should be, in the order in which they are applied.
#[derive(Clone, Debug)]
pub struct Object {
    /// Address of the API server on the host of the step.
    pub address: IpAddr,
    pub objects: Vec<Value>,
}

/// Fields whose maps and lists clusterctl owns entirely. If somebody else adds an entry to such a field, the object is applied again.
const WHOLE: [&str; 5] = ["data", "rules", "subjects", "roleRef", "stringData"];

/// Reduces the observed object `now` to the fields of `wanted`, so that the two can be compared. An empty field of `wanted` that `now` does not have
/// is added, because the API server drops empty fields.
fn project(wanted: &Value, now: &Value) -> Value {
    match (wanted, now) {
        (Value::Object(w), Value::Object(n)) => {
            let mut out = Map::new();
            for (key, value) in w {
                match n.get(key) {
                    Some(have) if WHOLE.contains(&key.as_str()) => drop(out.insert(key.clone(), without_signatures(have))),
                    Some(have) => drop(out.insert(key.clone(), project(value, have))),
                    None if is_empty(value) => drop(out.insert(key.clone(), value.clone())),
                    None => {}
                }
            }
            Value::Object(out)
        }
        (Value::Array(w), Value::Array(n)) if w.len() == n.len() => Value::Array(w.iter().zip(n).map(|(w, n)| project(w, n)).collect()),
        _ => now.clone(),
    }
}

/// The data of a ConfigMap without the signatures that the controller manager adds to cluster-info for each bootstrap token, so that they do not
/// count as a difference.
fn without_signatures(data: &Value) -> Value {
    let mut data = data.clone();
    if let Value::Object(map) = &mut data {
        map.retain(|key, _| !key.starts_with("jws-kubeconfig-"));
    }
    data
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.values().all(is_empty),
        _ => false,
    }
}

/// Whether the observed object has everything that the wanted object has or, in an adopted cluster, means the same.
fn holds(wanted: &Value, facts: &Facts) -> bool {
    let says = |now: Value| now == *wanted || kept::object(facts, wanted, now);
    observed(wanted, facts).is_some_and(|now| says(project(wanted, now)))
}

fn observed<'a>(wanted: &Value, facts: &'a Facts) -> Option<&'a Value> {
    facts.cluster.as_ref()?.objects.get(&ObjectRef::of(wanted))
}

/// The object as text for people. The values of a Secret are not shown, only whether they differ from those of `other`.
fn shown(object: &Value, other: Option<&Value>) -> String {
    let mut object = object.clone();
    if object["kind"] == "Secret" {
        for field in ["data", "stringData"] {
            for (key, value) in object.get_mut(field).and_then(Value::as_object_mut).into_iter().flatten() {
                let same = other.is_some_and(|o| o[field][key] == *value);
                *value = if same { "(not shown)" } else { "(not shown, differs)" }.into();
            }
        }
    }
    yaml(&object)
}

fn yaml(value: &Value) -> String {
    serde_yaml::to_string(value).unwrap_or_default()
}

#[async_trait]
impl Answers for Object {
    fn title(&self) -> String {
        let names: Vec<String> = self.objects.iter().map(|o| ObjectRef::of(o).to_string()).collect();
        match names.as_slice() {
            [one] => format!("apply {one}"),
            many => format!("apply {} objects: {}", many.len(), many.join(", ")),
        }
    }

    fn pending(&self, _host: &HostName, facts: &Facts) -> Option<Self> {
        missing(&self.objects, |o| holds(o, facts)).map(|objects| Object { objects, ..*self })
    }

    fn predict(&self, _host: &HostName, facts: &mut Facts) {
        let cluster = facts.cluster.get_or_insert_default();
        for o in &self.objects {
            cluster.objects.insert(ObjectRef::of(o), o.clone());
        }
    }

    fn diff(&self, _host: &HostName, facts: &Facts) -> String {
        let mut out = String::new();
        for o in &self.objects {
            let name = ObjectRef::of(o);
            match observed(o, facts) {
                None => out += &format!("new {name}\n{}", text_diff("", &shown(o, None))),
                Some(now) => {
                    let now = project(o, now);
                    out += &format!("changed {name}\n{}", text_diff(&shown(&now, Some(&now)), &shown(o, Some(&now))));
                }
            }
        }
        out
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": self.objects});
        let cmd = on_api(fenced!("lib/kubectl.sh", "steps/objects.sh"), run, self.address).stdin(list.to_string());
        carry_out(host, cmd.timeout(KUBECTL)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::ClusterFacts;
    use serde_json::json;

    #[test]
    fn values_of_a_secret_are_in_no_diff() {
        let secret = |password: &str| {
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"},
            "data": {"user": "YWRtaW4=", "password": password}})
        };
        let step = Object { address: IpAddr::from([127, 0, 0, 1]), objects: vec![secret("bmV3")] };
        let fresh = step.diff(&"m1".into(), &Facts::default());
        assert!(fresh.contains("password: (not shown") && !fresh.contains("bmV3") && !fresh.contains("YWRtaW4="), "{fresh}");
        let now = secret("b2xk");
        let objects = [(ObjectRef::of(&now), now)].into();
        let facts = Facts { cluster: Some(ClusterFacts { objects, ..ClusterFacts::default() }), ..Facts::default() };
        let changed = step.diff(&"m1".into(), &facts);
        assert!(changed.contains("-  password: (not shown)") && changed.contains("+  password: (not shown, differs)"), "{changed}");
        assert!(changed.contains("   user: (not shown)") && !changed.contains("b2xk") && !changed.contains("bmV3"), "{changed}");
    }
}
