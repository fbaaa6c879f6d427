//! Which module may use which: top-level modules depend on each other in one direction only, and child modules do not use each other in a circle.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Source;

/// Every top-level module, and the other top-level modules that it may use. `layout` has constants and `error` has types of failures, for the modules
/// that list them here.
const MAY_USE: [(&str, &[&str]); 14] = [
    ("main", &["cli"]),
    ("cli", &["run", "plan", "facts", "pki", "inventory", "error", "layout"]),
    ("run", &["plan", "step", "host", "error"]),
    ("plan", &["step", "render", "pki", "facts", "inventory", "versions", "layout"]),
    ("step", &["host", "facts", "layout"]),
    ("facts", &["host"]),
    ("render", &["inventory", "pki", "versions", "layout"]),
    ("pki", &["inventory", "versions", "layout"]),
    ("error", &["host", "step"]),
    ("host", &[]),
    ("inventory", &["layout"]),
    ("versions", &[]),
    ("yaml", &[]),
    ("layout", &[]),
];

/// Accepted uses that [`MAY_USE`] does not allow: the module, the module that it uses, and the reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("cli", "host", "verbs that change nothing (exec, status) run commands, and all verbs use the types Cmd, HostName and Secret"),
    ("cli", "render", "`token create` renders a bootstrap token and its kubeconfig itself instead of planning a step"),
    ("cli", "step", "`token`, `upgrade` and `drain` build steps or their options themselves instead of asking plan"),
    ("cli", "versions", "the supported versions are shown in help, and `upgrade plan` lists them"),
    ("cli", "yaml", "`kubeconfig` writes a kubeconfig as YAML"),
    ("pki", "host", "the type Secret is defined in host"),
    ("pki", "yaml", "kubeconfigs are written as YAML"),
    ("plan", "host", "the types HostName and Secret are defined in host"),
    ("render", "host", "the type Secret is defined in host"),
    ("render", "yaml", "configuration files are written as YAML"),
    ("versions", "inventory", "the type KubeVersion is defined in inventory"),
];

/// The uses in one file that [`MAY_USE`] does not allow: the line, the module of the file, and the module that it uses.
fn forbidden(source: &Source) -> Vec<(usize, String, String)> {
    let Some(from) = source.module.first() else { return Vec::new() };
    let may = MAY_USE.iter().find(|(name, _)| name == from).map_or(&[][..], |(_, may)| may);
    let uses = source.own.iter().filter_map(|u| Some((u.line, u.what.first()?)));
    let uses = uses.filter(|(_, to)| *to != from && MAY_USE.iter().any(|(name, _)| name == to) && !may.contains(&to.as_str()));
    uses.map(|(line, to)| (line, from.clone(), to.clone())).collect()
}

pub fn faults(sources: &[Source], check_exceptions: bool) -> Vec<String> {
    let mut faults = BTreeSet::new();
    let mut needed = BTreeSet::new();
    for source in sources {
        if source.module.first().is_some_and(|m| !MAY_USE.iter().any(|(name, _)| name == m)) {
            faults.insert(format!("{}: MAY_USE does not list this module", source.path));
        }
        for (line, from, to) in forbidden(source) {
            match EXCEPTIONS.iter().find(|(f, t, _)| (*f, *t) == (&from, &to)) {
                Some((f, t, _)) => _ = needed.insert((*f, *t)),
                None => _ = faults.insert(format!("{}:{line}: `{from}` must not use `{to}`", source.path)),
            }
        }
    }
    if check_exceptions {
        for (from, to, _) in EXCEPTIONS.iter().filter(|(f, t, _)| !needed.contains(&(*f, *t))) {
            faults.insert(format!("the exception that lets `{from}` use `{to}` is no longer needed: remove it from EXCEPTIONS"));
        }
    }
    faults.into_iter().collect()
}

/// For each top-level module, the child modules that each of its child modules uses.
fn children(sources: &[Source]) -> BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> {
    let mut tops: BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    for source in sources {
        // The file of the top-level module itself is left out: it may use its child modules, and all of them may use what it defines.
        if let [top, child, ..] = source.module.as_slice() {
            tops.entry(top).or_default().entry(child).or_default();
        }
    }
    let known: BTreeMap<&str, BTreeSet<&str>> = tops.iter().map(|(top, c)| (*top, c.keys().copied().collect())).collect();
    for source in sources {
        let [top, child, ..] = source.module.as_slice() else { continue };
        for used in &source.own {
            if let [other_top, other, ..] = used.what.as_slice()
                && other_top == top
                && other != child
                && known[top.as_str()].contains(other.as_str())
            {
                tops.entry(top).or_default().entry(child).or_default().insert(other);
            }
        }
    }
    tops
}

fn reaches(graph: &BTreeMap<&str, BTreeSet<&str>>, from: &str, to: &str) -> bool {
    let (mut seen, mut left) = (BTreeSet::new(), vec![from]);
    while let Some(at) = left.pop() {
        for next in graph.get(at).into_iter().flatten() {
            if *next == to {
                return true;
            }
            if seen.insert(*next) {
                left.push(next);
            }
        }
    }
    false
}

/// Returns a message for each circle of dependencies between child modules of a top-level module.
pub fn circles(sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for (top, graph) in children(sources) {
        let in_circles: BTreeSet<&str> = graph.keys().copied().filter(|child| reaches(&graph, child, child)).collect();
        for child in &in_circles {
            let with: Vec<&str> =
                in_circles.iter().copied().filter(|o| o != child && reaches(&graph, child, o) && reaches(&graph, o, child)).collect();
            faults.push(format!("src/{top}: `{child}` is in a circle with {}", with.join(", ")));
        }
    }
    faults
}
