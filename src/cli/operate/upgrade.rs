//! What an upgrade has to find out besides the ordinary facts, and how it is judged before it begins.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::{Session, budgets};
use crate::cli::session::Observed;
use crate::facts::Facts;
use crate::facts::upgrade::{self as asked, DeprecatedApi};
use crate::host::{Cmd, HostName};
use crate::inventory::{HostEntry, KubeVersion};
use crate::plan::blockers::Blocker;
use crate::plan::cluster::{Hook, NODES_CHANGE, PREPARE, established};
use crate::plan::upgrade::{self, Leg, Running, between};
use crate::plan::{Phase, Plan, Planned, Share};
use crate::step::drain::How;

/// Where an upgrade stops for the operator to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Once images and programs are on the hosts, before anything that runs is touched.
    Artifacts,
    /// Before the first kubelet comes to its new version.
    ControlPlane,
    /// After this node.
    Host(HostName),
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    pub to: KubeVersion,
    /// Patch versions of the minors between, by minor.
    pub through: BTreeMap<u64, KubeVersion>,
    /// `None`: pods are not asked to move.
    pub drain: Option<How>,
    pub at_once: Share,
    pub pause_after: Option<Pause>,
    pub hooks: Vec<Hook>,
    /// Where the snapshot of etcd goes; `None`: none is taken.
    pub snapshot: Option<PathBuf>,
    /// Refusals that the operator set aside.
    pub allow: Vec<String>,
}

impl Upgrade {
    /// The part of a stage's plan that comes before the pause, and whether the pause is reached with it.
    pub fn before_pause(&self, kubelets: bool, mut plan: Plan) -> (Plan, bool) {
        match &self.pause_after {
            Some(Pause::Artifacts) => {
                plan.phases.retain(|p| PREPARE.contains(&p.name));
                (plan, true)
            }
            Some(Pause::ControlPlane) if kubelets => (Plan::default(), true),
            Some(Pause::Host(host)) if kubelets => {
                // Its turn is where nodes change; what is seen through it at the end is not about it.
                let turn = |p: &Phase<Planned>| NODES_CHANGE.contains(&p.name) && p.tracks.iter().any(|t| t.host == *host);
                let Some(at) = plan.phases.iter().position(turn) else { return (Plan::default(), true) };
                plan.phases.truncate(at + 1);
                let last = plan.phases[at].tracks.iter().position(|t| t.host == *host).map_or(0, |t| t + 1);
                plan.phases[at].tracks.truncate(last);
                (plan, true)
            }
            _ => (plan, false),
        }
    }

    /// Chooses the patch versions of the minors between that the operator did not name: the newest that the artifact source offers.
    pub async fn chosen(&self, session: &Session, facts: &Facts) -> Upgrade {
        let running = Running::of(&session.inventory, facts);
        let missing: Vec<u64> = between(&running, &self.to).into_iter().filter(|m| !self.through.contains_key(m)).collect();
        let mut upgrade = self.clone();
        if !missing.is_empty() {
            upgrade.through.extend(offered(session, &missing).await);
        }
        upgrade
    }
}

/// The newest patch versions of these minors that the artifact source offers, as a control-plane host sees it.
pub async fn offered(session: &Session, minors: &[u64]) -> BTreeMap<u64, KubeVersion> {
    let source = &session.inventory.artifacts.binaries;
    let ask: Vec<(HostName, Cmd)> = session.masters().take(1).map(|m| (m.name.clone(), asked::releases(source, minors))).collect();
    let answers = session.each(ask).await;
    let said = answers.into_iter().find_map(|(_, a)| a.ok()).map(|out| asked::parse_releases(&out.stdout)).unwrap_or_default();
    said.into_iter().filter_map(|(minor, text)| Some((minor, text.parse().ok()?))).collect()
}

/// What was found out for the judgement alone.
pub struct Findings {
    pub running: Running,
    pub legs: Vec<Leg>,
    pub blockers: Vec<Blocker>,
    pub warnings: Vec<(HostName, String)>,
}

