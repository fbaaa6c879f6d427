//! The house rules: which module may use which, what is absent where, and how files look.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Every module and the modules of ours that it may use.
const MAY_USE: [(&str, &[&str]); 13] = [
    ("cli", &["cli", "run", "plan", "facts", "pki", "inventory", "host", "error", "versions", "layout", "step", "render"]),
    ("run", &["plan", "step", "host", "error"]),
    ("plan", &["plan", "step", "render", "pki", "facts", "inventory", "versions", "layout", "host"]),
    ("step", &["step", "host", "facts", "layout"]),
    ("facts", &["facts", "host"]),
    ("pki", &["pki", "host", "inventory", "versions", "layout", "render"]),
    ("render", &["render", "inventory", "pki", "versions", "layout", "host"]),
    ("error", &["host", "step"]),
    ("host", &["host"]),
    ("inventory", &["inventory"]),
    ("versions", &["inventory"]),
    ("layout", &[]),
    ("main", &["cli"]),
];

/// Texts that must not stand in a module's code: module, text, why.
const ABSENT: [(&str, &str, &str); 24] = [
    ("plan", "std::fs", "no IO in planning"),
    ("plan", "std::env", "no IO in planning"),
    ("plan", "tokio", "planning is synchronous"),
    ("plan", "SystemTime", "no clock in planning"),
    ("plan", "Timestamp::now", "no clock in planning"),
    ("plan", "rand::", "no randomness in planning"),
    ("render", "std::fs", "no IO in rendering"),
    ("render", "std::env", "no IO in rendering"),
    ("render", "Timestamp::now", "no clock in rendering"),
    ("render", "rand::", "no randomness in rendering"),
    ("inventory", "std::fs", "the inventory is given as text"),
    ("inventory", "std::env", "the inventory is given as text"),
    ("inventory", "Timestamp::now", "no clock in the inventory"),
    ("inventory", "rand::", "no randomness in the inventory"),
    ("step", "std::process", "processes are started by the transport alone"),
    ("plan", "std::process", "processes are started by the transport alone"),
    ("facts", "std::process", "processes are started by the transport alone"),
    ("run", "std::process", "processes are started by the transport alone"),
    ("step", "/etc/kubernetes", "paths stand in layout.rs"),
    ("plan", "/etc/kubernetes", "paths stand in layout.rs"),
    ("render", "/etc/kubernetes", "paths stand in layout.rs or in templates"),
    ("run", "println!", "only cli prints"),
    ("step", "println!", "only cli prints"),
    ("plan", "println!", "only cli prints"),
];

/// Longest file, in lines.
const LONGEST: usize = 400;

fn sources(dir: &str) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut left = vec![PathBuf::from(dir)];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).expect("folder is readable") {
            let path = entry.expect("entry is readable").path();
            match path.is_dir() {
                true => left.push(path),
                false if path.extension().is_some_and(|e| e == "rs") => out.push(path),
                false => {}
            }
        }
    }
    out.sort();
    out
}

fn module(path: &Path) -> String {
    let below = path.strip_prefix("src").expect("path is in src");
    let first = below.components().next().expect("path has parts").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_string()
}

/// A file's code without comments and without its tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("file is readable");
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn modules_use_only_what_they_may() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.into_iter().collect();
    let mut faults = Vec::new();
    for path in sources("src") {
        let module = module(&path);
        let Some(may) = allowed.get(module.as_str()) else { continue };
        for (_, rest) in code(&path).match_indices("crate::").map(|(at, _)| at).map(|at| (at, code(&path)[at + 7..].to_string())) {
            let list = rest.strip_prefix('{').map(|r| r.split('}').next().unwrap_or_default().to_string());
            let heads = match &list {
                Some(list) => list.split(',').map(|s| s.trim().to_string()).collect::<Vec<_>>(),
                None => vec![rest],
            };
            for head in heads {
                let used: String = head.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if allowed.contains_key(used.as_str()) && !may.contains(&used.as_str()) {
                    faults.push(format!("{}: `{module}` must not use `{used}`", path.display()));
                }
            }
        }
    }
    faults.dedup();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_must_be_absent_is_absent() {
    let mut faults = Vec::new();
    for path in sources("src") {
        let (module, code) = (module(&path), code(&path));
        for (in_module, text, why) in ABSENT {
            if module == in_module && code.contains(text) {
                faults.push(format!("{}: `{text}`: {why}", path.display()));
            }
        }
        if code.contains(".unwrap()") {
            faults.push(format!("{}: `unwrap`", path.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn files_say_their_job_and_stay_short() {
    let mut faults = Vec::new();
    for path in sources("src").into_iter().chain(sources("tests")) {
        let text = fs::read_to_string(&path).expect("file is readable");
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_string();
        if !text.starts_with("//!") {
            faults.push(format!("{}: no `//!` line that says its job", path.display()));
        }
        if text.lines().count() > LONGEST {
            faults.push(format!("{}: {} lines, more than {LONGEST}", path.display(), text.lines().count()));
        }
        if ["util", "helper", "common", "manager"].iter().any(|w| name.contains(w)) {
            faults.push(format!("{}: the name says nothing", path.display()));
        }
        for mark in ["TO".to_string() + "DO", "FIX".to_string() + "ME"] {
            if text.contains(&mark) {
                faults.push(format!("{}: {mark}", path.display()));
            }
        }
    }
    let main = fs::read_to_string("src/main.rs").expect("main is readable");
    if main.lines().count() > 40 {
        faults.push("src/main.rs: more than 40 lines".into());
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn remote_scripts_are_constant_files_that_a_shell_can_read() {
    for entry in fs::read_dir("src/host/remote").expect("folder is readable") {
        let path = entry.expect("entry is readable").path();
        let text = fs::read_to_string(&path).expect("script is readable");
        assert!(text.starts_with('#'), "{}: no comment that says its job", path.display());
        let checked = std::process::Command::new("/bin/sh").arg("-n").arg(&path).output().expect("a shell runs");
        assert!(checked.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&checked.stderr));
    }
}
