//! Runs the operator's hooks on the operator's own machine, such as those of `upgrade --before-node-here`. The only other programs that clusterctl
//! starts there are `ssh -G` and the ProxyCommand of ssh_config.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::{HostError, Output};

/// Runs a program without input. The environment variable CLUSTERCTL_HOST has the name of the host for which the program runs.
pub async fn run(argv: &[String], host: &str, timeout: Duration) -> Result<Output, HostError> {
    let failed = |e| HostError::local(format!("cannot run `{}` here", argv.first().map_or("", String::as_str)), e);
    let Some((program, arguments)) = argv.split_first() else { return Ok(Output::default()) };
    let mut command = Command::new(program);
    command.args(arguments).env("CLUSTERCTL_HOST", host).stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(timeout, command.output()).await;
    let out = ended.map_err(|_| failed(std::io::Error::from(std::io::ErrorKind::TimedOut)))?.map_err(failed)?;
    // The status of a program that a signal ended is 128 plus the number of the signal, as a shell would report it.
    let signal = || std::os::unix::process::ExitStatusExt::signal(&out.status).map_or(-1, |s| 128 + s);
    Ok(Output { status: out.status.code().unwrap_or_else(signal), stdout: out.stdout, stderr: out.stderr })
}
