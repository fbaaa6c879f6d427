//! The state of etcd as one value, made from what each member says about itself. As JSON, it is a stable interface.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::cli::quorum::Quorum;
use crate::error::Failure;
use crate::facts::MemberFact;
use crate::facts::etcd::{Alarm, MemberAnswer, mebibytes};
use crate::host::HostName;
use crate::plan::etcd::LATE;

/// The percentage of its quota from which the size of a database is reported.
const NEARLY_FULL: u64 = 80;

/// The state of etcd.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Etcd {
    pub cluster: String,
    /// The ID of the etcd cluster; `null` if no member answers.
    pub cluster_id: Option<String>,
    pub healthy: bool,
    #[serde(flatten)]
    pub quorum: Quorum,
    pub learners: usize,
    /// The members that etcd lists, and the hosts of the inventory that should have a member.
    pub members: Vec<Member>,
    pub alarms: Vec<Alarm>,
    pub problems: Vec<String>,
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The name of the member, which is the name of its host.
    pub name: String,
    /// Empty if etcd does not list the member.
    pub id: String,
    pub learner: bool,
    pub leader: bool,
    pub state: State,
    /// etcd's message of an unhealthy member; empty otherwise.
    pub message: String,
    /// What the member says about itself; `null` if it does not answer.
    pub own: Option<Own>,
}

/// Whether a member works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Ok,
    /// The member answers, but a read that needs the quorum fails.
    Unhealthy,
    /// The host answers, and the member does not.
    Silent,
    /// The host could not be asked.
    Unknown,
}

/// What a member says about itself.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Own {
    pub version: String,
    pub database_bytes: u64,
    /// 0 if this version of etcd does not report it.
    pub in_use_bytes: u64,
    /// The size that the database may have before etcd refuses writes; `null` if it is not known.
    pub quota_bytes: Option<u64>,
    pub revision: u64,
    pub term: u64,
    pub index: u64,
    /// Entries of the log that the member has not applied yet; `null` if this version of etcd does not report it.
    pub behind: Option<u64>,
    pub read_ms: Option<f64>,
    pub sync_ms: Option<f64>,
}

impl Etcd {
    /// The state of etcd from the answers by host. `hosts` are the hosts of the inventory that should have a member, and `failures` the reasons why
    /// hosts could not be asked.
    pub fn of(cluster: &str, hosts: &[&str], answers: &BTreeMap<HostName, MemberAnswer>, failures: &[Failure]) -> Etcd {
        let listed = list(answers);
        let names: BTreeSet<&str> = hosts.iter().copied().chain(listed.iter().map(|m| m.name.as_str()).filter(|n| !n.is_empty())).collect();
        let members: Vec<Member> = names.iter().map(|name| member(name, &listed, answers)).collect();
        // A member that has not started yet has no name, but it is a voter.
        let unstarted = listed.iter().filter(|m| m.name.is_empty() && !m.learner).count();
        let voters = listed.iter().filter(|m| !m.learner).count();
        let healthy_voters = members.iter().filter(|m| !m.learner && !m.id.is_empty() && m.state == State::Ok).count();
        let mut etcd = Etcd {
            cluster: cluster.into(),
            cluster_id: answers.values().find_map(|a| Some(a.status.as_ref()?.cluster.clone())),
            healthy: false,
            quorum: Quorum::of(voters, healthy_voters),
            learners: listed.len() - voters,
            members,
            alarms: answers.values().find_map(|a| a.alarms.clone()).unwrap_or_default(),
            problems: vec![],
            warnings: vec![],
        };
        etcd.problems = failures.iter().map(|f| format!("{}: {}", f.host, crate::error::chain(&f.source))).collect();
        etcd.judge(hosts, answers, unstarted);
        etcd.healthy = etcd.problems.is_empty();
        etcd
    }

