//! Tests of the commands in documents: clusterctl accepts each command line, and a scenario runs each command of the quick start and of the guides.

use std::path::Path;

use clap::{Command, CommandFactory};
use clusterctl::cli::Cli;

use crate::documents::below;

/// The command lines of clusterctl in the code blocks of a document, split into words as a shell does. Pipes and redirections with what follows them
/// are left out, and so are descriptions of a command's usage, such as lines with `[OPTIONS]`.
fn commands(document: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(document).expect("the document is readable");
    let (mut out, mut fenced) = (Vec::new(), false);
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        let Some(line) = line.strip_prefix("    ").or(Some(line).filter(|_| fenced)) else { continue };
        if !line.starts_with("clusterctl ") || line.contains("[OPTIONS]") || line.contains(" <COMMAND>") {
            continue;
        }
        let words = shlex::split(line).unwrap_or_else(|| panic!("{}: not a shell's words: {line}", document.display()));
        out.push(words.into_iter().take_while(|w| !matches!(w.as_str(), "|" | "||" | "&&") && !w.starts_with('>')).collect());
    }
    out
}

/// The names of the command and its subcommands at the beginning of a command line, such as `inventory` and `new`.
fn names<'w>(words: &'w [String], cli: &Command) -> Vec<&'w str> {
    let (mut at, mut out) = (cli, Vec::new());
    for word in &words[1..] {
        let Some(below) = at.find_subcommand(word) else { break };
        out.push(word.as_str());
        at = below;
    }
    out
}

#[test]
fn every_command_of_a_document_is_one_of_this_program() {
    let mut seen = 0;
    for document in [vec!["README.md".into(), "CONTRIBUTING.md".into()], below("docs")].concat() {
        for words in commands(&document) {
            // In a document, `vX.Y.Z` stands for a version that the reader chooses, and clusterctl accepts only a real version.
            let words = words.iter().map(|w| if w == "vX.Y.Z" { "v1.36.2" } else { w });
            let line = words.clone().collect::<Vec<_>>().join(" ");
            if let Err(e) = Cli::command().try_get_matches_from(words) {
                panic!("{}: {line}: {e}", document.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 60, "only {seen} commands were found in the documents");
}

#[test]
fn every_command_of_the_guides_is_run_by_a_scenario() {
    let scenarios: Vec<String> = ["tests/e2e", "tests/faults"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).expect("the folder is readable"))
        .map(|e| e.expect("the folder is readable").path())
        .filter(|p| p.extension().is_some_and(|e| e == "sh"))
        .flat_map(|p| {
            std::fs::read_to_string(p)
                .expect("the scenario is readable")
                .replace("\\\n", " ")
                .lines()
                .map(str::to_string)
                .collect::<Vec<_>>()
        })
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect();
    let mut cli = Cli::command();
    cli.build();
    let (mut seen, mut missing) = (0, Vec::new());
    for document in [below("docs/guides"), vec!["docs/quickstart.md".into()]].concat() {
        for words in commands(&document) {
            let names = names(&words, &cli).join(" ");
            let own = words.iter().take_while(|w| *w != "--").filter(|w| w.starts_with("--")).map(|w| w.split('=').next().unwrap_or(w));
            let own: Vec<&str> = own.collect();
            let called = ["ctl", "tried", "refused", "logged", "follow", "begin", "answers"].map(|caller| format!("{caller} "));
            let runs = |line: &&String| {
                let behind = called.iter().filter_map(|caller| line.split_once(caller.as_str())).map(|(_, rest)| rest);
                let mut behind = behind.filter(|rest| format!("{rest} ").contains(&format!("{names} ")));
                behind.any(|rest| own.iter().all(|flag| rest.contains(flag)))
            };
            seen += 1;
            if !scenarios.iter().any(|line| runs(&line)) {
                missing.push(format!("{}: {}", document.display(), words.join(" ")));
            }
        }
    }
    assert!(seen > 15, "only {seen} commands were found in the guides");
    assert!(missing.is_empty(), "no scenario runs these:\n{}", missing.join("\n"));
}
