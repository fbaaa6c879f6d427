//! Refusals: the reasons why a run would be unsafe or impossible, each with the observed numbers and a fix. All of them are found at once,
//! without side effects.

use super::desired;
use super::desired::mark_field;
use super::members::is_listed;
use super::situation::ClusterState;
use super::upgrade::{Running, kubelet_fits};
use crate::facts::sources::{Kind, Missing};
use crate::facts::{Facts, HostFacts};
use crate::host::HostName;
use crate::inventory::{HostEntry, Inventory, KubeVersion, Role};
use crate::layout;

mod balancer;
mod cgroup;
pub mod etcd;
mod host;
pub mod leaving;
pub mod network;
mod quorum;
mod refusal;
mod removed;
mod renewal;
pub mod restore;
pub mod upgrade;

pub use host::KUBELET_STATE;
use host::host_refusals;
pub(super) use host::owner;
pub use quorum::lost as quorum_lost;
pub use refusal::Refusal;
pub use renewal::{api_expired, left_expired};

/// The name of the refusal for a host that does not answer although the run needs it, such as a control-plane host of a new cluster.
pub const UNREACHABLE_MASTER: &str = "unreachable-master";

/// The name of the refusal for a host that still has the data of a former etcd member.
pub const ETCD_DATA: &str = "etcd-data";

/// The largest difference, in seconds, between a host's clock and the median of all hosts that is accepted. A larger one breaks certificates
/// and etcd's leases.
const SKEW_LIMIT_SECONDS: f64 = 30.0;

/// Whether a refusal about one host stands even if the run does not change this host: another cluster's host, or a control plane or an etcd member
/// with a wrong clock, endangers the whole cluster.
pub fn endangers(inv: &Inventory, refusal: &Refusal) -> bool {
    match refusal.name {
        UNREACHABLE_MASTER | "foreign-cluster" => true,
        "clock" => inv.host(&refusal.host).is_some_and(|h| inv.is_core(h)),
        _ => false,
    }
}

/// The refusal because a host cannot download a program or an image that the plan requires.
pub fn unavailable(host: &str, missing: &Missing) -> Refusal {
    let (name, fix) = match missing.kind {
        Kind::Binary => ("binary", "check `cluster.version` and `artifacts.binaries`, and the host's way there"),
        Kind::Image => {
            ("image", "check `cluster.version`, `artifacts.imageRepository` and `artifacts.registryMirrors`, and the host's way there")
        }
    };
    Refusal::new(host, name, format!("{} cannot be got: {}", missing.what, missing.why), fix)
}

/// The purpose of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The purpose of `init`: a cluster is created.
    Found,
    /// An existing cluster is changed to what the inventory describes.
    Keep,
    /// An existing cluster is upgraded to another version; [`upgrade`] contains the refusals that only an upgrade has.
    Upgrade,
    /// Control planes whose API servers are not ready are restored to their previous state.
    Repair,
    /// Certificates of an existing cluster are renewed, and nothing else is changed.
    Renew,
}

/// Every refusal of a run that changes the hosts to what the inventory describes, or that renews certificates.
pub fn of(inv: &Inventory, facts: &Facts, purpose: Purpose) -> Vec<Refusal> {
    let cluster = ClusterState::of(facts);
    if purpose == Purpose::Renew {
        return renewal::of(inv, facts, cluster);
    }
    let mut out = renewal::expired(inv, facts, cluster);
    let founding = !cluster.exists();
    for host in &inv.hosts {
        match facts.hosts.get(&host.name) {
            Some(f) => out.extend(host_refusals(inv, host, f, cluster)),
            None if founding && (host.has(Role::ControlPlane) || host.has(Role::Etcd)) => out.push(silent(&host.name, purpose)),
            None => {}
        }
    }
    // A control-plane or etcd host that does not answer may be the only one with the mark of a finished cluster, so `no-cluster` is not
    // reported while such a host is silent.
    let all_answer = !out.iter().any(|b| b.name == UNREACHABLE_MASTER);
    if founding && purpose != Purpose::Found && all_answer {
        out.push(Refusal::no_cluster(inv));
    }
    out.extend(restore::unfinished_restore(facts));
    out.extend(not_yet(inv));
    out.extend(removed::of(inv));
    out.extend(joining(inv, facts, cluster));
    if !matches!(purpose, Purpose::Upgrade | Purpose::Repair) {
        out.extend(version_change(inv, facts, cluster));
    }
    if cluster.exists() && matches!(purpose, Purpose::Found | Purpose::Keep) {
        out.extend(upgrade::etcd_change(inv, facts));
    }
    out.extend(mixed(inv, facts));
    out.extend(clocks(facts));
    if cluster.exists() {
        out.extend(quorum::lost(inv, facts));
    }
    out.extend(duplicates(facts));
    if purpose != Purpose::Repair {
        out.extend(api_away(inv, facts, cluster));
    }
    out
}

