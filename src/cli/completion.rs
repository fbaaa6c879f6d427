//! `clusterctl completion`, which prints a completion script for a shell, and the answers to that script: the words that may come next on a command
//! line, including the names of hosts.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};
use serde_json::json;

use super::stop::{Ended, Stop};
use super::{Call, Cli};
use crate::error::Exit;
use crate::inventory;

/// The environment variable that the completion script sets when it calls clusterctl for completions. Its value is the name of the shell.
const ASKED_BY: &str = "CLUSTERCTL_COMPLETE";
const PROGRAM: &str = "clusterctl";

/// Print a completion script for a shell
///
/// Source the script in your shell's startup file, or save it where your shell looks for completions. The shell completes commands, options,
/// and the names of the hosts in the inventory.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  clusterctl completion bash >/etc/bash_completion.d/clusterctl\n  source <(clusterctl completion zsh)\n  \
        clusterctl completion fish >~/.config/fish/completions/clusterctl.fish"
)]
pub struct Args {
    /// Shell that the script is for
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the verb.
pub fn run(call: &Call, args: &Args) -> Ended {
    let (shell, mut script) = (args.shell.to_string(), Vec::new());
    let shells = Shells::builtins();
    let written = shells.completer(&shell).map(|c| c.write_registration(ASKED_BY, PROGRAM, PROGRAM, PROGRAM, &mut script));
    if !matches!(written, Some(Ok(()))) {
        return Err(Stop::with(Exit::Failed).error(format!("there is no completion script for {shell}"), ""));
    }
    let script = String::from_utf8_lossy(&script);
    call.report.result(&json!({"shell": shell, "script": script}), &script);
    Ok(Exit::Done)
}

/// If the completion script of a shell started this process, prints the words that may come next and exits. Otherwise does nothing.
pub fn answer() {
    CompleteEnv::with_factory(Cli::command).var(ASKED_BY).bin(PROGRAM).complete();
}

/// Completes an argument with the names of the hosts in the inventory of the command line.
pub fn hosts() -> ArgValueCandidates {
    ArgValueCandidates::new(|| with_hosts(&[]))
}

/// Completes an argument with one of `words`, or with the name of a host in the inventory.
pub fn hosts_and(words: &'static [&'static str]) -> ArgValueCandidates {
    ArgValueCandidates::new(|| with_hosts(words))
}

/// Returns `words` and the names of the inventory's hosts. If the inventory cannot be read, only `words` are returned and no error is printed,
/// because a shell shows no errors while it completes a word.
fn with_hosts(words: &[&str]) -> Vec<CompletionCandidate> {
    let words = words.iter().map(CompletionCandidate::new);
    let bytes = std::fs::read(inventory_file(std::env::args_os())).unwrap_or_default();
    let parsed = inventory::parse_bytes(&bytes, "", &|_| Ok(()));
    let hosts = parsed.into_iter().flat_map(|p| p.inventory.hosts).map(|h| CompletionCandidate::new(h.name));
    words.chain(hosts).collect()
}

/// The inventory file of `line`, a command line that is being completed: the file that `-i` or `--inventory` names, or else the file that
/// CLUSTERCTL_INVENTORY names, or else [`super::DEFAULT_INVENTORY`].
fn inventory_file(line: impl Iterator<Item = OsString>) -> PathBuf {
    let mut file = None;
    let mut words = line.filter_map(|word| word.into_string().ok());
    while let Some(word) = words.next() {
        let joined = word.strip_prefix("--inventory=").or_else(|| word.strip_prefix("-i").filter(|rest| !rest.is_empty()));
        match joined {
            Some(name) => file = Some(name.to_string()),
            None if word == "-i" || word == "--inventory" => file = words.next().or(file),
            None => {}
        }
    }
    file.map(PathBuf::from)
        .or_else(|| std::env::var_os("CLUSTERCTL_INVENTORY").map(PathBuf::from))
        .unwrap_or_else(|| super::DEFAULT_INVENTORY.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inventory_is_that_of_the_command_line() {
        let file = |line: &str| inventory_file(line.split(' ').map(OsString::from)).display().to_string();
        assert_eq!(file("clusterctl -- clusterctl -i prod.yaml drain w"), "prod.yaml");
        assert_eq!(file("clusterctl -- clusterctl drain --inventory prod.yaml w"), "prod.yaml");
        assert_eq!(file("clusterctl -- clusterctl drain --inventory=prod.yaml w"), "prod.yaml");
        assert_eq!(file("clusterctl -- clusterctl -iprod.yaml drain w"), "prod.yaml");
        assert_eq!(file("clusterctl -- clusterctl -i prod.yaml drain -i"), "prod.yaml");
    }
}
