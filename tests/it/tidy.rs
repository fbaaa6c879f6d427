//! Tests of the house rules for the source code: which module may use which, what must be absent from a module, and the form of files.

mod absent;
mod layers;
mod source;

use std::fs;
use std::path::PathBuf;

use source::{Source, parse};

/// The largest number of lines that a source file may have.
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

/// Every source file of the program, without the modules that are compiled for tests alone.
fn program() -> Vec<Source> {
    let read = |path: &PathBuf| fs::read_to_string(path).expect("file is readable");
    let mut all: Vec<Source> = sources("src").iter().map(|path| parse(&path.to_string_lossy(), &read(path))).collect();
    let for_tests: Vec<Vec<String>> = all.iter().flat_map(|s| s.test_modules.clone()).collect();
    all.retain(|s| !for_tests.iter().any(|module| s.module.starts_with(module)));
    all
}

#[test]
fn modules_use_only_what_they_may() {
    let program = program();
    let faults = [layers::faults(&program, true), layers::circles(&program)].concat();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Every document can be reached from the README, and no link leads nowhere.
#[test]
fn links_of_documents_lead_to_documents() {
    let (mut seen, mut open) = (std::collections::BTreeSet::new(), vec![std::path::PathBuf::from("README.md")]);
    while let Some(page) = open.pop() {
        let text = fs::read_to_string(&page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
        let folder = page.parent().expect("a file has a folder").to_owned();
        seen.insert(page.canonicalize().expect("it was read"));
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            if target.contains("://") {
                continue;
            }
            let target = folder.join(target);
            let there = target.canonicalize().unwrap_or_else(|e| panic!("{} links to {}: {e}", page.display(), target.display()));
            if there.extension().is_some_and(|e| e == "md") && !seen.contains(&there) {
                open.push(target);
            }
        }
    }
    let mut folders = vec![std::path::PathBuf::from("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("docs is readable").map(|e| e.expect("docs is readable").path()) {
            match entry.is_dir() {
                true => folders.push(entry),
                false => assert!(seen.contains(&entry.canonicalize().expect("it is there")), "nothing links to {}", entry.display()),
            }
        }
    }
    assert!(fs::read_to_string("README.md").expect("it is readable").lines().count() <= 200, "the README is for a first reading");
}

/// Each promise in `docs/explain/safety.md` names a test as `path` "words". The file must exist and contain the words.
#[test]
fn promises_name_tests_that_exist() {
    let page = fs::read_to_string("docs/explain/safety.md").expect("the page is readable");
    let mut named = 0;
    for row in page.lines().filter(|l| l.starts_with("| ") && l.contains('`')) {
        let (path, words) = shown_by(row).unwrap_or_else(|| panic!("no test: {row}"));
        let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert!(text.contains(words), "{path} has no {words:?}");
        named += 1;
    }
    assert!(named > 30, "{named}");
}

/// The test that a row of the table in safety.md names in its last column: the path of the file and the quoted title of the test. `None` if the last
/// column has another form.
fn shown_by(row: &str) -> Option<(&str, &str)> {
    let (_, shown) = row.trim_end().strip_suffix(" |")?.rsplit_once(" | ")?;
    let (path, words) = shown.strip_prefix('`')?.split_once("` ")?;
    Some((path, words.strip_prefix('"')?.strip_suffix('"')?))
}

#[test]
fn what_must_be_absent_is_absent() {
    let faults = absent::faults(&program(), true);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Each piece of code is forbidden in its file, and must be found after a test module, in a nested module, and in the arguments of a macro.
#[test]
fn what_is_forbidden_is_found() {
    for (path, code, fault) in [
        ("src/plan/nodes.rs", "use crate::cli::Format;", "`plan` must not use `cli`"),
        ("src/plan/nodes.rs", "use super::super::run::Run;", "`plan` must not use `run`"),
        ("src/plan/nodes.rs", "use crate::{facts::Facts, cli::{Format}};", "`plan` must not use `cli`"),
        ("src/plan/mod.rs", "use super::cli;", "`plan` must not use `cli`"),
        ("src/plan/mod.rs", "use self::super::cli;", "`plan` must not use `cli`"),
        ("src/plan/mod.rs", "fn f() { log!(\"{}\", crate::cli::x()) }", "`plan` must not use `cli`"),
        ("src/facts/mod.rs", "fn f() -> crate::plan::Plan { loop {} }", "`facts` must not use `plan`"),
        ("src/host/mod.rs", "mod inner { use super::super::step::Step; }", "`host` must not use `step`"),
        ("src/yaml.rs", "use crate::host::Cmd;", "`yaml` must not use `host`"),
        ("src/plan/nodes.rs", "use std::{fs, fmt};", "`std::fs`"),
        ("src/render/cni.rs", "fn f() { std::env::var(\"x\"); }", "`std::env`"),
        ("src/plan/nodes.rs", "async fn f() { tokio::task::yield_now().await }", "`tokio`"),
        ("src/plan/nodes.rs", "fn f() { jiff::Timestamp::now(); }", "`Timestamp::now`"),
        ("src/plan/nodes.rs", "fn f() { let _ = format!(\"{:?}\", std::time::Instant::now()); }", "`Instant::now`"),
        ("src/inventory/parse.rs", "fn f() -> u8 { rand::random() }", "`rand`"),
        ("src/step/file.rs", "use std::process::Command;", "`process::Command`"),
        ("src/step/file.rs", "use std::process; fn f() { process::Command::new(\"x\"); }", "`process::Command`"),
        ("src/step/file.rs", "fn f() { println!(\"x\") }", "`println`"),
        ("src/step/file.rs", "fn f() { std::eprintln!(\"x\") }", "`eprintln`"),
        ("src/step/file.rs", "const X: &str = \"/etc/kubernetes/x\";", "`/etc/kubernetes`"),
        ("src/cli/apply.rs", "fn f() { Some(1).unwrap(); }", "`unwrap`"),
        ("src/cli/apply.rs", "#[cfg(not(test))] fn f() { Some(1).unwrap(); }", "`unwrap`"),
        ("src/cli/apply.rs", "#[cfg(any(test, unix))] fn f() { Some(1).unwrap(); }", "`unwrap`"),
        ("src/new_module.rs", "fn f() {}", "MAY_USE does not list this module"),
    ] {
        for before in ["#[cfg(test)]\nmod tests;\n", "#[cfg(test)] mod tests { fn f() {} }\n"] {
            let source = parse(path, &format!("//! A job.\n{before}{code}\n"));
            let faults = [layers::faults(std::slice::from_ref(&source), false), absent::faults(&[source], false)].concat();
            assert!(faults.iter().any(|f| f.starts_with(path) && f.contains(fault)), "{path}: {code}: {faults:?}");
        }
    }
}

/// Code that is compiled for tests alone may do what is forbidden elsewhere.
#[test]
fn tests_may_do_what_they_like() {
    for code in [
        "#[cfg(test)] mod tests { use crate::cli::Format; fn f() { Some(1).unwrap(); } }",
        "#[cfg(all(test, unix))] fn f() { Some(1).unwrap(); }",
        "mod inner { #[cfg(test)] use std::fs; }",
        "impl X { #[cfg(test)] fn f() { Some(1).unwrap(); } }",
        "fn f() { #[cfg(test)] let x = Some(1).unwrap(); }",
        "/// Kept in /etc/kubernetes, see `std::fs`.\nfn f() {}",
    ] {
        let source = parse("src/plan/nodes.rs", code);
        let faults = [layers::faults(std::slice::from_ref(&source), false), absent::faults(&[source], false)].concat();
        assert!(faults.is_empty(), "{code}: {faults:?}");
    }
    let source = parse("src/plan/upgrade/mod.rs", "#[cfg(test)]\nmod tests;\nmod refusals;\n");
    assert_eq!(source.test_modules, [["plan", "upgrade", "tests"]]);
}

#[test]
fn circles_below_the_first_level_are_found() {
    let one = parse("src/step/one/mod.rs", "use super::two::X;");
    let two = parse("src/step/two.rs", "use crate::step::three::X;");
    let three = parse("src/step/three.rs", "fn f() { super::one::x() }");
    assert_eq!(layers::circles(&[one, two]), Vec::<String>::new());
    let one = parse("src/step/one/mod.rs", "use super::two::X;");
    let two = parse("src/step/two.rs", "use crate::step::three::X;");
    assert_eq!(layers::circles(&[one, two, three]).len(), 3);
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

/// The path and the text of every script that runs on hosts.
fn scripts() -> impl Iterator<Item = (std::path::PathBuf, String)> {
    let below =
        |folder: std::path::PathBuf| fs::read_dir(folder).expect("the folder is readable").map(|e| e.expect("it is readable").path());
    let files = below("src/host/scripts".into()).flat_map(below);
    files.map(|path| (path.clone(), fs::read_to_string(path).expect("the script is readable")))
}

#[test]
fn remote_scripts_are_constant_files_that_a_shell_can_read() {
    for (path, text) in scripts() {
        assert!(text.starts_with('#'), "{}: no comment that says its job", path.display());
        let checked = std::process::Command::new("/bin/sh").arg("-n").arg(&path).output().expect("a shell runs");
        assert!(checked.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&checked.stderr));
    }
}

/// The paths and ports of a cluster stand in `layout.rs` alone. The scripts read them from variables that `constants.sh` sets.
#[test]
fn scripts_name_no_path_or_port_of_a_cluster() {
    let constants = clusterctl::layout::for_scripts();
    let mut unused: Vec<&str> = constants.iter().map(|(name, _)| *name).collect();
    for (path, text) in scripts().filter(|(path, _)| !path.ends_with("constants.sh")) {
        for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#')) {
            for folder in ["/etc/kubernetes", "/var/lib/kubelet", "/var/lib/etcd", "/var/lib/clusterctl", "/usr/local/bin"] {
                assert!(!line.contains(folder), "{}:{}: {folder} is written out", path.display(), n + 1);
            }
            for (name, value) in &constants {
                let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
                let whole = line.match_indices(value.as_str()).any(|(at, _)| ends(&line[at + value.len()..]));
                assert!(!whole, "{}:{}: {value} is written out, but it is ${name}", path.display(), n + 1);
            }
        }
        unused.retain(|name| !text.contains(&format!("${name}")));
    }
    assert!(unused.is_empty(), "no script uses {unused:?}");
}

/// A script gets its own arguments by name: only functions use `$1`, `$2` and so on, and lists of words use `$@`. A script that takes a positional
/// argument assigns it at the beginning of a line, as in `path=$1`.
#[test]
fn scripts_get_their_arguments_by_name() {
    for (path, text) in scripts() {
        let positional =
            |line: &&str| line.starts_with(|c: char| c.is_ascii_lowercase()) && line.split(' ').next().is_some_and(|w| w.ends_with("=$1"));
        assert_eq!(text.lines().find(positional), None, "{}", path.display());
    }
}
