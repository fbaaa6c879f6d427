//! Tests of plans that renew kubeconfigs: the components that read these kubeconfigs are restarted, one host after another.

use clusterctl::facts::{Facts, FileFact, FileKind};
use clusterctl::inventory::Inventory;
use clusterctl::layout;
use clusterctl::plan::Width;

use super::world::steps_of;
use super::{adopted, world};

const CONFS: [&str; 2] = [layout::CONTROLLER_MANAGER_CONF, layout::SCHEDULER_CONF];
const COMPONENTS: [&str; 2] = ["kube-controller-manager", "kube-scheduler"];

/// Replaces a kubeconfig of a host with an older one, which has to be renewed.
fn age(facts: &mut Facts, host: &str, path: &str) {
    let older = FileFact { kind: FileKind::File("older".into()), mode: 0o600, uid: 0, gid: 0 };
    facts.host_mut(host).files.insert(path.into(), older);
}

/// Clusters with kubeconfigs that are due for renewal, with kubeconfigs that somebody else has renewed, and an adopted cluster with both.
pub fn worlds() -> Vec<(String, Inventory, Facts)> {
    let inv = world::inventory("v1.36.2");
    let mut due = world::finished(&inv);
    ["m1", "m2", "m3"].iter().for_each(|m| CONFS.iter().for_each(|path| age(&mut due, m, path)));
    let mut renewed = world::finished(&inv);
    renewed.host_mut("m2").outdated.extend(COMPONENTS.map(String::from));
    let theirs = adopted::inventory("v1.36.2");
    let mut facts = world::plan(&theirs, &adopted::adopted(&theirs)).1;
    age(&mut facts, "m1", layout::SCHEDULER_CONF);
    facts.host_mut("m2").outdated.insert("kube-scheduler".into());
    vec![
        ("kubeconfigs that are due".into(), inv.clone(), due),
        ("kubeconfigs that were renewed by hand".into(), inv, renewed),
        ("adopted with renewed kubeconfigs".into(), theirs, facts),
    ]
}

/// The steps of a plan that run or restart a static pod.
fn static_pods(inv: &Inventory, facts: &Facts) -> Vec<String> {
    steps_of(&world::plan(inv, facts).0).into_iter().filter(|t| t.contains("static pod")).collect()
}

#[test]
fn who_has_read_a_kubeconfig_that_is_renewed_starts_anew_after_it() {
    let (_, inv, facts) = worlds().remove(0);
    let plan = world::plan(&inv, &facts).0;
    let image = |component: &str| format!("restart static pod {component} (registry.k8s.io/{component}:v1.36.2)");
    // The host with etcd's leader, `m1`, is the last one.
    let wanted = ["m2", "m3", "m1"].map(|m| {
        let steps = [
            "check that etcd has its quorum without this host".to_string(),
            format!("write 2 files: {}", CONFS.join(" ")),
            image("kube-scheduler"),
            image("kube-controller-manager"),
        ];
        steps.map(|step| format!("{m}: {step}"))
    });
    assert_eq!(steps_of(&plan), wanted.concat());
    assert_eq!(plan.phases.iter().map(|p| p.width).collect::<Vec<_>>(), [Width::One]);
    assert!(plan.to_string().contains("kube-scheduler runs with an older kubeconfig than the one on the host"), "{plan}");
}

#[test]
fn who_has_not_read_the_kubeconfig_goes_on() {
    let inv = world::inventory("v1.36.2");
    let mut facts = world::finished(&inv);
    age(&mut facts, "m1", layout::SCHEDULER_CONF);
    age(&mut facts, "m1", layout::ADMIN_CONF);
    assert_eq!(static_pods(&inv, &facts), ["m1: restart static pod kube-scheduler (registry.k8s.io/kube-scheduler:v1.36.2)"]);
}

#[test]
fn a_kubeconfig_that_was_renewed_by_hand_is_read() {
    let (_, inv, facts) = worlds().remove(1);
    let wanted = ["kube-scheduler", "kube-controller-manager"].map(|c| format!("m2: restart static pod {c} (registry.k8s.io/{c}:v1.36.2)"));
    assert_eq!(static_pods(&inv, &facts), wanted);
}

/// In an adopted cluster, the next change of a component also replaces kubeadm's static pod manifest by clusterctl's. The new manifest starts a new
/// process, which reads the new kubeconfig, so no restart is planned in addition.
#[test]
fn a_manifest_that_changes_as_well_brings_the_new_process() {
    let (_, inv, facts) = worlds().remove(2);
    let plan = steps_of(&world::plan(&inv, &facts).0);
    let pods: Vec<&String> = plan.iter().filter(|t| t.contains("static pod kube")).collect();
    let wanted = ["m2", "m1"].map(|m| format!("{m}: run static pod kube-scheduler (registry.k8s.io/kube-scheduler:v1.36.2)"));
    assert_eq!(pods, wanted.iter().collect::<Vec<_>>());
}

#[test]
fn a_founding_restarts_nothing() {
    let inv = world::inventory("v1.36.2");
    let plan = steps_of(&world::plan(&inv, &world::bare(&inv)).0);
    assert!(!plan.iter().any(|t| t.contains("restart static pod")), "{plan:?}");
}
