//! Runs a command of the operator, or reboots a host and checks that it has rebooted. Nothing on the host shows whether either was done already, so
//! each is done in every run that requests it.

use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{Answers, FENCED, StepError, carry_out};
use crate::facts::Facts;
use crate::host::{Cmd, Host, HostError, HostName, here};
use crate::layout;
use crate::{fenced, script};

/// A program with its arguments, which is started without a shell.
#[derive(Clone, Debug)]
pub struct Command {
    /// Distinguishes the command from the same command at another point of a plan, such as `before the drain`. The title shows it before the command.
    /// May be empty.
    pub label: String,
    pub argv: Vec<String>,
    pub timeout: Duration,
    pub place: Place,
    pub when: When,
}

/// Where a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the host of the step, as root.
    Host,
    /// On the operator's machine.
    Here,
}

/// When a command is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    Always,
    /// Before the kubelet of `node` gets `version`: due while the kubelet has another version.
    Before {
        node: String,
        version: String,
    },
    /// After the kubelet of `node` got another version: due if an earlier step of the plan changes the version, or if the node still has the
    /// annotation with which clusterctl cordoned it.
    After {
        node: String,
    },
}

impl When {
    fn is_due(&self, facts: &Facts) -> bool {
        let gone = |name: &String| facts.ledger.changed.contains(name);
        match self {
            When::Always => true,
            When::Before { node: name, version } => {
                facts.node(name).is_some_and(|n| n["status"]["nodeInfo"]["kubeletVersion"] != **version)
            }
            When::After { node: name } => {
                gone(name) || facts.node(name).is_some_and(|n| !n["metadata"]["annotations"][layout::CORDONED_ANNOTATION].is_null())
            }
        }
    }
}

/// Reboots the host and waits until the host answers with another boot ID than before.
#[derive(Clone, Debug)]
pub struct Reboot {
    /// How long SSH may take to answer again.
    pub timeout: Duration,
}

const COMMAND: &str = fenced!("lib/quorum.sh", "steps/command.sh");
const BOOT: &str = script!("observe/boot.sh");

/// The number of last lines of a failed command's output that are shown.
const LINES: usize = 15;
/// The pause between two checks whether the host has rebooted.
const PAUSE: Duration = Duration::from_millis(500);
/// The entry for a reboot in `done_once` of the host's ledger.
const REBOOT: &str = "reboot";

#[async_trait]
impl Answers for Command {
    fn title(&self) -> String {
        let line = self.argv.iter().map(|a| shown(a)).collect::<Vec<_>>().join(" ");
        let label = if self.label.is_empty() { String::new() } else { format!("{}: ", self.label) };
        let here = if self.place == Place::Here { " on this machine" } else { "" };
        format!("{label}run `{line}`{here}")
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        (self.when.is_due(facts) && !facts.ledger.host(host).done_once.contains(&self.title())).then(|| self.clone())
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        facts.ledger.host_mut(host).done_once.insert(self.title());
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        if self.place == Place::Here {
            let out = here::run(&self.argv, host.name(), self.timeout).await?;
            let said = [&out.stdout, &out.stderr].map(|b| String::from_utf8_lossy(b).to_string()).concat();
            let lines: Vec<&str> = last(&said).collect();
            let failed = |status| StepError::Refused { status, said: format!("it ended with status {status}\n{}", lines.join("\n")) };
            return if out.status == 0 { Ok(()) } else { Err(failed(out.status)) };
        }
        let out = host.run(Cmd::script(COMMAND).arg("run", run).words(&self.argv).timeout(self.timeout).with_proxies()).await?;
        let errors = String::from_utf8_lossy(&out.stderr);
        match out.status {
            0 => Ok(()),
            FENCED => Err(StepError::Fenced { said: errors.trim().to_string() }),
            status => {
                let (said, mark) = errors.trim_end().rsplit_once('\n').unwrap_or(("", errors.trim()));
                let output = String::from_utf8_lossy(&out.stdout);
                let lines: Vec<&str> = [mark].into_iter().chain(last(&output)).chain(last(said)).collect();
                Err(StepError::Refused { status, said: lines.join("\n") })
            }
        }
    }
}

fn last(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines();
    let skipped = lines.clone().count().saturating_sub(LINES);
    lines.skip(skipped)
}

/// An argument as the operator sees it: in quotes if it is empty or contains whitespace, control characters or quotes, because the operator could not
/// see where it begins and ends.
fn shown(argument: &str) -> String {
    match argument.is_empty() || argument.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"') {
        true => format!("{argument:?}"),
        false => argument.to_string(),
    }
}

