//! Root rights: the command line that obtains them on the host, the password, and the meaning of a refusal.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::keyring::Secrets;
use super::{Question, Sudo};
use crate::host::{Cmd, HostError, Secret, quote};
use crate::script_file;

const BECOME: &str = concat!(script_file!("lib/arguments.sh"), script_file!("lib/become.sh"));
const START: &str = concat!(script_file!("lib/arguments.sh"), script_file!("lib/start.sh"));
/// The mark that become.sh or start.sh prints on both outputs right before the command: all output before the mark comes from log-in scripts or
/// from sudo.
pub const MARK: &[u8] = b"\x1eclusterctl\x1e";
/// The prompt with which sudo asks for the password.
pub const PROMPT: &str = "\x1eclusterctl password\x1e";

/// The line that become.sh prints right before it starts sudo.
const SUDO: &str = "clusterctl: sudo";

/// The longest single argument that Linux accepts (MAX_ARG_STRLEN); the host's log-in shell gets the whole command line as one argument.
const LONGEST: usize = 128 * 1024 - 1;

/// How a command gets the rights that it needs; `become.sh` gets the mode as a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Plain,
    /// The command needs root and must not use sudo, so it fails unless the user is root.
    None,
    Auto,
    Password,
}

impl Mode {
    pub fn of(cmd: &Cmd, sudo: Sudo, user: &str) -> Mode {
        match sudo {
            _ if !cmd.root || user == "root" => Mode::Plain,
            Sudo::Auto => Mode::Auto,
            Sudo::Password => Mode::Password,
            Sudo::None => Mode::None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Mode::Plain => "plain",
            Mode::None => "none",
            Mode::Auto => "auto",
            Mode::Password => "password",
        }
    }
}

/// The command line for the host's log-in shell, which runs `become.sh` with `cmd` as its arguments. Fails if the line is longer than `LONGEST`.
pub fn line(cmd: &Cmd, mode: Mode) -> Result<String, HostError> {
    let argv = &cmd.argv;
    match argv.first() {
        Some(program) if !program.is_empty() && !program.starts_with('-') => {}
        _ => return Err(HostError::Local { what: "a command needs a program".into(), source: None }),
    }
    let [mode, start, prompt] =
        [("mode", mode.word()), ("start", START), ("prompt", PROMPT)].map(|(name, value)| format!("{name}={value}"));
    let network = if cmd.proxies { "network=proxies" } else { "network=direct" };
    let head = ["/bin/sh", "-c", BECOME, "clusterctl", &mode, &start, &prompt, network, "--"];
    let all: Vec<&str> = head.into_iter().chain(argv.iter().map(String::as_str)).collect();
    let line = format!("exec {}", quote(&all)?);
    if line.len() > LONGEST {
        return Err(HostError::Local { what: format!("the command `{}` is too long: {} bytes", argv[0], line.len()), source: None });
    }
    Ok(line)
}

/// Why a command did not start.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The log-in shell did not run the command line, as with nologin and csh.
    Shell(String),
    /// The user cannot become root.
    Root(String),
}

/// Finds out why the command did not start. `said` is the output before the mark. `asked` is true if sudo asked for the password; `said` then begins
/// after the question.
pub fn refusal(status: i32, asked: bool, said: &str) -> Refusal {
    let has = |text: &str| said.contains(text);
    // Only whole lines are compared, because sudo prints the text of the scripts, which contains the same words, when it refuses to run them.
    let ours = |text: &str| said.lines().any(|line| line == text);
    let sudo = asked || ours(SUDO);
    let after = said.split_once(&format!("{SUDO}\n")).map_or(said, |(_, after)| after).replace(PROMPT, "");
    let first = after.lines().map(str::trim).find(|l| !l.is_empty()).unwrap_or("nothing");
    let ended = format!("ended with status {status} and said: {}", first.chars().take(200).collect::<String>());
    if !sudo && !ours("clusterctl: not root") && !ours("clusterctl: no sudo") {
        let shells =
            "clusterctl needs a log-in shell that takes `exec /bin/sh -c`, such as bash, dash or zsh (`usermod --shell /bin/bash USER`)";
        return Refusal::Shell(format!("the log-in shell {ended}; {shells}"));
    }
    Refusal::Root(if ours("clusterctl: not root") {
        "the user is not root, and sudo is not to be used".into()
    } else if ours("clusterctl: no sudo") {
        "sudo is not installed".into()
    } else if has("must have a tty") {
        "sudo wants a terminal: remove `requiretty` for this user from sudoers".into()
    } else if has("password is required") || has("terminal is required to read the password") {
        "sudo wants a password: set `sudo: password`, or NOPASSWD for this user in sudoers".into()
    } else if has("not in the sudoers file") || has("may not run sudo") {
        "the user is not in sudoers".into()
    } else if has("is not allowed to execute") || has("is not allowed to run sudo") {
        "sudoers does not allow this user to run `/bin/sh` as root".into()
    } else {
        format!("sudo {ended}")
    })
}

