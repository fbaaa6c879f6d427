//! Failures, each with its place, its cause and a hint for the operator; and the exit codes of clusterctl.

use crate::host::{HostError, HostName};
use crate::step::StepError;

/// Exit codes, as documented in docs/reference/exit-codes.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Inventory = 3,
    Refused = 4,
    Unreachable = 5,
    ChangesRemain = 6,
    Locked = 7,
    Interrupted = 130,
}

impl Exit {
    /// The exit code of a run with these failures: the exit code that all of them have in common, or `Failed` if they differ. Without failures,
    /// the exit code is `Done`.
    pub fn of(failures: &[Failure]) -> Exit {
        let mut exits = failures.iter().map(Failure::exit);
        let Some(first) = exits.next() else { return Exit::Done };
        if exits.all(|e| e == first) { first } else { Exit::Failed }
    }

    /// The exit code of a run that has changed hosts and failed on some. If the only failure is that hosts could not be reached any more, the result
    /// is `Failed` and not `Unreachable`, because other hosts have been changed.
    pub fn after_changes(failures: &[Failure]) -> Exit {
        match Exit::of(failures) {
            Exit::Unreachable => Exit::Failed,
            other => other,
        }
    }
}

/// One failure: `host`, `phase` and `step` are its place, `source` is its cause, and [`Failure::hint`] is the advice for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{host}: {step}")]
pub struct Failure {
    pub host: HostName,
    pub phase: String,
    /// The step's title, or a name for the action that failed, such as `look at the host`.
    pub step: String,
    /// The position of the step in the plan; `None` if no step of a plan failed.
    pub place: Option<Place>,
    #[source]
    pub source: StepError,
}

/// The kind of a step of a plan, and its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// See [`crate::step::Step::kind`].
    pub kind: &'static str,
    /// The number of steps that precede the step on its host in the same phase. The guards of the host, which run before its other steps, are counted
    /// as well.
    pub before: usize,
}

impl Failure {
    /// The failure of a host that could not be observed.
    pub fn observing(host: HostName, source: HostError) -> Self {
        Failure { host, phase: "observe".into(), step: "look at the host".into(), place: None, source: StepError::Host(source) }
    }

    /// What the operator should do next.
    pub fn hint(&self) -> String {
        match &self.source {
            StepError::Host(e) => host_hint(e),
            StepError::Fenced { .. } => "see who is at work with `clusterctl status`, then run the same command again".into(),
            StepError::Refused { .. } if self.place.is_some_and(|at| at.kind == "drain") => {
                "let the pods go (more healthy ones, another budget, or the flag that is named), then run the same command again".into()
            }
            StepError::Refused { .. } if self.place.is_some_and(|at| matches!(at.kind, "wait" | "static-pod" | "unit" | "member")) => {
                "mend the cause on the host, or give a slow one more time with `--wait-timeout`, then run the same command again: it goes on where it stopped".into()
            }
            StepError::Refused { .. } => "mend the cause on the host, then run the same command again: it goes on where it stopped".into(),
        }
    }

    /// The exit code of a run whose only failure is this one.
    pub fn exit(&self) -> Exit {
        match &self.source {
            StepError::Host(
                HostError::Unreachable { .. }
                | HostError::UnknownHostKey { .. }
                | HostError::ChangedHostKey { .. }
                | HostError::Authentication { .. }
                | HostError::Timeout { .. },
            ) => Exit::Unreachable,
            StepError::Refused { .. } => Exit::Failed,
            StepError::Fenced { .. } => Exit::Locked,
            StepError::Host(_) => Exit::Failed,
        }
    }
}

/// What the operator should do about a host that cannot be used.
pub fn host_hint(error: &HostError) -> String {
    match error {
        HostError::UnknownHostKey { address, known_hosts, .. } => {
            format!(
                "compare the fingerprint with the host's console (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`), then add the key: `ssh-keyscan {address} >> {known_hosts}`"
            )
        }
        HostError::ChangedHostKey { location, address, .. } => {
            format!(
                "if the host was rebuilt on purpose, remove the old entry ({location}) with `ssh-keygen -R {address}` and accept the new key; if not, somebody may be listening"
            )
        }
        HostError::Authentication { .. } => {
            "check `ssh.user` and `ssh.identityFiles` in the inventory, or load the key into your agent".into()
        }
        HostError::Sudo { .. } => "give the user sudo rights without a password, or set `ssh.sudo: password`".into(),
        HostError::Unreachable { .. } => "check the address, the network and that sshd runs; then run the same command again".into(),
        HostError::Timeout { .. } => {
            "look at the host, which hangs or is very slow; then run the same command again, for a slow host with a longer `--wait-timeout`"
                .into()
        }
        HostError::Local { .. } => "mend this, then run the same command again".into(),
    }
}

/// The messages of an error and of all its causes in one line, separated by colons.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut source = error.source();
    while let Some(e) = source {
        out += &format!(": {e}");
        source = e.source();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(source: StepError) -> Failure {
        Failure { host: "m1".into(), phase: "hosts".into(), step: "write files".into(), place: None, source }
    }

    #[test]
    fn failures_give_the_exit_code_that_they_have_in_common() {
        let away = || failure(StepError::Host(HostError::Timeout { limit: std::time::Duration::from_secs(20) }));
        let refused = || failure(StepError::Refused { status: 1, said: "no".into() });
        assert_eq!(Exit::of(&[]), Exit::Done);
        assert_eq!(Exit::of(&[away(), away()]), Exit::Unreachable);
        assert_eq!(Exit::of(&[away(), refused()]), Exit::Failed);
        assert_eq!(Exit::after_changes(&[away()]), Exit::Failed);
        assert_eq!(Exit::after_changes(&[failure(StepError::Fenced { said: "run b holds the lock".into() })]), Exit::Locked);
    }
}
