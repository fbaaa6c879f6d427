//! The reference of commands (`docs/reference/commands.md`): the part below the line [`MARK`] is written from clap's definitions of the commands, so
//! that it cannot differ from the help. `UPDATE_GOLDENS=1 cargo test --test it reference` writes that part anew.

use std::fmt::Write;

use clap::{Arg, Command, CommandFactory};
use clusterctl::cli::Cli;

use crate::documents;

const PAGE: &str = "docs/reference/commands.md";
const MARK: &str = "<!-- What follows is written from the help of the program; see tests/it/cli/reference.rs. -->\n";

#[test]
fn the_reference_of_commands_is_the_help() {
    documents::compare(PAGE, MARK, &written());
}

fn written() -> String {
    let mut cli = Cli::command();
    cli.build();
    let mut out = String::new();
    for command in cli.get_subcommands() {
        section(&mut out, command, "clusterctl");
    }
    out += "\n## Options of every command\n";
    options(&mut out, cli.get_arguments().filter(|a| a.is_global_set()));
    out
}

/// Writes a command with its arguments and its own options, and then its subcommands.
fn section(out: &mut String, command: &Command, parent: &str) {
    if command.get_name() == "help" {
        return;
    }
    let name = format!("{parent} {}", command.get_name());
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    let lines: Vec<&str> = usage.lines().map(str::trim).collect();
    write!(out, "\n## `{name}`\n\n{}\n\n    {}\n", about.trim(), lines.join("\n    ")).expect("text can be written");
    options(out, command.get_arguments().filter(|a| !a.is_global_set()));
    if let Some(example) = command.get_after_help().map(ToString::to_string) {
        let example = example.trim_start_matches("Example:\n");
        write!(out, "\nFor example:\n\n{}\n", example.lines().map(|l| format!("  {l}")).collect::<Vec<_>>().join("\n"))
            .expect("text can be written");
    }
    for below in command.get_subcommands() {
        section(out, below, &name);
    }
}

/// Writes a table of arguments and options, or nothing if there are none.
fn options<'a>(out: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    let shown = |a: &&Arg| !a.is_hide_set() && !matches!(a.get_id().as_str(), "help" | "version");
    let rows: Vec<String> =
        arguments.filter(|a| shown(a) || a.get_long() == Some("version") && a.get_action().takes_values()).map(row).collect();
    if !rows.is_empty() {
        write!(out, "\n| Option | Default | |\n|---|---|---|\n{}\n", rows.join("\n")).expect("text can be written");
    }
}

fn row(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let takes = arg.get_action().takes_values();
    let spelled: Vec<String> = arg
        .get_short()
        .map(|c| format!("-{c}"))
        .into_iter()
        .chain(arg.get_long().map(|long| if takes { format!("--{long} {names}") } else { format!("--{long}") }))
        .collect();
    let spelled = if spelled.is_empty() { names } else { spelled.join(", ") };
    let defaults = arg.get_default_values().iter().filter(|v| takes && !v.is_empty()).map(|v| format!("`{}`", v.to_string_lossy()));
    let mut help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let possible: Vec<String> = match takes {
        true => arg.get_possible_values().iter().map(|v| format!("`{}`", v.get_name())).collect(),
        false => vec![],
    };
    if !possible.is_empty() {
        help += &format!(": {}", possible.join(", "));
    }
    if let Some(env) = arg.get_env() {
        help += &format!("; also the environment variable `{}`", env.to_string_lossy());
    }
    format!("| `{}` | {} | {} |", spelled.replace('|', "\\|"), defaults.collect::<Vec<_>>().join(", "), help.replace('|', "\\|"))
}

#[test]
fn every_command_has_a_man_page_with_its_example() {
    fn names(command: &Command, name: &str, out: &mut Vec<(String, bool)>) {
        out.push((name.to_string(), command.get_after_help().is_some()));
        for below in command.get_subcommands().filter(|c| c.get_name() != "help") {
            names(below, &format!("{name}-{}", below.get_name()), out);
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    clap_mangen::generate_to(Cli::command(), &folder).expect("the pages are written");
    let mut commands = Vec::new();
    names(&Cli::command(), "clusterctl", &mut commands);
    assert!(commands.len() > 20, "{commands:?}");
    for (name, has_example) in commands {
        let page = std::fs::read_to_string(folder.path().join(format!("{name}.1"))).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(!has_example || page.contains("Example:"), "{name} has no example");
    }
}
