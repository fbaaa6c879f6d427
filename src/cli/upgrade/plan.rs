//! `clusterctl upgrade plan`: shows the running versions, the offered versions, and what prevents an upgrade.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Options;
use super::offers::{Offer, Offers, unsupported};
use crate::cli::Call;
use crate::cli::converge::upgrade::{Findings, judged, offered, with_offers};
use crate::cli::report::{heading, table};
use crate::cli::session::{Reach, Session};
use crate::cli::stop::Ended;
use crate::error::Exit;
use crate::facts::Facts;
use crate::facts::evictions::{self, PODS};
use crate::inventory::KubeVersion;
use crate::plan::refusals;
use crate::plan::refusals::{Purpose, Refusal};
use crate::plan::situation::ClusterState;
use crate::plan::upgrade::{Running, UpgradeStage, way};

/// The output of the verb.
#[derive(Serialize)]
struct Shown {
    cluster: String,
    hosts: Vec<Row>,
    offers: Vec<Offer>,
    /// Newer versions that the artifact source offers and that clusterctl does not support.
    unsupported_offers: Vec<KubeVersion>,
    to: KubeVersion,
    way: Vec<String>,
    refusals: Vec<Refusal>,
    warnings: Vec<String>,
}

/// The versions that run on a host.
#[derive(Serialize)]
struct Row {
    host: String,
    api_server: String,
    kubelet: String,
    etcd: String,
}

/// Runs the verb.
pub async fn run(call: &Call, options: &Options) -> Ended {
    let session = Session::open(call, Reach::Everyone).await?;
    let mut upgrade = options.upgrade(&session.inventory, &call.global.inventory)?;
    let mut observed = session.observe(&[], &evictions::lists(&[PODS.into()])).await;
    let failures: Vec<_> = std::mem::take(&mut observed.failures).into_iter().chain(session.unreachable()).collect();
    session.report.failures(&failures);
    let facts = &observed.facts;
    let running = Running::of(&session.inventory, facts);
    let offers = on_offer(&session, &running).await;
    // Without `--version`, the target is the newest supported version on offer, at most one minor version above the running one, unless the
    // inventory's version is newer.
    if options.version.is_none()
        && let Some(newest) = offers.supported.iter().map(|o| &o.version).max()
        && *newest > upgrade.to
    {
        upgrade.to = newest.clone();
    }
    let upgrade = with_offers(&upgrade, &session, facts).await;
    let findings = judged(&session, &observed, &upgrade).await;
    let mut inv = session.inventory.clone();
    inv.cluster.version = upgrade.to.clone();
    let mut found = refusals::of(&inv, facts, Purpose::Upgrade);
    if let Err(no) = way(&running, &upgrade.to, &upgrade.through) {
        found.push(Refusal::no_way(&no));
    }
    let unknown = findings.stages.is_empty() && running.oldest().is_none() && ClusterState::of(facts).exists();
    if unknown && !found.iter().any(|b| b.name == "api-away") {
        found.push(Refusal::no_api_server(&inv));
    }
    found.extend(findings.refusals.iter().cloned());
    let shown = Shown {
        cluster: session.inventory.cluster.name.clone(),
        hosts: rows(&session, facts, &running),
        offers: offers.supported,
        unsupported_offers: offers.unsupported,
        to: upgrade.to.clone(),
        way: steps(&findings, &running),
        refusals: found,
        warnings: findings.warnings.iter().map(|(host, message)| format!("{host}: {message}")).collect(),
    };
    session.report.result(&shown, text(&shown));
    Ok(if shown.refusals.is_empty() { Exit::of(&failures) } else { Exit::Refused })
}

/// The newest patch versions that the artifact source offers of the running minor version and of the next minor version. Empty if no API server
/// reported its version.
async fn on_offer(session: &Session, running: &Running) -> Offers {
    let Some(now) = running.oldest() else { return Offers::default() };
    let newest = offered(session, &[now.minor(), now.minor() + 1]).await;
    Offers::of(now, newest.into_values(), session.inventory.etcd.image_tag.is_none())
}

fn rows(session: &Session, facts: &Facts, running: &Running) -> Vec<Row> {
    let text = |v: Option<&KubeVersion>| v.map_or_else(|| "-".to_string(), ToString::to_string);
    let etcd = |host: &str| facts.host(host).pods.get("etcd").and_then(|p| Some(p.image.rsplit_once(':')?.1.to_string()));
    let row = |h: &crate::inventory::HostEntry| Row {
        host: h.name.clone(),
        api_server: text(running.api_servers.get(&h.name)),
        kubelet: text(running.kubelets.get(&h.name)),
        etcd: etcd(&h.name).unwrap_or_else(|| "-".into()),
    };
    session.inventory.nodes().map(row).collect()
}

/// The stages of the upgrade as text, without the stages that are already complete.
fn steps(findings: &Findings, running: &Running) -> Vec<String> {
    let behind = |all: &BTreeMap<String, KubeVersion>, to: &KubeVersion| all.iter().filter(|(_, v)| *v != to).count();
    let stage = |l: &UpgradeStage| match l {
        UpgradeStage::ControlPlane(v) => {
            let hosts = behind(&running.api_servers, v);
            (hosts > 0 || findings.running.unfinished).then(|| format!("control plane to {v}, one host after another"))
        }
        UpgradeStage::Kubelets(v) => (behind(&running.kubelets, v) > 0).then(|| format!("kubelets to {v}: drained, changed, uncordoned")),
    };
    findings.stages.iter().filter_map(stage).collect()
}

fn text(s: &Shown) -> String {
    let mut out = format!("{}\n", heading(&format!("cluster {}", s.cluster)));
    let rows = s.hosts.iter().map(|r| vec![r.host.clone(), r.api_server.clone(), r.kubelet.clone(), r.etcd.clone()]);
    out += &format!("{}\n\n", table(&["HOST", "API SERVER", "KUBELET", "ETCD"], rows));
    for version in &s.unsupported_offers {
        out += &format!("{}\n", unsupported(version));
    }
    if s.offers.is_empty() && s.unsupported_offers.is_empty() {
        out += "nothing newer is on offer (release/stable-1.N.txt of the artifact source)\n";
    }
    if !s.offers.is_empty() {
        out += &format!("{}\n", heading("on offer"));
        for o in &s.offers {
            let note = if o.note.is_empty() { String::new() } else { format!("; {}", o.note) };
            out += &format!("  {} ({}){note}\n", o.version, o.what);
        }
    }
    out += &format!("\n{}\n", heading(&format!("the way to {}", s.to)));
    for (n, step) in s.way.iter().enumerate() {
        out += &format!("  {}. {step}\n", n + 1);
    }
    if s.way.is_empty() && s.refusals.is_empty() {
        out += "  nothing to do\n";
    }
    for w in &s.warnings {
        out += &format!("  warning: {w}\n");
    }
    for b in &s.refusals {
        let host = if b.host.is_empty() { String::new() } else { format!("{}: ", b.host) };
        out += &format!("  in the way: {host}{} [{}]\n    {}\n", b.message, b.name, b.fix);
    }
    if s.refusals.is_empty() && !s.way.is_empty() {
        out += &format!("\nnext: clusterctl upgrade --version {}\n", s.to);
    }
    out
}
