//! `clusterctl unlock`.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use serde_json::json;

use super::Call;
use super::session::{Reach, Session};
use super::stop::{Ended, Stop};
use crate::error::{Exit, Failure};
use crate::host::{Cmd, Host, HostName};
use crate::script;
use crate::step::StepError;

const UNLOCK: &str = script!("lock/unlock.sh");

/// Free the locks of runs that no longer exist
///
/// A run locks the hosts that it changes, and a host frees the lock by itself after the run has been silent for 30 seconds. Use this
/// command for a lock that stays nevertheless, for example on a host whose clock was set back. The command waits up to 15 seconds for a
/// sign of life from the run that holds the lock. The lock of a run that is at work is not freed, and the exit code is then 7.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl unlock --limit m1\n  clusterctl unlock --dry-run")]
pub struct Args {}

/// Runs the verb.
pub async fn run(call: &Call, _: &Args) -> Ended {
    everywhere(&Session::open_to_look(call, Reach::Selected).await?, call.global.dry_run).await
}

async fn everywhere(session: &Session, dry_run: bool) -> Ended {
    let hosts = session.selected.iter().filter_map(|name| session.hosts.get(name));
    let asked = stream::iter(hosts.map(|host| async move { (host.name().clone(), unlock(host.as_ref(), dry_run).await) }));
    let answers: Vec<(HostName, Result<String, StepError>)> = asked.buffered(session.forks).collect().await;
    let (mut said, mut lines, mut failures, mut busy) = (BTreeMap::new(), Vec::new(), session.unreachable(), false);
    for (host, answer) in answers {
        match answer {
            Ok(line) => {
                let (state, holder) = line.split_once(' ').unwrap_or((&line, ""));
                busy |= state == "busy";
                lines.push(format!("{host}: {}", sentence(state, holder)));
                said.insert(host, json!({"state": state, "holder": holder}));
            }
            Err(source) => failures.push(Failure { host, phase: "unlock".into(), step: "free the lock".into(), place: None, source }),
        }
    }
    session.report.result(&json!({"locks": said}), lines.join("\n"));
    match (failures.is_empty(), busy) {
        (true, true) => Ok(Exit::Locked),
        (true, false) => Ok(Exit::Done),
        (false, _) => Err(Stop::failed(failures)),
    }
}

/// Explains the output of `unlock.sh` to the operator: `state` is the first word of the output, and `holder` is the rest.
fn sentence(state: &str, holder: &str) -> String {
    match state {
        "free" => "not locked".into(),
        "busy" => format!("run {holder} is at work; its lock stays"),
        "silent" => format!("run {holder} is silent; its lock would be freed"),
        _ => format!("the lock of run {holder} was freed"),
    }
}

/// Runs `unlock.sh` on the host, and returns the one line that the script prints. With `dry_run`, the script changes nothing.
async fn unlock(host: &dyn Host, dry_run: bool) -> Result<String, StepError> {
    let action = if dry_run { "look" } else { "free" };
    let out = host.run(Cmd::script(UNLOCK).arg("action", action).timeout(Duration::from_secs(60))).await?;
    match out.status {
        0 => Ok(String::from_utf8_lossy(&out.stdout).trim().to_string()),
        status => Err(StepError::Refused { status, said: String::from_utf8_lossy(&out.stderr).trim().to_string() }),
    }
}
