//! Deletes the objects of the operator's manifests that have left the inventory.
//!
//! A ConfigMap in the cluster records which objects of manifests clusterctl has applied. Before an object is applied for the first time, it is added to the
//! record; after it was deleted, it leaves the record. So an object that clusterctl applied is in the record, wherever a run ends.

use std::net::IpAddr;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Answers, KUBECTL, StepError, carry_out, on_api};
use crate::facts::{Facts, ObjectRef};
use crate::fenced;
use crate::host::{Host, HostName};

/// Deletes the recorded objects that are not wanted, in the reverse order of the record.
#[derive(Clone, Debug)]
pub struct ObjectsGone {
    /// Address of the API server on the host of the step.
    pub address: IpAddr,
    /// All objects of the manifests of the inventory.
    pub wanted: Vec<Entry>,
    /// The objects that leave the record. Found by `pending`.
    pub gone: Vec<Entry>,
}

/// An object in the record, with the API version of its manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    api_version: String,
    object: ObjectRef,
}

/// Kinds that are not deleted with their manifest, because what others have put into them would be deleted, too.
const KEPT: [&str; 4] = ["Namespace", "CustomResourceDefinition", "PersistentVolume", "PersistentVolumeClaim"];

impl Entry {
    /// The entry of an object; `None` if the object has no name.
    fn of(object: &Value) -> Option<Entry> {
        object["metadata"]["name"].as_str()?;
        Some(Entry { api_version: object["apiVersion"].as_str().unwrap_or_default().into(), object: ObjectRef::of(object) })
    }

    /// The entry of a line of the record; `None` for a line with another number of words.
    fn read(line: &str) -> Option<Entry> {
        let [api_version, kind, namespace, name] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let namespace = if namespace == "-" { "" } else { namespace };
        Entry::of(&stub(api_version, kind, namespace, name))
    }

    fn line(&self) -> String {
        let ObjectRef { kind, namespace, name, .. } = &self.object;
        let namespace = if namespace.is_empty() { "-" } else { namespace };
        format!("{} {kind} {namespace} {name}\n", self.api_version)
    }

    /// The object without its content, by which kubectl finds it.
    fn stub(&self) -> Value {
        stub(&self.api_version, &self.object.kind, &self.object.namespace, &self.object.name)
    }

    fn is_kept(&self) -> bool {
        KEPT.contains(&self.object.kind.as_str())
    }
}

/// An object without its content. An empty namespace is left out.
fn stub(api_version: &str, kind: &str, namespace: &str, name: &str) -> Value {
    let mut stub = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    if !namespace.is_empty() {
        stub["metadata"]["namespace"] = namespace.into();
    }
    stub
}

/// The entries of these objects, in their order.
pub fn entries(objects: &[Value]) -> Vec<Entry> {
    objects.iter().filter_map(Entry::of).collect()
}

/// The record without its content, by which an observation asks for it.
pub fn record_name() -> Value {
    stub("v1", "ConfigMap", "kube-system", "clusterctl-manifests")
}

/// The record of these entries.
fn record(entries: &[Entry]) -> Value {
    let mut record = record_name();
    record["data"]["objects"] = entries.iter().map(Entry::line).collect::<String>().into();
    record
}

/// The entries of the record in the cluster; none if the record does not exist.
fn recorded(facts: &Facts) -> Vec<Entry> {
    let record = facts.cluster.as_ref().and_then(|c| c.objects.get(&ObjectRef::of(&record_name())));
    let lines = record.and_then(|r| r["data"]["objects"].as_str()).unwrap_or_default();
    lines.lines().filter_map(Entry::read).collect()
}

/// The record that must exist before the wanted objects are applied: all entries that it has already, and all wanted ones. `None` if there are neither.
pub fn record_before(wanted: &[Entry], facts: &Facts) -> Option<Value> {
    let mut all = recorded(facts);
    let new: Vec<Entry> = wanted.iter().filter(|w| !all.iter().any(|old| old.object == w.object)).cloned().collect();
    all.extend(new);
    (!all.is_empty()).then(|| record(&all))
}

#[async_trait]
impl Answers for ObjectsGone {
    fn title(&self) -> String {
        let (kept, deleted): (Vec<&Entry>, Vec<&Entry>) = self.gone.iter().partition(|e| e.is_kept());
        let names = |list: &[&Entry]| list.iter().map(|e| e.object.to_string()).collect::<Vec<_>>().join(", ");
        match (deleted.as_slice(), kept.as_slice()) {
            ([], kept) => format!("keep what has left the inventory: {}", names(kept)),
            (deleted, []) => format!("delete what has left the inventory: {}", names(deleted)),
            (deleted, kept) => format!("delete what has left the inventory: {}; keep {}", names(deleted), names(kept)),
        }
    }