    fn judge(&mut self, hosts: &[&str], answers: &BTreeMap<HostName, MemberAnswer>, unstarted: usize) {
        let name_of = |id: &str| self.members.iter().find(|m| m.id == id).map_or(id.to_string(), |m| m.name.clone());
        let mut problems = vec![];
        if self.quorum.voters == 0 {
            problems.push("no member lists the members: etcd has no quorum, or does not run at all".to_string());
        }
        for m in &self.members {
            match m.state {
                State::Ok if m.id.is_empty() => problems.push(format!("{}: its member is not in the list of members", m.name)),
                State::Ok | State::Unknown => {}
                State::Unhealthy => {
                    problems.push(format!("{}: its member has no quorum or does not answer in time: {}", m.name, m.message))
                }
                State::Silent => problems.push(format!("{}: its member does not answer", m.name)),
            }
            if !m.id.is_empty() && !hosts.contains(&m.name.as_str()) {
                problems.push(format!("member {} ({}) is on no host of the inventory", m.name, m.id));
            }
        }
        if unstarted > 0 {
            problems.push(format!("{unstarted} voting member(s) have never started; they count for the quorum"));
        }
        let clusters: BTreeSet<&str> = answers.values().filter_map(|a| Some(a.status.as_ref()?.cluster.as_str())).collect();
        if clusters.len() > 1 {
            problems
                .push(format!("the members belong to different etcd clusters: {}", clusters.into_iter().collect::<Vec<_>>().join(", ")));
        }
        let leaders: BTreeSet<&str> = answers.values().filter_map(|a| a.status.as_ref()?.leader.as_deref()).collect();
        match leaders.len() {
            0 if self.quorum.voters > 0 => problems.push("no member knows a leader".into()),
            0 | 1 => {}
            _ => problems.push("the members know different leaders; look again in a moment".into()),
        }
        for a in &self.alarms {
            let hint = match a.alarm.as_str() {
                "NOSPACE" => ": the database has reached its quota, and etcd refuses writes",
                "CORRUPT" => ": its data differs from that of the other members",
                _ => "",
            };
            problems.push(format!("alarm {} of {}{hint}", a.alarm, name_of(&a.member)));
        }
        let newest = self.members.iter().filter_map(|m| m.own.as_ref()).map(|o| o.index).max().unwrap_or(0);
        let late = |m: &&Member| m.own.as_ref().is_some_and(|o| newest - o.index > LATE);
        self.warnings = self
            .members
            .iter()
            .filter(late)
            .map(|m| format!("{}: its log is {} entries behind the newest one", m.name, newest - m.own.as_ref().map_or(0, |o| o.index)))
            .chain(self.members.iter().filter_map(nearly_full))
            .collect();
        self.problems.extend(problems);
    }
}

/// The warning about a member whose database will soon reach its quota.
fn nearly_full(m: &Member) -> Option<String> {
    let (database, quota) = m.own.as_ref().and_then(|o| Some((o.database_bytes, o.quota_bytes?)))?;
    let full = database.saturating_mul(100) > quota.saturating_mul(NEARLY_FULL);
    full.then(|| format!("{}: its database has {} of the {} that it may have", m.name, mebibytes(database), mebibytes(quota)))
}

/// The member list of a member that knows a leader, or else any list.
fn list(answers: &BTreeMap<HostName, MemberAnswer>) -> Vec<MemberFact> {
    let knows = |a: &&MemberAnswer| a.members.is_some() && a.status.as_ref().is_some_and(|s| s.leader.is_some());
    let best = answers.values().find(knows).or(answers.values().find(|a| a.members.is_some()));
    best.and_then(|a| a.members.clone()).unwrap_or_default()
}