/// Every reason not to begin, of those the operator did not set aside; and what else should be known.
pub async fn judged(session: &Session, observed: &Observed, u: &Upgrade) -> Findings {
    let (inv, facts) = (&session.inventory, &observed.facts);
    let running = Running::of(inv, facts);
    // That there is no way is said where the pages are made.
    let legs = upgrade::way(&running, &u.to, &u.through).unwrap_or_default();
    if !established(facts) || legs.is_empty() {
        return Findings { running, legs, blockers: vec![], warnings: vec![] };
    }
    let serving = |m: &&HostEntry| facts.host(&m.name).api_version.is_some();
    let asks = session.masters().filter(serving).map(|m| (m.name.clone(), asked::deprecated(m.node_address()))).collect();
    let answers = session.each(asks).await;
    let deprecated: BTreeSet<DeprecatedApi> =
        answers.into_iter().filter_map(|(_, a)| a.ok()).flat_map(|out| asked::parse_deprecated(&out.stdout)).collect();
    let inputs =
        upgrade::blockers::Inputs { inv, facts, running: &running, legs: &legs, selected: &session.selected, deprecated: &deprecated };
    let mut blockers = upgrade::blockers::of(&inputs);
    let mut warnings = upgrade::blockers::warnings(&inputs);
    let (certain, perhaps) = budgets::judged(session, observed, &running, u).await;
    blockers.extend(certain);
    warnings.extend(perhaps);
    blockers.retain(|b| !u.allow.iter().any(|a| a == b.name));
    Findings { running, legs, blockers, warnings }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Track, Width};
    use crate::step::{Step, Wait};

    fn phase(name: &'static str, hosts: &[&str]) -> Phase<Planned> {
        let planned = || Planned { step: Step::from(Wait::Quorum), title: name.into(), diff: String::new() };
        let tracks = hosts.iter().map(|h| Track { host: h.to_string(), prelude: vec![], steps: vec![planned()] });
        Phase { name, width: Width::One, tracks: tracks.collect() }
    }

    fn pausing_after(pause: Pause) -> Upgrade {
        Upgrade {
            to: "v1.36.2".parse().expect("a version"),
            through: BTreeMap::new(),
            drain: None,
            at_once: Share::Count(1),
            pause_after: Some(pause),
            hooks: vec![],
            snapshot: None,
            allow: vec![],
        }
    }

    fn left(host: &str, phases: &[Phase<Planned>]) -> Vec<(&'static str, Vec<String>)> {
        before(Pause::Host(host.into()), true, phases)
    }

    fn before(pause: Pause, kubelets: bool, phases: &[Phase<Planned>]) -> Vec<(&'static str, Vec<String>)> {
        let plan = Plan { phases: phases.to_vec() };
        let (plan, paused) = pausing_after(pause).before_pause(kubelets, plan);
        assert!(paused);
        plan.phases.into_iter().map(|p| (p.name, p.tracks.into_iter().map(|t| t.host).collect())).collect()
    }

    #[test]
    fn a_pause_comes_after_the_turn_of_its_host() {
        let all = [phase("control-plane nodes", &["m1", "m2"]), phase("workers", &["w1", "w2"]), phase("settle", &["m1"])];
        assert_eq!(left("m1", &all), [("control-plane nodes", vec!["m1".to_string()])]);
        assert_eq!(left("w1", &all)[1], ("workers", vec!["w1".to_string()]));
    }

    #[test]
    fn what_the_hosts_need_comes_before_anything_that_runs_is_touched() {
        let all = [
            phase("prepare members", &["m1"]),
            phase("prepare hosts", &["w1"]),
            phase("snapshot", &["m1"]),
            phase("control plane", &["m1"]),
        ];
        assert_eq!(
            before(Pause::Artifacts, false, &all),
            [("prepare members", vec!["m1".to_string()]), ("prepare hosts", vec!["w1".to_string()])]
        );
        assert!(before(Pause::Artifacts, true, &all[2..]).is_empty());
    }

    #[test]
    fn it_is_reached_once_that_turn_is_over() {
        assert!(left("m1", &[phase("workers", &["w1"]), phase("settle", &["m1"])]).is_empty());
    }
}
