//! Observes all hosts, and waits for two changes that hosts finish by themselves: the replacement of a static pod that an interrupted run began, and
//! the start of a control plane.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::session::{Observed, Session};
use crate::facts::{Facts, HostFacts, ObjectRef, etcd};
use crate::inventory::{ENCRYPTABLE, Inventory};
use crate::layout;
use crate::plan::goal::Goal;
use crate::plan::situation::ClusterState;
use crate::plan::{RunInputs, desired, encryption, refusals};
use crate::step::objects_gone;
use crate::versions;

/// The time beyond `--wait-timeout` for which an observation waits for hosts that are replacing a static pod or starting their control plane.
const MARGIN: Duration = Duration::from_secs(60);

/// Observes all hosts, and through the API every object that clusterctl manages in the Kubernetes versions of `goal`. `lists` are API paths of lists
/// to request in addition. The observation is repeated while a host is replacing a static pod or starting its control plane, at most for a minute
/// longer than `--wait-timeout`.
pub async fn look(session: &Session, run_inputs: &RunInputs, goal: &Goal, lists: &[String]) -> Observed {
    let inv = &session.inventory;
    // An upgrade can pass through several minor versions, and the names of some objects contain a version, so the objects of all these versions are
    // requested.
    let minors: Vec<&'static versions::Minor> = match goal.upgrade() {
        Some(u) => versions::up_to(u.to.minor()).collect(),
        None => versions::of(&inv.cluster.version).into_iter().collect(),
    };
    let record = objects_gone::record_name();
    let mut objects: BTreeMap<ObjectRef, Value> = [(ObjectRef::of(&record), record)].into();
    for v in minors {
        let all = desired::all_objects(inv, v, "", &run_inputs.manifests);
        objects.extend(all.into_iter().map(|o| (ObjectRef::of(&o), o)));
    }
    let objects: Vec<Value> = objects.into_values().collect();
    let begun = Instant::now();
    let mut told = String::new();
    loop {
        let mut observed = session.observe(&objects, lists).await;
        let swapping: Vec<&str> = observed.facts.hosts.iter().filter(|(_, f)| f.swapping).map(|(name, _)| name.as_str()).collect();
        let starting = starting(inv, &observed.facts, session.wait_timeout);
        // These hosts are still changing, so a plan that is made from this observation would be outdated. They are observed again.
        let why = match (swapping.is_empty(), starting.is_empty()) {
            (false, _) => format!("{} still ends what an interrupted run began there; looking again", swapping.join(", ")),
            (_, false) => format!("no API server answers yet, and the kubelet of {} has just started; looking again", starting.join(", ")),
            _ => {
                stored_values(session, &mut observed).await;
                return observed;
            }
        };
        if begun.elapsed() > session.wait_timeout + MARGIN {
            return observed;
        }
        if told != why {
            session.report.note(&why);
            told = why;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Lets an etcd member count how values are stored, if the inventory or a host of an existing cluster encrypts any. Without an answer, the facts have
/// no counts, and a plan that depends on them is refused.
pub async fn stored_values(session: &Session, observed: &mut Observed) {
    let (inv, facts) = (&session.inventory, &observed.facts);
    if !encryption::concerns(inv, facts) || !ClusterState::of(facts).exists() {
        return;
    }
    for h in inv.etcd_hosts().into_iter().filter(|h| facts.hosts.contains_key(&h.name)) {
        let Some(host) = session.hosts.get(&h.name) else { continue };
        // All resources are counted, because one that has left the inventory may have encrypted values, too.
        let answer = host.run(etcd::encodings(&ENCRYPTABLE)).await.ok().filter(|out| out.status == 0);
        if let Some(stored) = answer.and_then(|out| etcd::parse_encodings(&ENCRYPTABLE, &out.stdout)) {
            observed.facts.host_mut(&h.name).stored = Some(stored);
            return;
        }
    }
}

/// The control-plane hosts whose kubelet started less than `wait_timeout` ago and may still start the API server. A kubelet that has run for longer
/// has started its static pods, or cannot start them. Empty if an API server of the cluster answers, if the cluster does not exist yet, or if
/// certificates have expired.
fn starting<'a>(inv: &'a Inventory, facts: &Facts, wait_timeout: Duration) -> Vec<&'a str> {
    let serves = inv.control_planes().any(|h| facts.host(&h.name).api_version.is_some());
    // With expired certificates, the kubelets start again and again, and nothing comes up.
    if serves || ClusterState::of(facts) != ClusterState::WithoutApi || refusals::api_expired(inv, facts).is_some() {
        return Vec::new();
    }
    let manifest = format!("{}/kube-apiserver.yaml", layout::MANIFESTS_DIR);
    let comes_up = |f: &HostFacts| f.files.contains_key(&manifest) && f.kubelet_age.is_some_and(|age| age < wait_timeout.as_secs());
    inv.control_planes().map(|h| h.name.as_str()).filter(|name| comes_up(facts.host(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{ClusterFacts, FileFact, FileKind};
    use crate::host::WAIT_TIMEOUT;
    use crate::inventory;

    #[test]
    fn a_control_plane_is_starting_while_its_kubelets_are_young_and_no_api_server_answers() {
        let text = "
cluster: {name: prod, version: v1.36.2}
hosts:
- {name: m1, address: 192.0.2.11, roles: [control-plane]}
- {name: w1, address: 192.0.2.21, roles: [worker]}
";
        let inv = inventory::parse(text, "prod.yaml", &|_| Ok(())).expect("it is valid").inventory;
        let mut facts = Facts::default();
        facts.host_mut("m1").kubelet_age = Some(20);
        facts.host_mut("w1").kubelet_age = Some(20);
        assert_eq!(starting(&inv, &facts, WAIT_TIMEOUT), [""; 0], "a founding is not waited for");
        let file = || FileFact { kind: FileKind::File("prod".into()), mode: 0o600, uid: 0, gid: 0 };
        facts.host_mut("m1").files.insert(layout::ESTABLISHED.into(), file());
        assert_eq!(starting(&inv, &facts, WAIT_TIMEOUT), [""; 0], "without a manifest nothing starts by itself");
        facts.host_mut("m1").files.insert("/etc/kubernetes/manifests/kube-apiserver.yaml".into(), file());
        assert_eq!(starting(&inv, &facts, WAIT_TIMEOUT), ["m1"]);
        facts.host_mut("m1").kubelet_age = Some(WAIT_TIMEOUT.as_secs());
        assert_eq!(starting(&inv, &facts, WAIT_TIMEOUT), [""; 0], "it has had its time");
        facts.host_mut("m1").kubelet_age = Some(20);
        facts.host_mut("m1").api_version = Some("v1.36.2".into());
        assert_eq!(starting(&inv, &facts, WAIT_TIMEOUT), [""; 0], "one that serves and was not heard has another trouble");
        facts.host_mut("m1").api_version = None;
        facts.cluster = Some(ClusterFacts::default());
        assert_eq!(starting(&inv, &facts, WAIT_TIMEOUT), [""; 0]);
    }
}
