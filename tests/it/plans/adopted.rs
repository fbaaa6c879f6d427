//! Tests of the adoption of a cluster that kubeadm made: `adopt` only marks the hosts as clusterctl's, and the next `apply` adds what is missing and
//! changes nothing that runs.

use clusterctl::facts::{Facts, FileFact, FileKind};
use clusterctl::host::Secret;
use clusterctl::inventory::Inventory;
use clusterctl::layout;
use clusterctl::plan::{Plan, adopt, refusals};
use serde_json::json;

use super::world::{self, titles};

pub fn inventory(version: &str) -> Inventory {
    let list = [("m1", 11, "control-plane"), ("m2", 12, "control-plane"), ("w1", 21, "worker")];
    let mut inv = world::balanced(version, "endpoint: \"172.30.0.31:6443\"", "kind: external", &list);
    inv.network.cni = serde_json::from_value(json!({ "kind": "external" })).expect("it is a kind");
    inv
}

fn file(text: String) -> FileFact {
    FileFact { kind: FileKind::File(Secret::from(text)), mode: 0o600, uid: 0, gid: 0 }
}

/// Facts of a running cluster with hosts as kubeadm leaves them: with kubeadm's wording in files, with its units, and without clusterctl's marks.
pub fn by_kubeadm(inv: &Inventory) -> Facts {
    let mut facts = world::finished(inv);
    for f in facts.hosts.values_mut() {
        f.files.retain(|path, _| {
            !path.starts_with("/var/lib/clusterctl") && !path.starts_with("/opt/cni") && !path.starts_with("/etc/modules")
        });
        f.binaries.clear();
        f.endpoint_ready = true;
        f.units.values_mut().for_each(|u| u.stamp.clear());
        for component in ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            let path = format!("{}/{component}.yaml", layout::MANIFESTS_DIR);
            if let Some(text) = f.text(&path).map(String::from) {
                f.files.insert(path, file(text.replace("metadata:\n", "metadata:\n  creationTimestamp: null\n")));
            }
        }
        let config = f.text(layout::KUBELET_CONFIG).unwrap_or_default().to_string();
        f.files.insert(layout::KUBELET_CONFIG.into(), file(config + "syncFrequency: 0s\nlogging: {verbosity: 0}\n"));
        for path in [layout::KUBELET_UNIT, layout::KUBELET_DROP_IN, layout::CONTAINERD_CONFIG] {
            f.files.insert(path.into(), file("somebody else's\n".into()));
        }
    }
    let cluster = facts.cluster.get_or_insert_default();
    for (name, object) in &mut cluster.objects {
        if let ("kube-proxy", Some(text)) = (name.name.as_str(), object["data"]["config.conf"].as_str()) {
            object["data"]["config.conf"] = format!("{text}configSyncPeriod: 0s\n").into();
        }
    }
    for node in cluster.nodes.values_mut() {
        node["status"]["nodeInfo"]["containerRuntimeVersion"] = "containerd://1.7.0".into();
    }
    facts
}

/// The facts of [`by_kubeadm`] after clusterctl has marked the hosts.
pub fn adopted(inv: &Inventory) -> Facts {
    let facts = by_kubeadm(inv);
    Plan::of(&adopt::desired_steps(inv, &facts), &facts).1
}

#[test]
fn an_adoption_is_marks_alone() {
    let inv = inventory("v1.36.2");
    let facts = by_kubeadm(&inv);
    assert_eq!(adopt::refusals(&inv, &facts), vec![]);
    insta::assert_snapshot!(titles(&Plan::of(&adopt::desired_steps(&inv, &facts), &facts).0));
}

#[test]
fn nothing_that_runs_is_changed_by_the_next_apply() {
    for version in ["v1.20.2", "v1.36.2"] {
        let inv = inventory(version);
        let facts = adopted(&inv);
        assert_eq!(refusals::of(&inv, &facts, refusals::Purpose::Keep), vec![], "{version}");
        let plan = world::plan(&inv, &facts).0;
        insta::assert_snapshot!(format!("adopted-{version}"), titles(&plan));
        assert!(!plan.steps().any(|(_, _, s)| matches!(s.step.kind(), "static-pod" | "unit" | "object")), "{plan}");
    }
}

#[test]
fn a_changed_kubelet_becomes_ours_and_what_runs_beside_it_stays() {
    let mut inv = inventory("v1.36.2");
    let facts = world::plan(&inv, &adopted(&inv)).1;
    inv.hosts[2].kubelet.config.insert("maxPods".into(), 50.into());
    insta::assert_snapshot!(titles(&world::plan(&inv, &facts).0));
}

#[test]
fn a_changed_flag_changes_its_static_pod() {
    let mut inv = inventory("v1.36.2");
    let facts = world::plan(&inv, &adopted(&inv)).1;
    inv.control_plane.scheduler.extra_args.insert("v".into(), "4".into());
    let plan = titles(&world::plan(&inv, &facts).0);
    assert!(plan.contains("m1: run static pod kube-scheduler") && !plan.contains("static pod etcd"), "{plan}");
}

#[test]
fn what_is_not_one_whole_cluster_is_not_adopted() {
    let names =
        |inv: &Inventory, facts: &Facts| adopt::refusals(inv, facts).iter().map(|b| format!("{} {}", b.host, b.name)).collect::<Vec<_>>();
    let inv = inventory("v1.36.2");
    let mut facts = by_kubeadm(&inv);
    assert_eq!(names(&inv.without(&["m2".to_string()]), &facts), ["m2 missing-master"]);
    facts.hosts.remove("m2");
    let cluster = facts.cluster.get_or_insert_default();
    cluster.nodes.remove("w1");
    cluster.nodes.entry("m1".into()).or_default()["status"]["nodeInfo"] =
        json!({ "kubeletVersion": "v1.35.0", "containerRuntimeVersion": "cri-o://1.33" });
    assert_eq!(names(&inv, &facts), ["m1 version", "m1 runtime", "m2 unreachable-master", "w1 no-node"]);
    facts.cluster = None;
    assert_eq!(names(&inv, &facts), ["m2 unreachable-master", " api-away"]);
}
