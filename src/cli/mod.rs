//! The command line, with one module for each verb. The module of a verb defines the verb's `Args`, whose doc comments are the help text, and either
//! converts them into the goal of a run or has a function `run`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::error::Exit;
use crate::plan::Goal;

mod adopt;
pub mod apply;
mod args;
mod balancer;
mod certs;
mod completion;
mod connect;
mod converge;
mod etcd;
mod exec;
pub mod init;
pub mod interrupt;
mod inventory;
mod join;
mod kubeconfig;
mod kubernetes_yaml;
mod limit;
mod lock;
mod logged;
mod nodes;
mod operation;
mod operator_files;
pub mod plan;
mod quorum;
mod random;
mod registry_files;
mod remove;
pub mod report;
pub mod reset;
mod save;
mod secrets;
pub mod session;
mod status;
pub mod stop;
mod token;
mod unlock;
mod upgrade;
mod validate;

use converge::{converge, preview};
use interrupt::Interrupt;
use report::Report;
use stop::{Ended, Stop};

/// Build and keep highly available Kubernetes clusters on your own hosts, over SSH
#[derive(Debug, Parser)]
#[command(name = "clusterctl", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// The inventory file if neither `--inventory` nor CLUSTERCTL_INVENTORY names one.
const DEFAULT_INVENTORY: &str = "inventory.yaml";

/// Options of every verb
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every verb")]
pub struct Global {
    /// Inventory file
    #[arg(short, long, global = true, default_value = DEFAULT_INVENTORY, env = "CLUSTERCTL_INVENTORY", value_name = "FILE")]
    pub inventory: PathBuf,
    /// Output format: text, or one JSON object per line
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub output: Format,
    /// Show more; given twice, show every command that runs on a host
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Append a full log to this file
    #[arg(long, global = true, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Show what would be done and change nothing
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Do not ask for confirmation
    #[arg(short, long, global = true)]
    pub yes: bool,
    /// Act only on these hosts: names, separated by commas
    #[arg(long, global = true, value_delimiter = ',', value_name = "HOSTS", add = completion::hosts())]
    pub limit: Vec<String>,
    /// Number of hosts that are worked on at the same time
    #[arg(long, global = true, default_value_t = 20, value_name = "N")]
    pub forks: usize,
    /// How long a component that starts on a host, such as an API server, may take until it is ready. For slow hosts, a longer time than the
    /// default also lengthens the time limits of all commands on hosts in the same proportion
    #[arg(long, global = true, default_value = "4m", value_parser = wait_timeout, value_name = "DURATION")]
    pub wait_timeout: Duration,
}

/// Parses a duration from one minute to one day: on no machine does a control plane start in less than a minute.
fn wait_timeout(text: &str) -> Result<Duration, String> {
    let in_range = |d: &Duration| (60..=24 * 3600).contains(&d.as_secs());
    crate::inventory::parse_duration(text).filter(in_range).ok_or_else(|| "write a duration from 1m to 24h, such as 15m".into())
}

/// How results are written
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

/// The verbs
#[derive(Debug, Subcommand)]
pub enum Verb {
    Init(init::Args),
    Apply(apply::Args),
    Plan(plan::Args),
    Join(join::Args),
    Remove(remove::Args),
    Replace(remove::ReplaceArgs),
    Upgrade(Box<upgrade::Args>),
    Cordon(nodes::CordonArgs),
    Drain(nodes::DrainArgs),
    Uncordon(nodes::UncordonArgs),
    Maintenance(nodes::maintenance::Args),
    Adopt(adopt::Args),
    Reset(reset::Args),
    Status(status::Args),
    Etcd(etcd::Args),
    Certs(certs::Args),
    Secrets(secrets::Args),
    Token(token::Args),
    Unlock(unlock::Args),
    Exec(exec::Args),
    Kubeconfig(kubeconfig::Args),
    Balancer(balancer::Args),
    Inventory(inventory::Args),
    Validate(validate::Args),
    Completion(completion::Args),
}

/// The inputs of every verb.
pub struct Call {
    pub global: Global,
    pub report: Report,
    pub interrupt: Interrupt,
}

/// Parses the command line, runs the verb, and returns the exit code.
pub async fn main() -> Exit {
    completion::answer();
    let cli = Cli::parse();
    let report = Report::new(&cli.global);
    if let Err(e) = report.start_log(&cli.global) {
        let stop = Stop::with(Exit::Usage).error(format!("cannot write the log file: {e}"), "name another file with `--log-file`");
        return report.stopped(&stop);
    }
    let interrupt = Interrupt::listen(report.clone());
    let call = Call { global: cli.global, report, interrupt };
    match run(&call, &cli.verb).await {
        Ok(exit) => exit,
        Err(stop) => call.report.stopped(&stop),
    }
}

async fn run(call: &Call, verb: &Verb) -> Ended {
    match verb {
        Verb::Init(_) => converge(call, Goal::Found).await,
        Verb::Apply(_) => converge(call, Goal::Keep).await,
        Verb::Plan(_) => preview(call, Goal::Keep).await,
        Verb::Join(args) => converge(call, args.goal()).await,
        Verb::Remove(args) => converge(call, args.goal()).await,
        Verb::Replace(args) => converge(call, args.goal()?).await,
        Verb::Upgrade(args) => upgrade::run(call, args).await,
        Verb::Cordon(args) => nodes::cordon(call, args).await,
        Verb::Drain(args) => nodes::drain(call, args).await,
        Verb::Uncordon(args) => nodes::uncordon(call, args).await,
        Verb::Maintenance(args) => nodes::maintenance::run(call, args).await,
        Verb::Adopt(args) => adopt::run(call, args).await,
        Verb::Reset(args) => reset::run(call, args).await,
        Verb::Token(args) => token::run(call, args).await,
        Verb::Status(args) => status::run(call, args).await,
        Verb::Etcd(args) => etcd::run(call, args).await,
        Verb::Certs(args) => certs::run(call, args).await,
        Verb::Secrets(args) => secrets::run(call, args).await,
        Verb::Unlock(args) => unlock::run(call, args).await,
        Verb::Exec(args) => exec::run(call, args).await,
        Verb::Kubeconfig(args) => kubeconfig::run(call, args).await,
        Verb::Balancer(args) => balancer::run(call, args),
        Verb::Inventory(args) => inventory::run(call, args),
        Verb::Validate(args) => validate::run(call, args),
        Verb::Completion(args) => completion::run(call, args),
    }
}
