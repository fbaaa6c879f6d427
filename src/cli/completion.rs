//! `clusterctl completion`.

use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;

use super::{Call, Cli};
use crate::error::Exit;

/// Print a completion script for a shell
///
/// Source the script in your shell's startup file, or save it where your shell looks for completions.
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
pub fn run(call: &Call, args: &Args) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "clusterctl", &mut script);
    let script = String::from_utf8_lossy(&script);
    call.report.result(&json!({"shell": args.shell.to_string(), "script": script}), &script);
    Exit::Done
}