#[async_trait]
impl Answers for Reboot {
    fn title(&self) -> String {
        "reboot, and see it up again".into()
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        (!facts.ledger.host(host).done_once.contains(REBOOT)).then(|| self.clone())
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        facts.ledger.host_mut(host).done_once.insert(REBOOT.into());
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let begun = Instant::now();
        let before = boot(host).await?;
        let cmd = Cmd::script(fenced!("lib/quorum.sh", "steps/reboot.sh")).arg("run", run);
        match carry_out(host, cmd.timeout(Duration::from_secs(150))).await {
            // A lost connection is no failure here: the host may go down before the script has ended.
            Ok(()) | Err(StepError::Host(HostError::Unreachable { .. })) => {}
            Err(e) => return Err(e),
        }
        loop {
            let now = boot(host).await;
            match &now {
                Ok(now) if *now != before => return Ok(()),
                Err(HostError::UnknownHostKey { .. } | HostError::ChangedHostKey { .. }) => {
                    return Err(now.err().map(Into::into).unwrap_or_else(gone));
                }
                _ => {}
            }
            if begun.elapsed() > self.timeout {
                let limit = self.timeout.as_secs();
                return Err(now.err().map(Into::into).unwrap_or_else(|| StepError::Refused {
                    status: 1,
                    said: format!("it has not rebooted within {limit} s: the boot is still the one before"),
                }));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn gone() -> StepError {
    StepError::Refused { status: 1, said: "the host did not come back".into() }
}

/// The boot ID of the host, which changes with each boot.
async fn boot(host: &dyn Host) -> Result<Vec<u8>, HostError> {
    Ok(host.run(Cmd::script(BOOT).timeout(Duration::from_secs(15))).await?.stdout)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::host::Output;

    /// A host that returns the next of `answers` for each command.
    struct Told {
        name: HostName,
        answers: Mutex<Vec<Result<Output, HostError>>>,
    }

    #[async_trait]
    impl Host for Told {
        fn name(&self) -> &HostName {
            &self.name
        }

        async fn run(&self, _: Cmd) -> Result<Output, HostError> {
            self.answers.lock().expect("nobody panicked").remove(0)
        }
    }

    fn host(answers: Vec<Result<Output, HostError>>) -> Told {
        Told { name: "w1".into(), answers: Mutex::new(answers) }
    }

    fn said(status: i32, stdout: &str, stderr: &str) -> Result<Output, HostError> {
        Ok(Output { status, stdout: stdout.into(), stderr: stderr.into() })
    }

    fn away() -> Result<Output, HostError> {
        Err(HostError::Unreachable { address: "w1".into(), source: None })
    }

    fn command(argv: &[&str]) -> Command {
        Command {
            label: String::new(),
            argv: argv.iter().map(ToString::to_string).collect(),
            timeout: Duration::from_secs(1),
            place: Place::Host,
            when: When::Always,
        }
    }

    #[test]
    fn it_is_shown_as_its_arguments() {
        assert_eq!(command(&["sh", "-c", "a b", ""]).title(), "run `sh -c \"a b\" \"\"`");
        assert_eq!(Command { label: "before the drain".into(), ..command(&["x"]) }.title(), "before the drain: run `x`");
    }

    #[tokio::test]
    async fn a_failure_brings_its_last_lines_along() {
        let stdout: String = (0..40).map(|n| format!("line {n}\n")).collect();
        let failed = command(&["x"]).apply(&host(vec![said(1, &stdout, "broken\nit ended with status 75\n")]), "r").await;
        let said = failed.expect_err("it failed").to_string();
        assert!(said.starts_with("it ended with status 75\nline 25\n") && said.ends_with("line 39\nbroken"), "{said}");
    }

    #[tokio::test]
    async fn a_lost_lock_is_no_failed_command() {
        let fenced = command(&["x"]).apply(&host(vec![said(FENCED, "", "the lock is another's")]), "r").await;
        assert!(matches!(fenced, Err(StepError::Fenced { .. })));
    }

    #[tokio::test]
    async fn a_reboot_is_done_when_another_boot_answers() {
        let host = host(vec![said(0, "one", ""), away(), said(0, "one", ""), away(), said(0, "two", "")]);
        Reboot { timeout: Duration::from_secs(600) }.apply(&host, "r").await.expect("it comes back");
        assert!(host.answers.lock().expect("nobody panicked").is_empty(), "it asks until the other boot answers");
    }

    #[tokio::test]
    async fn a_reboot_that_does_not_happen_is_a_failure() {
        let host = host(vec![said(0, "one", ""), said(0, "", ""), said(0, "one", "")]);
        let failed = Reboot { timeout: Duration::ZERO }.apply(&host, "r").await.expect_err("it fails").to_string();
        assert!(failed.contains("the boot is still the one before"), "{failed}");
    }
}
