//! Refusals of a restore of etcd, and of other commands while a restore has not finished.

use std::collections::BTreeMap;

use super::{Refusal, foreign, mixed};
use crate::facts::Facts;
use crate::facts::rehearsal::{Rehearsed, Room};
use crate::facts::restore::{Mark, RECOVER, Stage};
use crate::host::HostName;
use crate::inventory::{HostEntry, Inventory};
use crate::layout;
use crate::plan::desired::mark_field;
use crate::plan::restore::unfinished;
use crate::step;
use crate::step::restore::mark_of;

/// The refusal of a command that would start static pods or etcd while a restore of etcd has not finished. `None` if there is no such restore.
pub(super) fn unfinished_restore(facts: &Facts) -> Option<Refusal> {
    let marks = unfinished(facts);
    let (_, mark) = marks.iter().max_by_key(|(_, mark)| mark.stage)?;
    let hosts: Vec<String> = marks.iter().map(|(host, mark)| format!("{host} ({})", mark.stage.word())).collect();
    let message = format!("a restore of etcd has not finished on {}", hosts.join(", "));
    Some(Refusal::new("", "restore-unfinished", message, format!("go on with it: `{}`", command(mark))))
}

/// The command that goes on with the restore of this mark.
pub fn command(mark: &Mark) -> String {
    match mark.snapshot == RECOVER {
        true => format!("clusterctl etcd recover --from {}", mark.from),
        false => format!("clusterctl etcd restore {}", mark.from),
    }
}

/// What a restore is judged by, besides the inventory and the facts.
pub struct Inputs<'a> {
    /// The size of the snapshot in bytes.
    pub size: u64,
    /// The free space of the members' hosts.
    pub room: &'a BTreeMap<HostName, Room>,
    /// The result of the rehearsal; `None` if there was none, because the restore continues or is only shown.
    pub rehearsed: Option<&'a Rehearsed>,
    pub allow_foreign: bool,
}

/// The space in bytes that restored data needs in addition to the size of the snapshot, for etcd's log.
const LOG: u64 = 256 << 20;

/// Every reason why the restore must not begin.
pub fn of_restore(inv: &Inventory, facts: &Facts, inputs: &Inputs<'_>) -> Vec<Refusal> {
    let mut out = Vec::new();
    let members = inv.etcd_hosts();
    for h in inv.core_hosts().filter(|h| !facts.hosts.contains_key(&h.name)) {
        let fix = "make it reachable; if the machine is gone for good, take it out of the inventory, restore without it, and join a new machine \
            afterwards";
        out.push(Refusal::new(
            &h.name,
            "unreachable",
            "it does not answer, and a member or an API server that was left out would spoil the restore",
            fix,
        ));
    }
    let names: Vec<HostName> = inv.hosts.iter().map(|h| h.name.clone()).filter(|h| facts.hosts.contains_key(h)).collect();
    out.extend(foreign(inv, facts, &names));
    out.extend(mixed(inv, facts).into_iter().filter(|b| !out.iter().any(|known| known.host == b.host)).collect::<Vec<_>>());
    if inv.etcd.extra_args.contains_key("wal-dir") {
        let message = "etcd keeps its log in a folder of its own (`etcd.extraArgs: wal-dir`), which this restore does not exchange";
        out.push(Refusal::new("", "wal-dir", message, "restore by hand with etcdutl and its option --wal-dir"));
    }
    for h in members.iter().filter(|h| facts.hosts.contains_key(&h.name)) {
        out.extend(member(inv, h, facts, inputs));
    }
    out.extend(inputs.rehearsed.filter(|_| !inputs.allow_foreign).and_then(|r| other_cluster(facts, r)));
    out
}

/// The refusals that concern the host of one member.
fn member(inv: &Inventory, h: &HostEntry, facts: &Facts, inputs: &Inputs<'_>) -> Vec<Refusal> {
    let f = facts.host(&h.name);
    let mut out = Vec::new();
    let mut refuse = |name, message: String, fix: &str| out.push(Refusal::new(&h.name, name, message, fix));
    let has = |path: &str| f.files.contains_key(path);
    let in_folder = |folder: &str| has(&format!("{folder}/etcd.yaml"));
    let starts = match inv.etcd_is_stacked() {
        true => in_folder(layout::MANIFESTS_DIR) || in_folder(layout::RESTORE_MANIFESTS_DIR),
        false => has(layout::ETCD_UNIT) && has(layout::ETCD_ENV),
    };
    if !starts {
        let fix = "take it out of the inventory, restore without it, and join it afterwards";
        refuse("no-member", "it has no etcd that could be started with the restored data".into(), fix);
    }
    if f.swapping {
        let fix = "run the same command again in a minute";
        refuse("static-pod", "it still ends the replacement of a static pod that an interrupted run began".into(), fix);
    }
    let below = format!("{}/", layout::ETCD_DATA_DIR);
    if let Some(mount) = f.mounts.iter().find(|m| m.starts_with(&below)) {
        let message = format!("{mount} is a mount, so etcd's data cannot be exchanged by renaming a folder");
        refuse("mount", message, "restore by hand with etcdutl, or mount the disk at the folder of etcd's data instead");
    }
    let mark = mark_of(f).filter(|mark| mark.is_unfinished() && mark.stage >= Stage::Prepared);
    if let (Some(room), None) = (inputs.room.get(&h.name), mark) {
        for (folder, free, need) in
            [(layout::STATE_DIR, room.state, inputs.size + LOG), (layout::ETCD_DATA_DIR, room.data, inputs.size + LOG)]
        {
            if free < need {
                let message = format!("{folder} has {} MiB free, and the restore needs {} MiB there", free >> 20, need >> 20);
                refuse("disk", message, "make room");
            }
        }
    }
    out
}

/// The refusal of a snapshot of another cluster, or of one whose cluster is not known: the CA of its cluster is compared with the ownership marks of
/// the hosts. `None` if it is a snapshot of this cluster.
fn other_cluster(facts: &Facts, rehearsed: &Rehearsed) -> Option<Refusal> {
    let fix = "use a snapshot of this cluster; `--allow-foreign` restores it all the same, and certificates and tokens of the other cluster come \
        with it";
    let Some(ca) = &rehearsed.ca else {
        let message = "the cluster of the snapshot is not known: it has no ConfigMap kube-public/cluster-info that can be read";
        return Some(Refusal::new("", "unknown-snapshot", message, fix));
    };
    is_other(facts.hosts.values().filter_map(|f| f.text(layout::OWNERSHIP)), ca).then(|| {
        let message = "the snapshot is of a cluster with another CA than that of these hosts";
        Refusal::new("", "foreign-snapshot", message, fix)
    })
}

/// Whether any of these ownership marks names another CA than this certificate, or none names it.
pub fn is_other<'a>(marks: impl Iterator<Item = &'a str>, ca: &str) -> bool {
    let digest = step::digest(ca.trim().as_bytes());
    let mut named = marks.map(|mark| mark_field(mark, "ca:") == digest).peekable();
    named.peek().is_none() || !named.all(|same| same)
}
