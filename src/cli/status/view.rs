//! A status as text.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::control_plane::{Etcd, Master};
use super::judge::Finding;
use super::model::{Certificate, Node, NodeState, State, Status};
use super::pods::{Pod, age};
use crate::cli::report::{ERROR, GOOD, WARNING, plural, table};

/// The status as text for the operator, with the pods if `shows_pods` is true. The warnings, the problems and the verdict are at the end.
pub fn text(s: &Status, shows_pods: bool, now: Timestamp) -> String {
    let mut parts = vec![format!("cluster {} {}, endpoint {}: {}", s.cluster, s.version, s.endpoint.address, state(s.endpoint.state))];
    if s.founded == Some(true) {
        parts.push(s.nodes.as_ref().map_or("no API server answers, so nothing is known of the nodes".into(), |n| nodes(n)));
        parts.push(control_plane(s));
        if !s.load_balancers.is_empty() {
            parts.push(balancers(s));
        }
        parts.push([s.etcd.as_ref().map(etcd), certificates(&s.certificates)].into_iter().flatten().collect::<Vec<_>>().join("\n"));
    }
    if s.founded == Some(true) && shows_pods {
        parts.push(s.pods.as_ref().map_or("no API server answers, so nothing is known of the pods".into(), |all| pods(all, now)));
    }
    parts.extend(runs(s));
    parts.push(verdict(s));
    parts.retain(|p| !p.is_empty());
    parts.join("\n\n") + "\n"
}

fn state(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Down => "DOWN",
        State::Unknown => "unknown",
    }
}

fn nodes(nodes: &[Node]) -> String {
    let rows = nodes.iter().map(|n| {
        let mut state = match n.state {
            NodeState::Ready => "Ready",
            NodeState::NotReady => "NotReady",
            NodeState::Unknown => "Unknown",
            NodeState::Missing => "missing",
        }
        .to_string();
        if !n.schedulable && n.state != NodeState::Missing {
            state += ", cordoned";
        }
        vec![n.name.clone(), state, dash(&n.roles.join(",")), dash(&n.version), dash(&n.address)]
    });
    table(&["NODE", "STATE", "ROLES", "VERSION", "ADDRESS"], rows)
}

fn pods(pods: &[Pod], now: Timestamp) -> String {
    let rows = pods.iter().map(|p| {
        let ready = format!("{}/{}", p.ready_containers, p.containers);
        let (node, address) = (p.node.as_deref().unwrap_or("-").into(), p.address.as_deref().unwrap_or("-").into());
        vec![node, p.namespace.clone(), p.name.clone(), ready, p.status.clone(), p.restarts.to_string(), age(p.created, now), address]
    });
    table(&["NODE", "NAMESPACE", "POD", "READY", "STATUS", "RESTARTS", "AGE", "ADDRESS"], rows)
}

fn dash(text: &str) -> String {
    if text.is_empty() { "-".into() } else { text.into() }
}

fn control_plane(s: &Status) -> String {
    let leads = |host: &str, leader: &Option<String>, of: State| {
        let mark = if leader.as_deref() == Some(host) { ", leads" } else { "" };
        format!("{}{mark}", state(of))
    };
    let api = |m: &Master| match (&m.version, m.api_server) {
        (Some(version), State::Ok) => format!("ok {version}"),
        _ => state(m.api_server).to_string(),
    };
    let rows = s.control_plane.iter().map(|m| {
        vec![
            m.host.clone(),
            api(m),
            leads(&m.host, &s.leaders.controller_manager, m.controller_manager),
            leads(&m.host, &s.leaders.scheduler, m.scheduler),
            m.etcd.map_or("-".into(), |of| leads(&m.host, &s.leaders.etcd, of)),
            state(m.kubelet).into(),
        ]
    });
    table(&["CONTROL PLANE", "API SERVER", "CONTROLLER MANAGER", "SCHEDULER", "ETCD", "KUBELET"], rows)
}

fn balancers(s: &Status) -> String {
    let masters: Vec<&str> = s.control_plane.iter().map(|m| m.host.as_str()).collect();
    let reaches: Vec<String> = masters.iter().map(|m| format!("REACHES {m}")).collect();
    let head: Vec<&str> = ["LOAD BALANCER", "SERVES"].into_iter().chain(reaches.iter().map(String::as_str)).collect();
    let rows = s.load_balancers.iter().map(|b| {
        let backends = masters.iter().map(|m| state(b.backends.get(*m).copied().unwrap_or(State::Unknown)).to_string());
        [b.host.clone(), state(b.state).to_string()].into_iter().chain(backends).collect()
    });
    table(&head, rows)
}

fn etcd(e: &Etcd) -> String {
    let learners = match e.members.len() - e.quorum.voters {
        0 => String::new(),
        n => format!(" and {}", plural(n, "learner")),
    };
    let bears = match e.quorum.can_lose {
        n if n < 0 => "lost: no writes until members come back".into(),
        0 => "so none may fail".into(),
        n => format!("so {n} may fail"),
    };
    let term = e.raft_term.map(|term| format!(", raft term {term}")).unwrap_or_default();
    format!(
        "etcd: {}{learners}, {} healthy{term}; quorum {}, {bears}",
        plural(e.quorum.voters, "voting member"),
        e.quorum.healthy_voters,
        e.quorum.quorum
    )
}

fn certificates(all: &[Certificate]) -> Option<String> {
    let first = |authority: bool| all.iter().filter(|c| c.authority == authority).min_by_key(|c| c.not_after);
    let told = |c: &Certificate| format!("{} on {} in {} days ({})", c.path, c.host, c.days, c.not_after.strftime("%Y-%m-%d"));
    let leaf = first(false)?;
    let authority = first(true).map(|c| format!("; of the authorities {}", told(c))).unwrap_or_default();
    Some(format!("certificates: first to expire is {}{authority}", told(leaf)))
}

fn runs(s: &Status) -> Vec<String> {
    let mut by_run: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for (host, lock) in &s.runs {
        by_run.entry((&lock.run, &lock.holder)).or_default().push(host);
    }
    by_run.into_iter().map(|((run, holder), hosts)| format!("run {run} by {holder} is at work on {}", hosts.join(", "))).collect()
}

fn verdict(s: &Status) -> String {
    let line =
        |label: String, f: &Finding| format!("{label} {}{}", f.host.as_ref().map(|h| format!("{h}: ")).unwrap_or_default(), f.message);
    let warnings = s.warnings.iter().map(|f| line(format!("{WARNING}warning:{WARNING:#}"), f));
    let problems = s.problems.iter().map(|f| line(format!("{ERROR}problem:{ERROR:#}"), f));
    let last =
        if s.healthy { format!("{GOOD}healthy{GOOD:#}") } else { format!("{ERROR}{}{ERROR:#}", plural(s.problems.len(), "problem")) };
    warnings.chain(problems).chain([last]).collect::<Vec<_>>().join("\n")
}
