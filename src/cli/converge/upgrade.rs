//! The facts that only an upgrade needs (the versions that the artifact source offers, and the deprecated APIs that are still in use), and the checks
//! before an upgrade begins.

use std::collections::{BTreeMap, BTreeSet};

use super::{Session, budgets};
use crate::cli::session::Observed;
use crate::facts::Facts;
use crate::facts::upgrade::{self as upgrade_facts, DeprecatedApi};
use crate::host::{Cmd, HostName};
use crate::inventory::{HostEntry, KubeVersion};
use crate::plan::goal::Upgrade;
use crate::plan::refusals::{self, Refusal};
use crate::plan::situation::ClusterState;
use crate::plan::upgrade::{self, Running, UpgradeStage, between};

/// The upgrade that the operator asked for, with a patch version for every minor version on the way from the running version to the target. Where the
/// operator named no patch version, it is the newest one that the artifact source offers.
pub async fn with_offers(asked: &Upgrade, session: &Session, facts: &Facts) -> Upgrade {
    let running = Running::of(&session.inventory, facts);
    let missing: Vec<u64> = between(&running, &asked.to).into_iter().filter(|m| !asked.through.contains_key(m)).collect();
    let mut upgrade = asked.clone();
    if !missing.is_empty() {
        upgrade.through.extend(offered(session, &missing).await);
    }
    upgrade
}

/// The newest patch version of each of these minor versions that the artifact source offers. The first connected control-plane host asks the artifact
/// source; the result is empty if that fails.
pub async fn offered(session: &Session, minors: &[u64]) -> BTreeMap<u64, KubeVersion> {
    let source = &session.inventory.artifacts.binaries;
    let ask: Vec<(HostName, Cmd)> = session.masters().take(1).map(|m| (m.name.clone(), upgrade_facts::releases(source, minors))).collect();
    let answers = session.each(ask).await;
    let said = answers.into_iter().find_map(|(_, a)| a.ok()).map(|out| upgrade_facts::parse_releases(&out.stdout)).unwrap_or_default();
    said.into_iter().filter_map(|(minor, text)| Some((minor, text.parse().ok()?))).collect()
}

/// The results of the checks before an upgrade.
pub struct Findings {
    pub running: Running,
    pub stages: Vec<UpgradeStage>,
    pub refusals: Vec<Refusal>,
    pub warnings: Vec<(HostName, String)>,
}

/// Checks an upgrade. `refusals` are all reasons not to begin, except those that the operator disabled with `--allow`; `warnings` are findings that
/// do not prevent the upgrade.
pub async fn judged(session: &Session, observed: &Observed, u: &Upgrade) -> Findings {
    let (inv, facts) = (&session.inventory, &observed.facts);
    let running = Running::of(inv, facts);
    // If the running versions cannot be upgraded to the target, there are no stages, and nothing is checked here: `whole_run` refuses the upgrade.
    let stages = upgrade::way(&running, &u.to, &u.through).unwrap_or_default();
    if !ClusterState::of(facts).exists() || stages.is_empty() {
        return Findings { running, stages, refusals: vec![], warnings: vec![] };
    }
    let serving = |m: &&HostEntry| facts.host(&m.name).api_version.is_some();
    let asks = session.masters().filter(serving).map(|m| (m.name.clone(), upgrade_facts::deprecated(m.node_address()))).collect();
    let answers = session.each(asks).await;
    let deprecated: BTreeSet<DeprecatedApi> =
        answers.into_iter().filter_map(|(_, a)| a.ok()).flat_map(|out| upgrade_facts::parse_deprecated(&out.stdout)).collect();
    let inputs =
        refusals::upgrade::Inputs { inv, facts, running: &running, stages: &stages, selected: &session.selected, deprecated: &deprecated };
    let mut refusals = refusals::upgrade::of(&inputs);
    let mut warnings = refusals::upgrade::warnings(&inputs);
    let (certain, perhaps) = budgets::judged(session, observed, &running, u).await;
    refusals.extend(certain);
    warnings.extend(perhaps);
    refusals.retain(|b| !u.allow.iter().any(|a| a == b.name));
    Findings { running, stages, refusals, warnings }
}
