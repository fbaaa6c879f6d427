//! `clusterctl etcd status`.

use std::collections::BTreeMap;

use super::answers;
use super::members::{Etcd, Member, State};
use crate::cli::report::{ERROR, GOOD, WARNING, plural, table};
use crate::cli::session::Session;
use crate::cli::stop::Ended;
use crate::error::{Exit, Failure};
use crate::facts::etcd::{MemberAnswer, mebibytes};
use crate::host::HostName;

/// Show every etcd member, the quorum and the alarms
///
/// Asks each member for its own state, so that members can be compared and a cluster that has lost its quorum can be looked at. BEHIND is the number
/// of log entries that a member has not applied yet. READ is the time of a read that needs the quorum, and SYNC the mean time in which the member's
/// disk stores its log. The exit code is 0 if etcd is healthy, and 1 otherwise.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl etcd status\n  clusterctl etcd status --output json | jq .members")]
pub struct Args {}

/// Runs the verb.
pub(super) async fn run(session: &Session) -> Ended {
    let (etcd, _) = ask(session).await;
    session.report.result(&etcd, text(&etcd));
    Ok(if etcd.healthy { Exit::Done } else { Exit::Failed })
}

/// Asks each member for its own state. Returns the state of etcd, and why hosts could not be reached or asked.
pub(super) async fn ask(session: &Session) -> (Etcd, Vec<Failure>) {
    let (answers, failures) = answers(session).await;
    (of(session, &answers, &failures), failures)
}

/// The state of etcd according to the answers of its members. `failures` are the reasons why hosts could not be reached or asked.
pub(super) fn of(session: &Session, answers: &BTreeMap<HostName, MemberAnswer>, failures: &[Failure]) -> Etcd {
    let names: Vec<&str> = session.inventory.etcd_hosts().into_iter().map(|h| h.name.as_str()).collect();
    Etcd::of(&session.inventory.cluster.name, &names, answers, failures)
}

fn text(e: &Etcd) -> String {
    let learners = if e.learners > 0 { format!(" and {}", plural(e.learners, "learner")) } else { String::new() };
    let spare = match e.quorum.can_lose {
        n if n < 0 => "the quorum is lost: no writes until members come back".into(),
        0 => "none may fail".into(),
        n => format!("{n} may fail"),
    };
    let head = format!(
        "etcd of cluster {}: {}{learners}, {} healthy; quorum {}, {spare}",
        e.cluster,
        plural(e.quorum.voters, "voting member"),
        e.quorum.healthy_voters,
        e.quorum.quorum
    );
    let rows = e.members.iter().map(row);
    let members = table(&["MEMBER", "ID", "STATE", "VERSION", "DATABASE", "IN USE", "TERM", "INDEX", "BEHIND", "READ", "SYNC"], rows);
    let problems = e.problems.iter().map(|p| format!("{ERROR}problem:{ERROR:#} {p}"));
    let warnings = e.warnings.iter().map(|w| format!("{WARNING}warning:{WARNING:#} {w}"));
    let verdict = match e.problems.len() {
        0 => format!("{GOOD}healthy{GOOD:#}"),
        n => format!("{ERROR}{}{ERROR:#}", plural(n, "problem")),
    };
    let findings: Vec<String> = warnings.chain(problems).chain([verdict]).collect();
    format!("{head}\n\n{members}\n\n{}\n", findings.join("\n"))
}

fn row(m: &Member) -> Vec<String> {
    let state = match m.state {
        State::Ok => "ok",
        State::Unhealthy => "UNHEALTHY",
        State::Silent => "DOWN",
        State::Unknown => "unknown",
    };
    let role = match (m.leader, m.learner) {
        (true, _) => ", leads",
        (_, true) => ", learner",
        _ => "",
    };
    let mut row = vec![m.name.clone(), m.id.clone(), format!("{state}{role}")];
    match &m.own {
        None => row.extend(std::iter::repeat_n("-".to_string(), 8)),
        Some(own) => {
            let in_use = if own.in_use_bytes == 0 { "-".into() } else { mebibytes(own.in_use_bytes) };
            let behind = own.behind.map_or("-".into(), |n| n.to_string());
            row.extend([own.version.clone(), mebibytes(own.database_bytes), in_use, own.term.to_string(), own.index.to_string(), behind]);
            row.extend([own.read_ms, own.sync_ms].map(|ms| ms.map_or("-".into(), |ms| format!("{ms:.1} ms"))));
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use super::super::members::tests::{answer, etcd};
    use super::*;

    #[test]
    fn healthy_members_are_shown() {
        let e = etcd(&[("m1", answer(1, 1)), ("m2", answer(2, 1)), ("m3", answer(3, 1))]);
        insta::assert_snapshot!("healthy", anstream::adapter::strip_str(&text(&e)).to_string());
    }

    #[test]
    fn a_member_that_is_away_is_shown() {
        let e = etcd(&[("m1", answer(1, 1)), ("m2", answer(2, 1))]);
        insta::assert_snapshot!("away", anstream::adapter::strip_str(&text(&e)).to_string());
    }
}
