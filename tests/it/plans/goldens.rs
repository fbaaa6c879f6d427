//! Golden texts of the plans for fresh clusters, joins, removals, upgrades, drift, a reset, and a cluster with nothing to do.

use clusterctl::facts::{FileFact, FileKind};
use clusterctl::host::Secret;
use clusterctl::inventory::Inventory;

use super::world::{self, titles};

#[test]
fn a_fresh_cluster() {
    let inv = world::inventory("v1.34.2");
    insta::assert_snapshot!(titles(&world::plan(&inv, &world::bare(&inv)).0));
}

#[test]
fn a_worker_joins() {
    let small = world::hosts("v1.34.2", &[("m1", 11, "control-plane"), ("w1", 21, "worker"), ("lb1", 31, "load-balancer")]);
    let grown =
        world::hosts("v1.34.2", &[("m1", 11, "control-plane"), ("w1", 21, "worker"), ("w2", 22, "worker"), ("lb1", 31, "load-balancer")]);
    let facts = world::growing(&small, &grown);
    insta::assert_snapshot!(titles(&world::plan(&grown, &facts).0));
}

#[test]
fn two_masters_and_a_worker_join() {
    let small = world::hosts("v1.34.2", &[("m1", 11, "control-plane"), ("w1", 21, "worker"), ("lb1", 31, "load-balancer")]);
    let grown = world::inventory("v1.34.2");
    insta::assert_snapshot!(titles(&world::plan(&grown, &world::growing(&small, &grown)).0));
}

#[test]
fn a_master_is_removed() {
    let inv = world::inventory("v1.34.2");
    insta::assert_snapshot!(titles(&world::removal(&inv, &world::finished(&inv), &["m1"], false).0));
}

#[test]
fn a_dead_master_and_a_dead_worker_are_removed() {
    let inv = world::inventory("v1.34.2");
    let mut facts = world::finished(&inv);
    facts.hosts.remove("m1");
    facts.hosts.remove("w2");
    insta::assert_snapshot!(titles(&world::removal(&inv, &facts, &["m1", "w2"], true).0));
}

#[test]
fn a_fresh_cluster_with_external_etcd() {
    let inv = world::external("v1.34.2", 3);
    insta::assert_snapshot!(titles(&world::plan(&inv, &world::bare(&inv)).0));
}

#[test]
fn a_fresh_cluster_on_an_etcd_of_someone_else() {
    let mut inv = world::hosts("v1.34.2", &[("m1", 11, "control-plane"), ("m2", 12, "control-plane"), ("lb1", 31, "load-balancer")]);
    let file = |name: &str| name.to_string();
    inv.etcd.external = Some(clusterctl::inventory::ExternalEtcd {
        endpoints: vec!["https://192.0.2.41:2379".into()],
        ca_file: file("ca.crt"),
        cert_file: file("client.crt"),
        key_file: file("client.key"),
    });
    insta::assert_snapshot!(titles(&world::plan(&inv, &world::bare(&inv)).0));
}

#[test]
fn an_etcd_host_joins() {
    let (small, grown) = (world::external("v1.34.2", 3), world::external("v1.34.2", 4));
    insta::assert_snapshot!(titles(&world::plan(&grown, &world::growing(&small, &grown)).0));
}

#[test]
fn a_dead_etcd_host_is_removed() {
    let inv = world::external("v1.34.2", 3);
    let mut facts = world::finished(&inv);
    facts.hosts.remove("e1");
    insta::assert_snapshot!(titles(&world::removal(&inv, &facts, &["e1"], true).0));
}

/// Makes one test per upgrade, which compares the plan for a finished cluster with a snapshot.
macro_rules! upgrades {
    ($($(#[$about:meta])* $name:ident: $from:literal => $to:literal;)+) => {$(
        $(#[$about])*
        #[test]
        fn $name() {
            let facts = world::finished(&world::inventory($from));
            insta::assert_snapshot!(titles(&world::upgraded(&world::inventory($to), &facts).0));
        }
    )+};
}

upgrades! {
    a_new_patch_version: "v1.34.2" => "v1.34.3";
    an_upgrade_by_one_minor: "v1.34.2" => "v1.35.1";
    an_upgrade_by_four_minors_rolls_kubelets_twice: "v1.32.2" => "v1.36.1";
    /// The upgrade also raises etcd by a minor version, and kube-proxy's configuration names its mode.
    an_upgrade_to_1_37: "v1.36.2" => "v1.37.1";
}

#[test]
fn nothing_to_do() {
    let inv = world::inventory("v1.34.2");
    insta::assert_snapshot!(world::plan(&inv, &world::finished(&inv)).0.to_string());
}

#[test]
fn files_changed_and_deleted_by_hand() {
    let inv = world::inventory("v1.34.2");
    let mut facts = world::finished(&inv);
    let f = facts.host_mut("w1");
    let changed = FileFact { kind: FileKind::File(Secret::from("overlay\n")), mode: 0o644, uid: 0, gid: 0 };
    f.files.insert("/etc/modules-load.d/clusterctl.conf".into(), changed);
    f.files.remove("/etc/sysctl.d/90-clusterctl.conf");
    facts.host_mut("m2").units.get_mut("kubelet").expect("the unit is known").active = "failed".into();
    insta::assert_snapshot!(world::plan(&inv, &facts).0.to_string());
}

#[test]
fn a_whole_cluster_goes() {
    let inv = world::inventory("v1.34.2");
    let facts = world::finished(&inv);
    insta::assert_snapshot!(titles(&world::reset(&inv, &facts).0));
}

#[test]
fn json_has_one_row_per_step() {
    let inv: Inventory = world::inventory("v1.34.2");
    let plan = world::plan(&inv, &world::bare(&inv)).0;
    let value = serde_json::to_value(&plan).expect("a plan is serialisable");
    let rows = value.as_array().expect("a plan is a list");
    assert_eq!(rows.len(), plan.steps().count());
    assert!(rows.iter().all(|r| ["phase", "host", "kind", "title", "diff"].iter().all(|k| r[k].is_string())));
}
