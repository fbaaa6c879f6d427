//! The refusals of a renewal of certificates, and the refusal of every other run that needs such a renewal first.

use jiff::Timestamp;

use super::{Refusal, clocks, mixed, owner, restore};
use crate::facts::{Facts, HostFacts};
use crate::inventory::{HostEntry, Inventory};
use crate::layout;
use crate::pki::{self, CertInfo};
use crate::plan::situation::ClusterState;

/// The name of the refusal of a run that needs certificates which have expired.
const EXPIRED: &str = "certificates-expired";

/// Every reason why a renewal must not begin. A renewal works without an API server and without a quorum of etcd, and it changes nothing but
/// certificates, so the rules about versions and about the software of hosts do not apply.
pub(super) fn of(inv: &Inventory, facts: &Facts, cluster: ClusterState) -> Vec<Refusal> {
    let mut out = Vec::new();
    if !cluster.exists() {
        out.push(Refusal::no_cluster(inv));
    }
    for (host, f) in &facts.hosts {
        if let Some((whose, false)) = owner(inv, f) {
            out.push(Refusal::new(
                host,
                "foreign-cluster",
                whose,
                "use the inventory of that cluster, or take over a cluster with `clusterctl adopt`",
            ));
        }
    }
    out.extend(restore::unfinished_restore(facts));
    out.extend(mixed(inv, facts));
    out.extend(clocks(facts));
    if cluster == ClusterState::WithoutApi {
        out.extend(too_few(inv, facts));
    }
    out
}

/// The refusal if so many hosts with etcd members do not answer over SSH that etcd could not get its quorum with the renewed certificates either.
fn too_few(inv: &Inventory, facts: &Facts) -> Option<Refusal> {
    let hosts = inv.etcd_hosts();
    let silent: Vec<&str> = hosts.iter().map(|h| h.name.as_str()).filter(|h| !facts.hosts.contains_key(*h)).collect();
    let (answer, quorum) = (hosts.len() - silent.len(), hosts.len() / 2 + 1);
    (answer < quorum).then(|| {
        let message = format!(
            "etcd cannot get its quorum: of its {} hosts {answer} answer, {quorum} are needed, and these do not answer: {}",
            hosts.len(),
            silent.join(", ")
        );
        Refusal::new("", "etcd-quorum", message, "make them reachable over SSH, then run the same command again")
    })
}

/// The refusals because certificates have expired without which the run could not be carried out: while no API server answers, any certificate of a
/// control plane or of etcd; otherwise those of an etcd member that does not answer, because the check of the quorum cannot ask it. `certs renew`
/// brings such a cluster back, and nothing else has to be changed before.
pub(super) fn expired(inv: &Inventory, facts: &Facts, cluster: ClusterState) -> Vec<Refusal> {
    match cluster {
        ClusterState::Founding => vec![],
        ClusterState::WithoutApi => api_expired(inv, facts).into_iter().collect(),
        ClusterState::Standing => inv.etcd_hosts().into_iter().filter_map(|h| member_expired(h, facts)).collect(),
    }
}

/// The refusal because certificates of control-plane hosts or etcd hosts have expired, with the certificates of each host. `None` if none has.
pub fn api_expired(inv: &Inventory, facts: &Facts) -> Option<Refusal> {
    let said = everywhere(inv, facts)?;
    let message = format!("no API server can be used, and these certificates have expired: {said}");
    Some(Refusal::new(
        "",
        EXPIRED,
        message,
        "renew them with `clusterctl certs renew`, which needs no API server; then run this command again",
    ))
}

/// The refusal, or the warning, because a renewal leaves certificates expired, which it does not concern. `after` are the facts after the renewal.
pub fn left_expired(inv: &Inventory, after: &Facts) -> Option<Refusal> {
    let message = format!("these certificates have expired, and this renewal leaves them as they are: {}", everywhere(inv, after)?);
    Some(Refusal::new("", EXPIRED, message, "`clusterctl certs renew` without names and without `--limit` renews all of them"))
}

/// The certificates of all control-plane hosts and etcd hosts that have expired. `None` if none has.
fn everywhere(inv: &Inventory, facts: &Facts) -> Option<String> {
    let said: Vec<String> = inv.core_hosts().filter_map(|h| Some(format!("{} on {}", told(&on(h, facts, |_| true))?, h.name))).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

fn member_expired(h: &HostEntry, facts: &Facts) -> Option<Refusal> {
    if facts.host(&h.name).members.is_some() {
        return None;
    }
    let said = told(&on(h, facts, |c| c.path.starts_with(layout::ETCD_PKI_DIR)))?;
    let message = format!("its etcd member does not answer, and these certificates have expired: {said}");
    Some(Refusal::new(&h.name, EXPIRED, message, "renew them with `clusterctl certs renew`; then run this command again"))
}

/// The names of certificates with the day on which the first of them expired. `None` if there are none.
fn told(expired: &[CertInfo]) -> Option<String> {
    let first = expired.iter().map(|c| c.not_after).min()?;
    let names: Vec<&str> = expired.iter().map(|c| layout::basename(&c.path)).collect();
    Some(format!("{} ({})", names.join(", "), first.strftime("%Y-%m-%d")))
}

/// The certificates of a host, without authorities, that have expired by the host's own clock.
fn on(h: &HostEntry, facts: &Facts, which: impl Fn(&CertInfo) -> bool) -> Vec<CertInfo> {
    let Some(f) = facts.hosts.get(&h.name) else { return vec![] };
    let Some(now) = clock(f) else { return vec![] };
    pki::expiry(&f.contents()).into_iter().filter(|c| !c.is_ca && c.is_in_use() && c.not_after <= now && which(c)).collect()
}

fn clock(f: &HostFacts) -> Option<Timestamp> {
    Timestamp::from_second(f.clock as i64).ok()
}