/// A refusal for a control-plane or etcd host that does not answer, if no host that answers has the mark of a finished cluster.
fn silent(host: &str, purpose: Purpose) -> Refusal {
    let (message, fix) = match purpose {
        Purpose::Found => (
            "a cluster is founded by all its control-plane and etcd hosts together, and this one does not answer",
            "make it reachable, or take it out of the inventory and let it join later",
        ),
        _ => (
            "it does not answer, and no other host knows of a finished cluster, so nothing can be said about the cluster",
            "make it reachable, and run the same command again",
        ),
    };
    Refusal::new(host, UNREACHABLE_MASTER, message, fix)
}

/// Refuses hosts whose ownership mark names another cluster, because a reset must not touch them.
pub fn foreign(inv: &Inventory, facts: &Facts, hosts: &[HostName]) -> Vec<Refusal> {
    let marked = |h: &&HostName| facts.host(h).files.contains_key(layout::OWNERSHIP);
    hosts
        .iter()
        .filter(marked)
        .filter_map(|h| owner(inv, facts.host(h)).filter(|(_, same)| !same).map(|(whose, _)| (h, whose)))
        .map(|(h, whose)| Refusal::new(h, "foreign-cluster", whose, "use the inventory of that cluster"))
        .collect()
}

/// The items, separated by commas; of more than `most` items, the first ones and the number of the others.
fn listed(items: &[&str], most: usize) -> String {
    let (first, more) = items.split_at(items.len().min(most));
    let first = first.join(", ");
    if more.is_empty() { first } else { format!("{first} and {} more", more.len()) }
}

/// The warning about a Corefile that is kept although the inventory does not have it.
pub fn kept_corefile(inv: &Inventory, facts: &Facts) -> Option<Refusal> {
    let message = "the Corefile of CoreDNS was changed in the cluster, and is kept";
    let fix = "write it as `addons.coreDns.corefile`; or, for the default, delete it (`kubectl -n kube-system delete configmap coredns`) and run \
               `clusterctl apply`";
    desired::keeps_corefile(inv, facts).then(|| Refusal::new("", "corefile", message, fix))
}

/// Compares the clocks with the median of all hosts, so that a wrong clock of the operator's machine does not block every host.
fn clocks(facts: &Facts) -> Vec<Refusal> {
    let mut offsets: Vec<f64> = facts.hosts.values().map(|f| f.clock_offset).collect();
    offsets.sort_by(f64::total_cmp);
    let Some(median) = offsets.get(offsets.len() / 2).copied() else { return Vec::new() };
    let off = facts.hosts.iter().filter(|(_, f)| (f.clock_offset - median).abs() > SKEW_LIMIT_SECONDS);
    let mut out: Vec<Refusal> = off
        .map(|(name, f)| {
            let message = format!("its clock is {:+.0} s off the other hosts' (limit {SKEW_LIMIT_SECONDS} s)", f.clock_offset - median);
            Refusal::new(name, "clock", message, "synchronise it, for example with chrony")
        })
        .collect();
    if median.abs() > SKEW_LIMIT_SECONDS {
        let message = format!(
            "this machine's clock is {:+.0} s off the hosts' (limit {SKEW_LIMIT_SECONDS} s); certificates made here would not be valid there",
            -median
        );
        out.push(Refusal::new("", "clock", message, "synchronise this machine's clock"));
    }
    out
}

/// Refuses machines with the same machine ID or hostname, which careless cloning leaves behind.
fn duplicates(facts: &Facts) -> Vec<Refusal> {
    let mut out = Vec::new();
    let hosts: Vec<(&HostName, &HostFacts)> = facts.hosts.iter().collect();
    for (i, (a, fa)) in hosts.iter().enumerate() {
        for (b, fb) in &hosts[i + 1..] {
            if !fa.machine_id.is_empty() && fa.machine_id == fb.machine_id {
                out.push(Refusal::new(
                    b,
                    "machine-id",
                    format!("it has the same machine-id as {a}"),
                    "`rm /etc/machine-id && systemd-machine-id-setup`, then reboot",
                ));
            }
            if !fa.hostname.is_empty() && fa.hostname.eq_ignore_ascii_case(&fb.hostname) {
                out.push(Refusal::new(
                    b,
                    "hostname",
                    format!("it has the same hostname as {a} ({})", fa.hostname),
                    "`hostnamectl hostname NAME`",
                ));
            }
        }
    }
    out
}

