//! `clusterctl exec`.

use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

use super::Call;
use super::args::duration;
use super::report::{heading, took};
use super::session::{Reach, Session};
use super::stop::{Ended, Stop};
use crate::error::{Exit, Failure};
use crate::host::{Cmd, HostError, HostName, Output};
use crate::step::StepError;

/// Run a command on many hosts
///
/// The command runs on all hosts at once, and its output is printed by host in the order of the inventory. No shell reads the command and
/// its arguments. The exit code is 0 if the command succeeded everywhere, 1 if it failed on a host, and 5 if a host could not be reached.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  clusterctl exec -- uptime\n  clusterctl exec --root --limit m1,m2 -- journalctl -u kubelet -n 20 --no-pager\n  \
        clusterctl exec -- sh -c 'df -h / | tail -n 1'"
)]
pub struct Args {
    /// Run as root
    #[arg(long)]
    root: bool,
    /// How long the command may take on a host, such as `90s` or `10m`
    #[arg(long, default_value = "10m", value_parser = duration, value_name = "DURATION")]
    timeout: Duration,
    /// Program and arguments, after `--`
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Runs the verb.
pub async fn run(call: &Call, args: &Args) -> Ended {
    if call.global.dry_run {
        return dry_run(call, args);
    }
    everywhere(&Session::open_to_look(call, Reach::Selected).await?, args).await
}

fn dry_run(call: &Call, args: &Args) -> Ended {
    let parsed = super::session::load_to_look(&call.global, &call.report)?;
    let hosts = super::session::select(&parsed.inventory, &call.global)?;
    let text = format!("would run `{}` on {}", args.command.join(" "), hosts.join(", "));
    call.report.result(&json!({"command": args.command, "hosts": hosts}), text);
    Ok(Exit::Done)
}

async fn everywhere(session: &Session, args: &Args) -> Ended {
    let report = &session.report;
    let running = session.selected.iter().filter_map(|name| {
        let host = session.hosts.get(name)?;
        let cmd = Cmd { root: args.root, timeout: args.timeout, proxies: true, ..Cmd::root(args.command.iter().cloned()) };
        Some(async move {
            let begun = Instant::now();
            (name, host.run(cmd).await, begun.elapsed())
        })
    });
    let mut ended = stream::iter(running).buffered(session.forks);
    let (mut results, mut failures) = (Vec::new(), session.unreachable());
    let mut exit = Exit::Done;
    while let Some((name, result, time)) = ended.next().await {
        match result {
            Ok(output) => {
                if output.status != 0 {
                    exit = Exit::Failed;
                }
                show(session, name, &output, time);
                results.push(row(name, &output, time));
            }
            Err(source) => failures.push(failed(name, source, args)),
        }
    }
    if report.json() {
        report.result(&json!({"results": results}), "");
    }
    match (failures.is_empty(), exit) {
        (true, exit) => Ok(exit),
        (false, Exit::Done) => Err(Stop::failed(failures)),
        (false, _) => Err(Stop::with(Exit::Failed).failures(failures)),
    }
}

fn failed(name: &HostName, source: HostError, args: &Args) -> Failure {
    let program = args.command.first().cloned().unwrap_or_default();
    Failure { host: name.clone(), phase: "exec".into(), step: format!("run {program}"), place: None, source: StepError::Host(source) }
}

fn show(session: &Session, name: &HostName, output: &Output, time: Duration) {
    let status = if output.status == 0 { String::new() } else { format!("exit status {}, ", output.status) };
    session.report.say(heading(&format!("{name} ({status}{})", took(time))));
    session.report.say(String::from_utf8_lossy(&output.stdout));
    session.report.aside(String::from_utf8_lossy(&output.stderr));
}

fn row(name: &HostName, output: &Output, time: Duration) -> Value {
    json!({"host": name, "status": output.status, "stdout": String::from_utf8_lossy(&output.stdout),
        "stderr": String::from_utf8_lossy(&output.stderr), "seconds": (time.as_secs_f64() * 1000.0).round() / 1000.0})
}
