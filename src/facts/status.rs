//! Asks one host which components answer on it right now, and whether a run holds the host's lock.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::host::Cmd;
use crate::script;

const STATUS: &str = script!("observe/status.sh");

/// The limit of the whole command. All checks run at the same time. Each is repeated for up to 3 s, and each of its requests has a limit of 3 s.
const LIMIT: Duration = Duration::from_secs(15);

/// The answer of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostStatus {
    /// The HTTP status by the check's name; 0 if the component does not answer. Empty if the host has no curl.
    pub checks: BTreeMap<String, u16>,
    /// The run that holds the host's lock now; `None` if the lock is free.
    pub lock: Option<LockFact>,
}

/// A lock that is held.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LockFact {
    pub run: String,
    /// The user and the machine of the run, and the time since which it holds the lock.
    pub holder: String,
    /// Seconds since the run that holds the lock last renewed it.
    #[serde(rename = "silentSeconds")]
    pub silent_seconds: u64,
}

/// The command that runs these checks, each with its name and URL. A name has no blanks.
pub fn request(checks: impl IntoIterator<Item = (String, String)>) -> Cmd {
    Cmd::script(STATUS).words(checks.into_iter().flat_map(|(name, url)| [name, url])).timeout(LIMIT)
}

/// Reads the output of `status.sh`; unknown lines are ignored.
pub fn parse(stdout: &[u8]) -> HostStatus {
    let mut status = HostStatus::default();
    for line in String::from_utf8_lossy(stdout).lines() {
        match line.split_once(' ') {
            Some(("check", rest)) => status.checks.extend(check(rest)),
            Some(("lock", rest)) => status.lock = lock(rest),
            _ => {}
        }
    }
    status
}

fn check(line: &str) -> Option<(String, u16)> {
    let (name, code) = line.split_once(' ')?;
    Some((name.to_string(), code.parse().ok()?))
}

fn lock(line: &str) -> Option<LockFact> {
    let mut parts = line.splitn(3, ' ');
    let silent_seconds = parts.next()?.parse().unwrap_or(0);
    Some(LockFact { silent_seconds, run: parts.next()?.to_string(), holder: parts.next().unwrap_or_default().to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read() {
        let status = parse(b"noise\ncheck scheduler 200\ncheck etcd 000\ncheck odd x\nlock 3 ab12 kim@desk since 2026-11-21T10:00:00Z\n");
        assert_eq!(status.checks, BTreeMap::from([("etcd".into(), 0), ("scheduler".into(), 200)]));
        let lock = LockFact { run: "ab12".into(), holder: "kim@desk since 2026-11-21T10:00:00Z".into(), silent_seconds: 3 };
        assert_eq!(status.lock, Some(lock));
    }

    #[test]
    fn the_script_answers_on_this_machine() {
        let cmd = request([("nobody".to_string(), "http://127.0.0.1:1/".to_string())]);
        let out = std::process::Command::new(&cmd.argv[0]).args(&cmd.argv[1..]).output().expect("a shell runs");
        assert!(out.status.success() && out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
        assert!(parse(&out.stdout).checks.values().all(|code| *code == 0));
    }
}
