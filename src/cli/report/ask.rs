//! Questions to the person at the terminal.

use std::io::{BufRead, IsTerminal};

use indicatif::ProgressDrawTarget;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::{Report, lock};
use crate::cli::stop::Stop;
use crate::error::Exit;
use crate::host::Secret;

impl Report {
    /// Asks the operator whether to go ahead; `--yes` counts as consent. If nobody can be asked, because the output is JSON or standard input is no
    /// terminal, fails with [`Exit::Usage`].
    pub fn confirm(&self, question: &str) -> Result<bool, Stop> {
        self.answer(question, "[y/N]", |a| matches!(a.to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Asks for consent to an irreversible change: the answer is a name, such as the cluster's, and not a letter that is typed by habit.
    pub fn confirm_by_name(&self, question: &str, name: &str) -> Result<bool, Stop> {
        self.answer(question, &format!("Type `{name}` to confirm:"), |a| a == name)
    }

    fn answer(&self, question: &str, prompt: &str, agrees: impl Fn(&str) -> bool) -> Result<bool, Stop> {
        if self.0.yes {
            return Ok(true);
        }
        if self.json() || !std::io::stdin().is_terminal() {
            let message = format!("nobody can be asked: {question}");
            return Err(Stop::with(Exit::Usage).error(message, "say `--yes` to go ahead without being asked"));
        }
        let answer = self.undisturbed(|| {
            self.print_err(&format!("{question} {prompt} "));
            read_line()
        });
        Ok(answer.is_some_and(|a| agrees(a.trim())))
    }

    /// Asks the operator for a secret, which is typed without echo; `None` if nobody can be asked or nothing was typed. The function blocks the
    /// thread.
    pub fn ask_secret(&self, prompt: &str) -> Option<Secret> {
        if self.json() || !std::io::stdin().is_terminal() {
            return None;
        }
        self.undisturbed(|| {
            self.print_err(&format!("{prompt}: "));
            let before = tcgetattr(std::io::stdin()).ok()?;
            let mut hidden = before.clone();
            hidden.local_modes.remove(LocalModes::ECHO);
            hidden.local_modes.insert(LocalModes::ECHONL);
            *lock(&self.0.terminal) = Some(before);
            tcsetattr(std::io::stdin(), OptionalActions::Flush, &hidden).ok()?;
            let typed = read_line();
            self.restore_terminal();
            typed.filter(|t| !t.is_empty()).map(Secret::from)
        })
    }

    /// Turns on the echo of the terminal again if a question has turned it off, and removes the progress bars. Also called before clusterctl ends in
    /// the middle of a question.
    pub fn restore_terminal(&self) {
        if let Some(before) = lock(&self.0.terminal).take() {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &before);
        }
        let _ = self.0.bars.clear();
    }

    /// Calls `question`, and draws no progress bars until it returns.
    fn undisturbed<T>(&self, question: impl FnOnce() -> T) -> T {
        let _ = self.0.bars.clear();
        self.0.bars.set_draw_target(ProgressDrawTarget::hidden());
        let answer = question();
        if self.0.live {
            self.0.bars.set_draw_target(ProgressDrawTarget::stderr());
        }
        answer
    }
}

/// Reads a line of standard input and removes its line end; `None` at the end of input.
fn read_line() -> Option<String> {
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(n) if n > 0 => {
            line.truncate(line.trim_end_matches(['\r', '\n']).len());
            Some(line)
        }
        _ => None,
    }
}
