//! The paths, macros, methods and texts that must be absent from the code of certain modules.

use std::collections::BTreeSet;

use super::source::Source;

enum What {
    /// A path that begins with these names.
    Path(&'static str),
    /// A path in which these names follow each other, as in `jiff::Timestamp::now`.
    Names(&'static str),
    Macro(&'static str),
    Method(&'static str),
    /// A text inside a string literal.
    Text(&'static str),
}
use What::*;

struct Rule {
    what: &'static [What],
    /// The modules in which `what` is forbidden; if empty, all modules.
    within: &'static [&'static str],
    /// The modules in which `what` is allowed nevertheless.
    but: &'static [&'static str],
    why: &'static str,
}

const PURE: &[&str] = &["plan", "render", "inventory"];
const fn pure(what: &'static [What], why: &'static str) -> Rule {
    Rule { what, within: PURE, but: &[], why }
}
const fn only_in(but: &'static [&'static str], what: &'static [What], why: &'static str) -> Rule {
    Rule { what, within: &[], but, why }
}

const RULES: &[Rule] = &[
    pure(&[Path("std::fs"), Path("std::env"), Path("std::io"), Path("reqwest")], "no IO in plan, render and inventory"),
    pure(&[Path("std::thread"), Path("tokio")], "plan, render and inventory are synchronous"),
    pure(&[Path("rand"), Path("aws_lc_rs::rand")], "no randomness in plan, render and inventory"),
    pure(
        &[Names("SystemTime"), Names("Instant::now"), Names("Timestamp::now"), Names("Zoned::now")],
        "no clock in plan, render and inventory",
    ),
    only_in(&["host"], &[Names("process::Command")], "processes are started by host alone"),
    only_in(&["cli::report"], &[Macro("print"), Macro("println"), Macro("eprint"), Macro("eprintln")], "cli::report alone prints"),
    only_in(&["cli::report"], &[Names("io::stdout"), Names("io::stderr")], "cli::report alone prints"),
    only_in(
        &["layout"],
        &[Text("/etc/kubernetes"), Text("/var/lib/kubelet"), Text("/var/lib/etcd")],
        "Kubernetes' paths stand in layout.rs",
    ),
    only_in(&[], &[Method("unwrap")], "no unwrap outside of tests"),
];

/// Accepted violations of the rules: the file, the name or text that it contains, and the reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("src/facts/kubeadm.rs", "/etc/kubernetes", "the value that kubeadm always writes is compared, and no file is touched"),
    ("src/facts/kubeadm.rs", "/var/lib/etcd", "the value that kubeadm always writes is compared, and no file is touched"),
    ("src/plan/refusals/host.rs", "/var/lib/kubelet", "leftovers that a script reports are told apart by their path"),
    ("src/plan/refusals/host.rs", "/var/lib/etcd", "leftovers that a script reports are told apart by their path"),
];

impl What {
    fn name(&self) -> &'static str {
        match self {
            Path(name) | Names(name) | Macro(name) | Method(name) | Text(name) => name,
        }
    }

    /// The numbers of the lines in a source file that contain what is forbidden.
    fn lines(&self, source: &Source) -> Vec<usize> {
        let names: Vec<&str> = self.name().split("::").collect();
        match self {
            Path(_) => source.paths.iter().filter(|p| p.what.iter().take(names.len()).eq(&names)).map(|p| p.line).collect(),
            Names(_) => source.paths.iter().filter(|p| p.what.windows(names.len()).any(|w| w.iter().eq(&names))).map(|p| p.line).collect(),
            Macro(name) => source.macros.iter().filter(|m| m.what == *name).map(|m| m.line).collect(),
            Method(name) => source.methods.iter().filter(|m| m.what == *name).map(|m| m.line).collect(),
            Text(text) => source.literals.iter().filter(|l| l.what.contains(text)).map(|l| l.line).collect(),
        }
    }
}

impl Rule {
    fn applies(&self, source: &Source) -> bool {
        let module = source.module.join("::");
        let inside = |of: &&str| module == **of || module.starts_with(&format!("{of}::"));
        (self.within.is_empty() || self.within.iter().any(inside)) && !self.but.iter().any(inside)
    }
}

pub fn faults(sources: &[Source], check_exceptions: bool) -> Vec<String> {
    let mut faults = Vec::new();
    let mut needed = BTreeSet::new();
    for source in sources {
        let applicable = RULES.iter().filter(|r| r.applies(source));
        for (rule, what) in applicable.flat_map(|rule| rule.what.iter().map(move |what| (rule, what))) {
            let name = what.name();
            for line in what.lines(source) {
                match EXCEPTIONS.iter().find(|(path, what, _)| (*path, *what) == (source.path.as_str(), name)) {
                    Some((path, what, _)) => _ = needed.insert((*path, *what)),
                    None => faults.push(format!("{}:{line}: `{name}`: {}", source.path, rule.why)),
                }
            }
        }
    }
    if check_exceptions {
        for (path, what, _) in EXCEPTIONS.iter().filter(|(p, w, _)| !needed.contains(&(*p, *w))) {
            faults.push(format!("{path}: the exception for `{what}` is no longer needed: remove it from EXCEPTIONS"));
        }
    }
    faults
}