/// The password for sudo, which is the same on all hosts of a run. It is tried on one host first. A wrong password is never tried on a second host,
/// so that it locks nobody out.
pub struct SudoPassword {
    secrets: Secrets,
    state: Arc<Mutex<State>>,
}

#[derive(Clone)]
enum State {
    Unasked,
    Untried(Secret),
    Proved(Secret),
    RefusedOn(String),
}

/// A password for sudo that one host may try. Until this host has shown whether the password is right, no other host gets it.
pub struct Lease {
    pub password: Secret,
    state: Option<OwnedMutexGuard<State>>,
}

impl SudoPassword {
    pub fn new(secrets: Secrets) -> Self {
        SudoPassword { secrets, state: Arc::new(Mutex::new(State::Unasked)) }
    }

    /// Returns the password, and asks the operator for it if necessary. While another host tries a password that is not proved yet, the function
    /// waits.
    pub async fn lease(&self) -> Result<Lease, Refused> {
        let mut state = Arc::clone(&self.state).lock_owned().await;
        if matches!(*state, State::Unasked) {
            match self.secrets.answer(Question::SudoPassword).await? {
                Some(password) => *state = State::Untried(password),
                None => return Err(Refused::Because("nobody gave the password for sudo".into())),
            }
        }
        match &*state {
            State::RefusedOn(host) => Err(Refused::Because(format!("the password was wrong on `{host}` and was not tried here"))),
            State::Proved(password) => Ok(Lease { password: password.clone(), state: None }),
            State::Untried(password) => Ok(Lease { password: password.clone(), state: Some(state) }),
            State::Unasked => Err(Refused::Because("nobody gave the password for sudo".into())),
        }
    }
}

/// Why there is no password.
pub enum Refused {
    Because(String),
    Failed(HostError),
}

impl From<HostError> for Refused {
    fn from(e: HostError) -> Self {
        Refused::Failed(e)
    }
}

impl Lease {
    /// Records that sudo accepted the password, so that all hosts can use it.
    pub fn prove(&mut self) {
        if let Some(mut state) = self.state.take() {
            *state = State::Proved(self.password.clone());
        }
    }

    /// Lets other hosts try the password, because sudo did not ask for it on this host.
    pub fn release(&mut self) {
        self.state = None;
    }

    /// Records that sudo refused the password on `host`, so that no other host tries it.
    pub fn refuse(&mut self, host: &str) {
        if let Some(mut state) = self.state.take() {
            *state = State::RefusedOn(host.into());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart() {
        for (said, expected) in [
            ("sudo: a password is required\n", "sudo wants a password"),
            ("sudo: sorry, you must have a tty to run sudo\n", "requiretty"),
            ("ops is not in the sudoers file.\n", "not in sudoers"),
            ("Sorry, user ops is not allowed to execute '/bin/sh -c x' as root on a.\n", "does not allow"),
            ("Account expired\n", "sudo ended with status 1 and said: Account expired"),
        ] {
            let Refusal::Root(reason) = refusal(1, false, &format!("Welcome\n\nclusterctl: sudo\n{said}")) else { panic!("{said}") };
            assert!(reason.contains(expected), "{said} -> {reason}");
        }
        assert!(matches!(refusal(1, true, "\nSorry, try again.\n"), Refusal::Root(reason) if reason.contains("sudo ended")));
        assert_eq!(refusal(127, false, "clusterctl: no sudo\n"), Refusal::Root("sudo is not installed".into()));
    }

    #[test]
    fn a_log_in_shell_that_runs_nothing_is_not_called_sudo() {
        for said in ["\n  This account is currently not available.\n", "Unmatched '.\n", ""] {
            let Refusal::Shell(reason) = refusal(1, false, said) else { panic!("{said}") };
            let words = if said.is_empty() { "nothing" } else { said.trim() };
            assert!(reason.starts_with(&format!("the log-in shell ended with status 1 and said: {words}; clusterctl needs")), "{reason}");
        }
    }

    #[tokio::test]
    async fn a_wrong_password_is_tried_once() {
        let passwords = SudoPassword::new(Secrets { ask: Arc::new(|_| Some("wrong".into())), file: None });
        let mut first = passwords.lease().await.ok().unwrap();
        first.refuse("a");
        assert!(matches!(passwords.lease().await, Err(Refused::Because(r)) if r.contains("wrong on `a`")));
    }

    #[tokio::test]
    async fn a_proved_password_is_free_for_all() {
        let passwords = SudoPassword::new(Secrets { ask: Arc::new(|_| Some("right".into())), file: None });
        passwords.lease().await.ok().unwrap().prove();
        let (one, two) = (passwords.lease().await, passwords.lease().await);
        assert!(one.is_ok() && two.is_ok());
    }
}
