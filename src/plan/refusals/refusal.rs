//! One refusal as a value, and the refusals that are found outside of the checks of hosts and versions.

use serde::Serialize;

use super::super::Plan;
use super::super::encryption::Fault;
use super::super::upgrade::UpgradeRefusal;
use crate::host::HostName;
use crate::inventory::Inventory;

/// One reason why a run must not begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The host that the refusal concerns; empty for the whole cluster.
    pub host: HostName,
    /// Stable name of the check that refuses the run.
    pub name: &'static str,
    pub message: String,
    /// What the operator can do about it.
    pub fix: String,
}

impl Refusal {
    pub(in crate::plan) fn new(host: &str, name: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Refusal { host: host.into(), name, message: message.into(), fix: fix.into() }
    }

    /// The refusal because of a PKI that cannot be used. `message` is the reason.
    pub fn pki(message: &str) -> Self {
        Refusal::new(
            "",
            "pki",
            message,
            "restore the missing or differing file from another control-plane host or your own copy; clusterctl never makes a second CA for a living cluster",
        )
    }

    /// The refusals because the encryption of stored values must not be changed.
    pub fn encryption(faults: Vec<Fault>) -> Vec<Refusal> {
        faults.into_iter().map(|f| Refusal::new(&f.host, "encryption", f.message, f.fix)).collect()
    }

    /// The refusal to reset a host with an etcd member while its cluster continues to run. `members` is the number of all members.
    pub fn member_stays(host: &str, members: usize) -> Self {
        let message = format!("it holds one of {members} etcd members (quorum {}) of a cluster that goes on", members / 2 + 1);
        let fix = "take it out with `clusterctl remove`, or reset the whole cluster with an inventory that lists all of its hosts";
        Refusal::new(host, "etcd-member", message, fix)
    }

    /// The refusal because of pods that would stay on a node that is to be drained.
    pub fn drain(name: &'static str, message: &str, fix: &str) -> Self {
        Refusal::new("", name, message, fix)
    }

    /// The refusal to make a certificate for one of Kubernetes' own users or groups.
    pub fn reserved_identity(name: &str) -> Self {
        let message = match name {
            "system:masters" => {
                "the group system:masters has every right, which no role binding and no admission plugin can take away".into()
            }
            _ => format!("{name} is a name of Kubernetes itself: its components have the users and groups that begin with `system:`"),
        };
        let fix = "choose another name and bind a role to it; `--allow-system-masters` makes the certificate nevertheless";
        Refusal::new("", "system-identity", message, fix)
    }

    /// The refusal to continue etcd from one member while it has its quorum.
    pub fn quorum_holds(voters: usize, healthy: usize) -> Self {
        let message = format!("etcd has its quorum: of {voters} voting members {healthy} are healthy");
        Refusal::new(
            "",
            "etcd-quorum-holds",
            message,
            "replace members that are lost: `clusterctl remove HOST --dead`, then `clusterctl join`",
        )
    }

    /// The refusal of an upgrade that cannot reach its target version.
    pub fn no_way(no: &UpgradeRefusal) -> Self {
        Refusal::new("", no.rule(), no.to_string(), no.fix())
    }

    /// The refusal of a run that needs a finished cluster, if no host has the mark of one.
    pub(super) fn no_cluster(inv: &Inventory) -> Self {
        let message = format!("there is no finished cluster {} on these hosts", inv.cluster.name);
        Refusal::new("", "no-cluster", message, "found it, or go on founding it, with `clusterctl init`")
    }

    /// The refusal to change an existing cluster of which no API server answers.
    pub fn no_api_server(inv: &Inventory) -> Self {
        let message = format!("the cluster stands, but no API server answers on its {} control-plane hosts", inv.control_planes().count());
        Refusal::new("", "api-away", message, "see `clusterctl status`; bring a quorum of etcd members back first")
    }

    /// The refusal of `init` for a cluster that is already complete. `plan` contains the steps that would change it.
    pub fn finished(inv: &Inventory, plan: &Plan) -> Self {
        let message = format!("cluster {} stands already, and {} steps would change it", inv.cluster.name, plan.steps().count());
        Refusal::new("", "finished", message, "see them with `clusterctl plan`, carry them out with `clusterctl apply`")
    }
}