    fn pending(&self, _host: &HostName, facts: &Facts) -> Option<Self> {
        let gone: Vec<Entry> = recorded(facts).into_iter().filter(|old| !self.wanted.iter().any(|w| w.object == old.object)).collect();
        (!gone.is_empty()).then(|| ObjectsGone { gone, ..self.clone() })
    }

    fn predict(&self, _host: &HostName, facts: &mut Facts) {
        let cluster = facts.cluster.get_or_insert_default();
        for entry in self.gone.iter().filter(|e| !e.is_kept()) {
            cluster.objects.remove(&entry.object);
        }
        cluster.objects.insert(ObjectRef::of(&record_name()), record(&self.wanted));
    }

    fn diff(&self, _host: &HostName, _facts: &Facts) -> String {
        let line = |e: &Entry| {
            let object = &e.object;
            let scope = if object.namespace.is_empty() { String::new() } else { format!(" -n {}", object.namespace) };
            let by_hand = format!("kubectl delete{scope} {} {}", object.kind, object.name);
            match e.is_kept() {
                true => format!("kept {object}: all that others have in it would be deleted, too; `{by_hand}` deletes it\n"),
                false => format!("deleted {object}, unless clusterctl is no longer one of its field managers\n"),
            }
        };
        self.gone.iter().rev().map(line).collect()
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let mut input: String = self.gone.iter().rev().filter(|e| !e.is_kept()).map(|e| format!("{}\n", e.stub())).collect();
        input += &format!("---\n{}\n", record(&self.wanted));
        let limit = KUBECTL * u32::try_from(1 + self.gone.len()).unwrap_or(u32::MAX);
        let cmd = on_api(fenced!("lib/kubectl.sh", "steps/objects_gone.sh"), run, self.address).stdin(input);
        carry_out(host, cmd.timeout(limit)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(name: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}})
    }

    fn step(objects: &[Value]) -> ObjectsGone {
        ObjectsGone { address: IpAddr::from([127, 0, 0, 1]), wanted: entries(objects), gone: vec![] }
    }

    #[test]
    fn what_leaves_the_inventory_leaves_the_cluster_and_the_record() {
        let (host, mut facts) = ("m1".to_string(), Facts::default());
        assert!(record_before(&[], &facts).is_none() && step(&[]).pending(&host, &facts).is_none(), "nothing was ever applied");
        let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
        let all = [space, map("a"), map("b")];
        let record = record_before(&entries(&all), &facts).expect("it has entries");
        assert_eq!(record["data"]["objects"], "v1 Namespace - shop\nv1 ConfigMap default a\nv1 ConfigMap default b\n");
        let objects = &mut facts.cluster.get_or_insert_default().objects;
        objects.extend(all.iter().cloned().chain([record]).map(|o| (ObjectRef::of(&o), o)));
        assert!(step(&all).pending(&host, &facts).is_none());

        let left = step(&all[1..2]).pending(&host, &facts).expect("two have left");
        assert_eq!(left.title(), "delete what has left the inventory: ConfigMap default/b; keep Namespace shop");
        let diff = left.diff(&host, &facts);
        assert!(diff.starts_with("deleted ConfigMap default/b") && diff.contains("`kubectl delete Namespace shop`"), "{diff}");
        left.predict(&host, &mut facts);
        assert!(step(&all[1..2]).pending(&host, &facts).is_none());
        let names: Vec<String> = facts.cluster.expect("it is there").objects.keys().map(|o| o.name.clone()).collect();
        assert_eq!(names, ["a", "clusterctl-manifests", "shop"]);
    }

    #[test]
    fn another_version_of_an_api_is_the_same_object() {
        let budget =
            |version: &str| json!({"apiVersion": format!("policy/{version}"), "kind": "PodDisruptionBudget", "metadata": {"name": "x"}});
        let mut facts = Facts::default();
        let record = record_before(&entries(&[budget("v1beta1")]), &facts).expect("it has an entry");
        facts.cluster.get_or_insert_default().objects.insert(ObjectRef::of(&record), record.clone());
        let now = entries(&[budget("v1")]);
        assert_eq!(record_before(&now, &facts), Some(record));
        assert!(ObjectsGone { wanted: now, ..step(&[]) }.pending(&"m1".into(), &facts).is_none());
    }
}
