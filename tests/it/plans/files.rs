//! Tests of plans for the operator's files on control planes: a file that changes replaces the components that see it, and no others.

use clusterctl::facts::{Facts, FileFact, FileKind};
use clusterctl::inventory::Inventory;
use clusterctl::plan::refusals::{self, Purpose};
use clusterctl::plan::{Goal, Plan};
use serde_json::json;

use super::world::{self, titles};

const POLICY: &str = "/etc/kubernetes/audit/policy.yaml";
const COPIES: &str = "/var/lib/clusterctl/files/";

/// An inventory with an audit policy, a secret file that the API server sees, too, a configuration of the scheduler, and a file outside of
/// /etc/kubernetes that no component sees.
fn inventory(version: &str, policy: &str) -> Inventory {
    let mut inv = world::inventory(version);
    let volume = |name: &str, path: &str| json!({ "name": name, "hostPath": path, "mountPath": path, "readOnly": true });
    let files = json!([
        { "path": POLICY, "content": policy },
        { "path": "/etc/kubernetes/audit/webhook.yaml", "file": "webhook.yaml", "secret": true },
        { "path": "/etc/kubernetes/scheduler/config.yaml", "content": "kind: KubeSchedulerConfiguration\n" },
        { "path": "/srv/kubernetes/notes", "content": "for people\n", "mode": "0600" },
    ]);
    let control_plane = json!({
        "files": files,
        "apiServer": {
            "extraArgs": { "audit-policy-file": POLICY, "audit-log-path": "/var/log/kubernetes/audit.log" },
            "extraVolumes": [
                volume("audit", "/etc/kubernetes/audit"),
                { "name": "log", "hostPath": "/var/log/kubernetes", "mountPath": "/var/log/kubernetes", "pathType": "DirectoryOrCreate" },
            ],
        },
        "scheduler": {
            "extraArgs": { "config": "/etc/kubernetes/scheduler/config.yaml" },
            "extraVolumes": [volume("config", "/etc/kubernetes/scheduler/config.yaml")],
        },
    });
    inv.control_plane = serde_json::from_value(control_plane).expect("it is valid");
    inv
}

/// Clusters with files: fresh, finished, with files that are new, changed or no longer in the inventory, and with a control plane that joins.
pub fn worlds() -> Vec<(String, Inventory, Facts)> {
    let version = "v1.36.2";
    let (inv, without) = (inventory(version, "a\n"), world::inventory(version));
    let finished = world::finished(&inv);
    let small = world::hosts(version, &[("m1", 11, "control-plane"), ("w1", 21, "worker"), ("lb1", 31, "load-balancer")]);
    let small = Inventory { control_plane: inv.control_plane.clone(), ..small };
    vec![
        ("fresh with files".into(), inv.clone(), world::bare(&inv)),
        ("finished with files".into(), inv.clone(), finished.clone()),
        ("files are new".into(), inv.clone(), world::finished(&without)),
        ("a file has changed".into(), inventory(version, "b\n"), finished.clone()),
        ("a file has changed v1.20.2".into(), inventory("v1.20.2", "b\n"), world::finished(&inventory("v1.20.2", "a\n"))),
        ("files are gone from the inventory".into(), without, finished),
        ("growing with files".into(), inv.clone(), world::growing(&small, &inv)),
    ]
}

/// The components whose static pods the plan replaces, by host, in order.
fn replaced(plan: &Plan) -> Vec<(String, &'static str)> {
    plan.steps().flat_map(|(_, host, s)| s.step.static_pods().into_iter().map(|p| (host.clone(), p.component))).collect()
}

#[test]
fn a_changed_file_replaces_what_sees_it() {
    let facts = world::finished(&inventory("v1.36.2", "a\n"));
    let plan = world::plan(&inventory("v1.36.2", "b\n"), &facts).0;
    let hosts: Vec<(String, &str)> = ["m2", "m3", "m1"].map(|m| (m.to_string(), "kube-apiserver")).into();
    assert_eq!(replaced(&plan), hosts, "the leader of etcd is last, and no scheduler is replaced");
    insta::assert_snapshot!(plan.to_string());
}