fn member(name: &str, listed: &[MemberFact], answers: &BTreeMap<HostName, MemberAnswer>) -> Member {
    let entry = listed.iter().find(|m| m.name == name);
    let answer = answers.get(name);
    let status = answer.and_then(|a| a.status.as_ref());
    let health = answer.and_then(|a| a.health.as_ref());
    let state = match (answer, status, health) {
        (None, ..) => State::Unknown,
        (Some(_), None, _) => State::Silent,
        (Some(_), Some(_), Some(h)) if h.healthy => State::Ok,
        _ => State::Unhealthy,
    };
    let own = status.map(|s| Own {
        version: s.version.clone(),
        database_bytes: s.database,
        in_use_bytes: s.in_use,
        quota_bytes: answer.and_then(|a| a.quota),
        revision: s.revision,
        term: s.term,
        index: s.index,
        behind: (s.applied > 0).then(|| s.index.saturating_sub(s.applied)),
        read_ms: health.filter(|h| h.healthy).map(|h| h.took_ms),
        sync_ms: answer.and_then(|a| a.sync_ms),
    });
    Member {
        name: name.into(),
        id: entry.map(|m| m.id.clone()).unwrap_or_default(),
        learner: entry.is_some_and(|m| m.learner),
        leader: answer.is_some_and(MemberAnswer::leads),
        state,
        message: health.filter(|_| state == State::Unhealthy).map(|h| h.error.clone()).unwrap_or_default(),
        own,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::facts::etcd::{Health, MemberStatus};
    use crate::host::HostError;

    /// The answer of the member with this number; members 1, 2 and 3 are on m1, m2 and m3.
    pub fn answer(number: u64, leader: u64) -> MemberAnswer {
        let fact = |n: u64| MemberFact { id: format!("{n:x}"), name: format!("m{n}"), peer_urls: vec![], learner: false, leader: false };
        MemberAnswer {
            status: Some(MemberStatus {
                cluster: "c1".into(),
                member: format!("{number:x}"),
                leader: (leader > 0).then(|| format!("{leader:x}")),
                version: "3.5.30".into(),
                database: 24 * 1_048_576,
                in_use: 12 * 1_048_576,
                revision: 900,
                term: 3,
                index: 1000,
                applied: 1000,
                learner: false,
            }),
            health: Some(Health {
                healthy: leader > 0,
                took_ms: 2.5,
                error: if leader > 0 { "" } else { "context deadline exceeded" }.into(),
            }),
            members: Some((1..=3).map(fact).collect()),
            alarms: Some(vec![]),
            sync_ms: Some(1.25),
            quota: Some(2 * 1_073_741_824),
            compacted: Some(800),
        }
    }

    /// The state of etcd on m1, m2 and m3 of which these hosts have answered.
    pub fn etcd(answers: &[(&str, MemberAnswer)]) -> Etcd {
        let answers: BTreeMap<HostName, MemberAnswer> = answers.iter().map(|(host, answer)| (host.to_string(), answer.clone())).collect();
        let away = |host: &&&str| !answers.contains_key(**host);
        let hosts = ["m1", "m2", "m3"];
        let failure = |host: &&str| Failure::observing(host.to_string(), HostError::Timeout { limit: std::time::Duration::from_secs(15) });
        let failures: Vec<Failure> = hosts.iter().filter(away).map(failure).collect();
        Etcd::of("prod", &hosts, &answers, &failures)
    }

    fn all() -> Vec<(&'static str, MemberAnswer)> {
        vec![("m1", answer(1, 1)), ("m2", answer(2, 1)), ("m3", answer(3, 1))]
    }

    #[test]
    fn three_healthy_members_may_lose_one() {
        let e = etcd(&all());
        assert_eq!((e.healthy, e.quorum.voters, e.quorum.healthy_voters, e.quorum.quorum, e.quorum.can_lose), (true, 3, 3, 2, 1));
        assert_eq!(e.members.iter().filter(|m| m.leader).map(|m| m.name.as_str()).collect::<Vec<_>>(), ["m1"]);
    }

    #[test]
    fn a_lost_quorum_is_a_problem_although_one_member_answers() {
        let silent = MemberAnswer::default();
        let e = etcd(&[("m1", answer(1, 0)), ("m2", silent.clone()), ("m3", silent)]);
        assert_eq!((e.healthy, e.quorum.healthy_voters, e.quorum.can_lose), (false, 0, -2));
        assert!(e.problems.iter().any(|p| p.contains("m1: its member has no quorum")), "{:?}", e.problems);
        assert!(e.problems.iter().any(|p| p == "m2: its member does not answer"), "{:?}", e.problems);
        assert!(e.problems.iter().any(|p| p == "no member knows a leader"), "{:?}", e.problems);
    }

    #[test]
    fn an_alarm_names_the_member_and_what_follows() {
        let mut answers = all();
        answers[0].1.alarms = Some(vec![Alarm { member: "2".into(), alarm: "NOSPACE".into() }]);
        assert_eq!(etcd(&answers).problems, ["alarm NOSPACE of m2: the database has reached its quota, and etcd refuses writes"]);
    }

    #[test]
    fn a_database_that_is_nearly_full_is_a_warning() {
        let mut answers = all();
        answers[1].1.status.as_mut().expect("m2 answers").database = 1_800_000_000;
        let e = etcd(&answers);
        assert_eq!((e.healthy, e.warnings), (true, vec!["m2: its database has 1716.6 MiB of the 2048.0 MiB that it may have".to_string()]));
    }

    #[test]
    fn members_of_different_clusters_are_a_problem() {
        let mut answers = all();
        answers[2].1.status.as_mut().expect("m3 answers").cluster = "c2".into();
        assert_eq!(etcd(&answers).problems, ["the members belong to different etcd clusters: c1, c2"]);
    }

    #[test]
    fn a_member_that_is_late_or_unknown_to_the_inventory_is_named() {
        let mut answers = all();
        answers[1].1.status.as_mut().expect("m2 answers").index = 90_000;
        let e = etcd(&answers);
        assert_eq!(e.warnings.len(), 2, "{:?}", e.warnings);
        let answers = answers.into_iter().map(|(host, answer)| (host.to_string(), answer)).collect();
        let e = Etcd::of("prod", &["m1", "m2"], &answers, &[]);
        assert_eq!(e.problems, ["member m3 (3) is on no host of the inventory"]);
    }
}