/// Refuses settings that an inventory can contain and that this version does not support, rather than ignoring them silently.
fn not_yet(inv: &Inventory) -> Vec<Refusal> {
    let asked = [(!inv.artifacts.binaries.starts_with("http"), "binaries from a folder", "serve the folder over HTTP")];
    asked
        .into_iter()
        .filter(|(asked, ..)| *asked)
        .map(|(_, what, fix)| Refusal::new("", "not-yet", format!("{what} is not supported by this version of clusterctl"), fix))
        .collect()
}

/// The hosts that answer and that are to have an etcd member, but are not in etcd's member list. Empty while no member answers.
fn unlisted<'a>(inv: &'a Inventory, facts: &Facts) -> Vec<&'a HostEntry> {
    let is_new = |h: &&HostEntry| is_listed(h, facts) == Some(false) && facts.hosts.contains_key(&h.name);
    inv.etcd_hosts().into_iter().filter(is_new).collect()
}

/// Those of an existing cluster's hosts that are not in etcd's member list any more and still have the data of a member.
pub(super) fn with_old_data<'a>(inv: &'a Inventory, facts: &Facts) -> Vec<&'a HostEntry> {
    let has_data = |h: &&HostEntry| facts.host(&h.name).files.contains_key(layout::ETCD_MEMBER_DIR);
    let new = if ClusterState::of(facts).exists() { unlisted(inv, facts) } else { Vec::new() };
    new.into_iter().filter(has_data).collect()
}

/// Refuses to add an etcd member while a voting member does not answer, and on a host that still has the data of a former member.
fn joining(inv: &Inventory, facts: &Facts, cluster: ClusterState) -> Vec<Refusal> {
    let Some(list) = facts.members().filter(|_| cluster.exists()) else { return Vec::new() };
    let mut out = Vec::new();
    let new = unlisted(inv, facts);
    for h in with_old_data(inv, facts) {
        let message = format!("{} holds the data of an etcd member that is not in the cluster's list any more", layout::ETCD_DATA_DIR);
        // A reset of a control-plane host is refused while its cluster goes on.
        let fix = match h.has(Role::ControlPlane) {
            true => format!("`clusterctl remove {}`, then join it anew", h.name),
            false => format!("`clusterctl reset --limit {}`, then join it anew", h.name),
        };
        out.push(Refusal::new(&h.name, ETCD_DATA, message, fix));
    }
    // A listed member whose host answers but has no data of etcd is a new member whose join was interrupted, so it does not count as absent.
    let away = |name: &str| !facts.hosts.get(name).is_some_and(|f| f.members.is_some() || !f.files.contains_key(layout::ETCD_MEMBER_DIR));
    let away: Vec<&str> = list.iter().filter(|m| !m.learner && !m.name.is_empty() && away(&m.name)).map(|m| m.name.as_str()).collect();
    if !new.is_empty() && !away.is_empty() {
        let voters = list.iter().filter(|m| !m.learner).count();
        let message =
            format!("of {voters} voting etcd members these do not answer: {}; a newcomer would only raise the quorum", away.join(", "));
        let fix = format!("bring them back, or take them out first: `clusterctl remove {} --dead`", away.join(" "));
        out.push(Refusal::new("", "etcd-member-away", message, fix));
    }
    out
}

/// Refuses to found a cluster with hosts that are in another cluster of the same name. The CA in a host's mark tells the clusters apart: it must be
/// the CA that a control-plane host has or, before that, the one that the operator gave (`given`). While there is neither, no kubelet can be in the
/// new cluster. A load balancer is not refused, because an interrupted `init` marks load balancers before any other host has the CA.
pub fn of_another_founding(inv: &Inventory, facts: &Facts, given: Option<&str>) -> Vec<Refusal> {
    if ClusterState::of(facts).exists() {
        return Vec::new();
    }
    let ca = inv.control_planes().find_map(|m| facts.host(&m.name).text(&format!("{}/ca.crt", layout::PKI_DIR)));
    let expected = ca.or(given).map(|pem| mark_field(&desired::ownership(inv, pem), "ca:").to_string());
    let has_kubelet = |f: &HostFacts| {
        [layout::KUBELET_CONF, layout::KUBELET_CONFIG, layout::KUBELET_CLIENT_CURRENT].iter().any(|p| f.files.contains_key(*p))
    };
    let mut out = Vec::new();
    for h in &inv.hosts {
        let f = facts.host(&h.name);
        let Some(ca) = f.text(layout::OWNERSHIP).map(|mark| mark_field(mark, "ca:")) else { continue };
        let (kubelet, etcd) = (h.is_node() && has_kubelet(f), h.has(Role::Etcd));
        let foreign = match &expected {
            Some(expected) => (kubelet || etcd) && ca != expected,
            None => kubelet,
        };
        if let Some((whose, _)) = owner(inv, f).filter(|_| foreign) {
            let fix = "take it out of this inventory; if its cluster is gone, reset it with an inventory that lists only this host";
            out.push(Refusal::new(
                &h.name,
                "foreign-cluster",
                format!("{whose}, which is not the cluster of this name that is being founded"),
                fix,
            ));
        }
    }
    out
}