#[test]
fn the_previous_content_stays_until_the_new_pods_are_settled() {
    let facts = world::finished(&inventory("v1.36.2", "a\n"));
    let plan = world::plan(&inventory("v1.36.2", "b\n"), &facts).0;
    let old: Vec<&String> = facts.host("m1").files.keys().filter(|p| p.starts_with(COPIES) && p.ends_with("policy.yaml")).collect();
    let of_m1: Vec<&str> = plan.steps().filter(|(_, host, _)| *host == "m1").map(|(.., s)| s.title.as_str()).collect();
    let at = |words: &str| of_m1.iter().position(|t| t.contains(words)).unwrap_or_else(|| panic!("no `{words}` in {of_m1:#?}"));
    assert!(at(&format!("write 2 files: {POLICY}")) < at("static pod kube-apiserver"));
    assert!(at("static pod kube-apiserver") < at("watch the new static pods"), "{of_m1:#?}");
    assert!(at("watch the new static pods") < at(&format!("remove {}", old[0])), "{of_m1:#?}");
}

#[test]
fn a_file_that_leaves_the_inventory_stays_at_its_path_without_a_copy() {
    let inv = world::inventory("v1.36.2");
    let after = world::plan(&inv, &world::finished(&inventory("v1.36.2", "a\n"))).1;
    let files = &after.host("m1").files;
    assert!(files.contains_key(POLICY) && !files.keys().any(|path| path.starts_with(COPIES)));
}

#[test]
fn a_mode_that_changes_replaces_nothing() {
    let mut inv = inventory("v1.36.2", "a\n");
    let facts = world::finished(&inv);
    inv.control_plane.files[0].mode = Some("0640".into());
    let plan = world::plan(&inv, &facts).0;
    assert_eq!(replaced(&plan), []);
    assert!(titles(&plan).contains(&format!("m1: write 2 files: {POLICY} {COPIES}")), "{plan}");
}

#[test]
fn files_survive_every_kind_of_run() {
    let inv = inventory("v1.37.1", "a\n");
    let (plan, after) = world::upgraded(&inv, &world::finished(&inventory("v1.36.2", "a\n")));
    assert!(!titles(&plan).contains(POLICY), "an upgrade leaves files alone that have not changed");
    let manifest = after.host("m1").text("/etc/kubernetes/manifests/kube-apiserver.yaml").unwrap_or_default();
    assert!(manifest.contains(COPIES) && manifest.contains("clusterctl-file-1"), "{manifest}");
    let mut broken = world::finished(&inv);
    broken.cluster = None;
    for host in ["m1", "m2", "m3"] {
        let f = broken.host_mut(host);
        f.api_version = None;
        f.pods.remove("kube-apiserver");
        f.files.retain(|path, _| path != POLICY && !path.starts_with(COPIES) && !path.ends_with("kube-apiserver.yaml"));
    }
    let repair = world::repair(&Goal::Keep, &inv, &broken).expect("there is something to repair");
    assert_eq!(repair.refusals, []);
    assert!(
        titles(&repair.plan).contains(&format!("m1: write 8 files: {POLICY}")) || titles(&repair.plan).contains(POLICY),
        "{}",
        repair.plan
    );
}

#[test]
fn the_volumes_of_an_adopted_cluster_are_kept() {
    let mut inv = super::adopted::inventory("v1.36.2");
    inv.control_plane.api_server.extra_volumes = inventory("v1.36.2", "").control_plane.api_server.extra_volumes;
    let plan = world::plan(&inv, &super::adopted::adopted(&inv)).0;
    assert_eq!(replaced(&plan), []);
}

#[test]
fn a_reset_removes_files_and_not_their_folders() {
    let inv = inventory("v1.36.2", "a\n");
    let plan = world::reset(&inv, &world::finished(&inv)).0.to_string();
    assert!(plan.contains(" /srv/kubernetes/notes"), "{plan}");
    assert!(!plan.contains(" /srv/kubernetes ") && !plan.contains(" /srv "), "{plan}");
}

#[test]
fn a_folder_at_the_path_of_a_file_is_refused() {
    let inv = inventory("v1.36.2", "a\n");
    let mut facts = world::finished(&inv);
    let folder = FileFact { kind: FileKind::Directory, mode: 0o755, uid: 0, gid: 0 };
    facts.host_mut("m2").files.insert(POLICY.into(), folder);
    let found: Vec<(String, &str)> = refusals::of(&inv, &facts, Purpose::Found).into_iter().map(|b| (b.host, b.name)).collect();
    assert!(found.contains(&("m2".into(), "file")), "{found:?}");
}
