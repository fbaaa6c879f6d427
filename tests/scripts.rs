//! Tests of the scripts of `src/host/scripts/`. Each row of a table sets up a host in a temporary root, injects one failure, and checks the state of
//! the host afterwards. The commands are made by clusterctl's own steps, so that `sh` runs exactly the scripts and the input that a real host gets.
//!
//! `cargo test --test scripts [PART_OF_A_NAME]` runs the tables whose names contain the argument. `CLUSTERCTL_KEEP=1` keeps the temporary roots,
//! `CLUSTERCTL_ROWS=TEXT` runs only the rows whose names contain the text, and `CLUSTERCTL_SWEEP=every` kills a swap of two static pods at each of
//! its effects (calls of tools that change something) instead of at some of them.

#![allow(clippy::print_stdout)]

mod scripts {
    pub mod binary;
    pub mod cluster;
    pub mod drain;
    pub mod encryption;
    pub mod etcd;
    pub mod etcd_change;
    pub mod etcd_service;
    pub mod etcd_versions;
    pub mod fence;
    pub mod files;
    pub mod hand_over;
    pub mod identity;
    pub mod images;
    pub mod kernel;
    pub mod kills;
    pub mod known_failures;
    pub mod kubelet;
    pub mod law;
    pub mod lock;
    pub mod objects;
    pub mod observe;
    pub mod pods;
    pub mod power_cut;
    pub mod quorum;
    pub mod reach;
    pub mod refuse;
    pub mod removal;
    pub mod reset;
    pub mod restarts;
    pub mod restore;
    pub mod restore_data;
    pub mod restore_run;
    pub mod rewrite;
    pub mod rollback_copy;
    pub mod runs;
    pub mod sandbox;
    pub mod settled;
    pub mod snapshot;
    pub mod software;
    pub mod sources;
    pub mod static_pod;
    pub mod status;
    pub mod stubs;
    pub mod table;
    pub mod turns;
    pub mod unit;
    pub mod upload;
    pub mod waits;
}

use scripts::table::{Entry, run};

/// The tables, each with the names of the scripts that it tests. The table `law` fails if no table names a script that changes something.
const TABLES: [Entry; 41] = [
    ("law", scripts::law::table, &[]),
    ("fence", scripts::fence::table, &["fence.sh", "lock_held.sh", "lock.sh"]),
    ("files", scripts::files::table, &["files.sh", "input.sh"]),
    (
        "static_pod",
        scripts::static_pod::table,
        &[
            "static_pod.sh",
            "swap.sh",
            "processes.sh",
            "exchange.sh",
            "quiet.sh",
            "evidence.sh",
            "revert.sh",
            "watch.sh",
            "manifest.sh",
            "report_rollbacks.sh",
            "wait_settled.sh",
        ],
    ),
    ("restarts", scripts::restarts::table, &["static_pod.sh", "swap.sh"]),
    ("restore", scripts::restore::table, &["restore_mark.sh", "etcd_tools.sh", "restore_prepare.sh", "restore_exchange.sh"]),
    (
        "restore_run",
        scripts::restore_run::table,
        &["aside.sh", "restore_stop.sh", "restore_start.sh", "restore_await.sh", "restore_finish.sh", "restore_kubelet.sh"],
    ),
    (
        "restore_data",
        scripts::restore_data::table,
        &["restore_room.sh", "scratch_etcd.sh", "rehearse.sh", "recover_snapshot.sh", "etcd_tools.sh", "aside.sh"],
    ),
    ("snapshot", scripts::snapshot::table, &["snapshot.sh"]),
    ("status", scripts::status::table, &["status.sh"]),
    ("kills", scripts::kills::table, &["static_pod.sh", "swap.sh", "manifest.sh"]),
    ("identity", scripts::identity::table, &["process.sh"]),
    ("quorum", scripts::quorum::table, &["quorum.sh", "wait_quorum.sh", "reboot.sh", "command.sh", "swap.sh", "unit.sh"]),
    ("refuse", scripts::refuse::table, &["refuse.sh"]),
    ("power_cut", scripts::power_cut::table, &[]),
    ("etcd_service", scripts::etcd_service::table, &["unit.sh", "etcd_service.sh"]),
    ("removal", scripts::removal::table, &["clean.sh", "absent.sh", "mounts.sh"]),
    ("reset", scripts::reset::table, &["clean.sh", "in_use.sh"]),
    ("software", scripts::software::table, &["packages.sh", "member.sh", "wait_rollout.sh", "snapshot.sh"]),
    ("hand_over", scripts::hand_over::table, &["hand_over.sh"]),
    ("etcd", scripts::etcd::table, &["etcdctl.sh", "etcd_member.sh", "etcd_keys.sh", "etcd_get.sh", "etcd_snapshot.sh"]),
    ("etcd_change", scripts::etcd_change::table, &["etcd_defrag.sh", "etcd_leader.sh", "etcd_disarm.sh", "etcd_compact.sh", "quorum.sh"]),
    ("encryption", scripts::encryption::table, &["rewrite.sh", "encodings.sh", "etcd_encodings.sh", "encoded.sh"]),
    ("etcd_versions", scripts::etcd_versions::table, &["etcd_version.sh"]),
    ("rollback_copy", scripts::rollback_copy::table, &["rollback_copy.sh"]),
    ("kernel", scripts::kernel::table, &["kernel.sh", "command.sh", "reboot.sh", "start.sh"]),
    ("drain", scripts::drain::table, &["drain.sh", "cordon.sh"]),
    ("upload", scripts::upload::table, &["upload.sh", "upload_check.sh"]),
    ("images", scripts::images::table, &["images.sh", "check_flags.sh", "forget_image.sh", "image_mount.sh"]),
    ("binary", scripts::binary::table, &["binary.sh", "image_mount.sh"]),
    ("kubelet", scripts::kubelet::table, &["files.sh", "unit.sh"]),
    ("unit", scripts::unit::table, &["unit.sh", "unit_stop.sh"]),
    (
        "objects",
        scripts::objects::table,
        &["kubectl.sh", "objects.sh", "objects_gone.sh", "node_meta.sh", "delete_node.sh", "delete_tokens.sh"],
    ),
    ("observe", scripts::observe::table, &["observe.sh"]),
    ("settled", scripts::settled::table, &["wait_settled.sh", "report_rollbacks.sh"]),
    ("lock", scripts::lock::table, &["lock.sh", "unlock.sh"]),
    ("turns", scripts::turns::table, &["within.sh", "files.sh", "unit.sh", "binary.sh", "static_pod.sh", "clean.sh", "check_flags.sh"]),
    (
        "waits",
        scripts::waits::table,
        &[
            "wait_api.sh",
            "wait_node.sh",
            "wait_back.sh",
            "wait_serves.sh",
            "wait_endpoint.sh",
            "wait_backend.sh",
            "wait_rollout.sh",
            "node_ready.sh",
            "serving.sh",
        ],
    ),
    ("cluster", scripts::cluster::table, &["admin.sh", "cluster.sh"]),
    ("sources", scripts::sources::table, &["sources.sh"]),
    ("reach", scripts::reach::table, &["reach.sh"]),
];

fn main() -> std::process::ExitCode {
    run(&TABLES)
}