/// Refuses hosts whose ownership mark differs from that of the first control-plane host, because all hosts of one cluster have the same name of
/// the cluster and the same CA.
pub fn mixed(inv: &Inventory, facts: &Facts) -> Vec<Refusal> {
    let marks: Vec<(&HostName, &str)> = facts.hosts.iter().filter_map(|(name, f)| Some((name, f.text(layout::OWNERSHIP)?))).collect();
    let first = inv.control_planes().find_map(|m| marks.iter().find(|(name, _)| **name == m.name)).or_else(|| marks.first());
    let Some((reference, expected)) = first.copied() else { return Vec::new() };
    marks
        .into_iter()
        .filter(|(_, mark)| *mark != expected)
        .map(|(name, _)| {
            Refusal::new(
                name,
                "foreign-cluster",
                format!("its mark ({}) names another cluster or CA than that of {reference}", layout::OWNERSHIP),
                "reset the host that does not belong, or take it out of the inventory",
            )
        })
        .collect()
}

/// The refusal if an API server of an existing cluster has another version than the inventory, or a kubelet has a version that may not run beside
/// it. Versions are changed node by node with drains in between, which only `upgrade` does. Older kubelets that may run, as an interrupted upgrade
/// leaves them, are no reason: the run leaves them as they are. Hosts that do not answer are not changed either.
fn version_change(inv: &Inventory, facts: &Facts, cluster: ClusterState) -> Option<Refusal> {
    let running = Running::of(inv, facts);
    let wanted = &inv.cluster.version;
    let newest = running.api_servers.values().chain(running.kubelets.values()).max()?;
    let fits = |(node, v): (&String, &KubeVersion)| !facts.hosts.contains_key(node) || kubelet_fits(v, wanted);
    if !cluster.exists() || (running.api_servers.values().all(|v| v == wanted) && running.kubelets.iter().all(fits)) {
        return None;
    }
    let said = |versions: &dyn Fn() -> std::collections::BTreeSet<String>| versions().into_iter().collect::<Vec<_>>().join(", ");
    let api = said(&|| running.api_servers.values().map(ToString::to_string).collect());
    let kubelets = said(&|| running.kubelets.values().map(ToString::to_string).collect());
    let fix = match newest > wanted {
        true => format!("set `cluster.version: {newest}`, then go on with `clusterctl upgrade`; a cluster never goes back"),
        false => "roll it out with `clusterctl upgrade`; see it before with `clusterctl upgrade plan`".into(),
    };
    let silent: Vec<&str> = inv.control_planes().filter(|h| !facts.hosts.contains_key(&h.name)).map(|h| h.name.as_str()).collect();
    let fix = match silent.is_empty() {
        true => fix,
        false => format!(
            "bring {} back, or `clusterctl remove {} --dead` first if it is gone for good; then {fix}",
            silent.join(", "),
            silent.join(" ")
        ),
    };
    Some(Refusal::new("", "version", format!("the inventory says {wanted}; the API servers run {api}, the kubelets {kubelets}"), fix))
}

/// The refusal if the cluster exists but no API server answers, because such a cluster must be repaired before it can be changed.
fn api_away(inv: &Inventory, facts: &Facts, cluster: ClusterState) -> Option<Refusal> {
    if cluster != ClusterState::WithoutApi {
        return None;
    }
    let all = inv.control_planes().count();
    let up = inv.control_planes().filter(|h| facts.host(&h.name).units.get("kubelet").is_some_and(|u| u.active == "active")).count();
    // If the kubelet of a control-plane host is not active, this is the cause, and the run starts the kubelet, so the run is not refused.
    (up == all).then(|| Refusal::no_api_server(inv))
}
