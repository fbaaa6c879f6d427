//! The reasons for which a verb stops without a result. A reason becomes a value where it is found, and `cli::main` prints all of them once.

use std::fmt::Display;

use crate::error::{Exit, Failure};
use crate::inventory::Faults;
use crate::plan::refusals::Refusal;

/// How a verb ends: the exit code after the verb has printed its result, or the reasons for which there is no result.
pub type Ended = Result<Exit, Stop>;

/// The reasons, in the order in which they are printed, and the exit code. Without a reason, nothing is printed.
#[derive(Debug)]
#[must_use]
pub struct Stop {
    pub exit: Exit,
    pub reasons: Vec<Reason>,
}

/// One of the reasons of a [`Stop`].
#[derive(Debug)]
pub enum Reason {
    /// An error that concerns no single host; an empty `hint` is not printed.
    Error { message: String, hint: String },
    /// Faults of the inventory.
    Faults(Faults),
    /// Failures on hosts.
    Failures(Vec<Failure>),
    /// Refusals for safety.
    Refusals(Vec<Refusal>),
    /// A remark about the other reasons.
    Note(String),
    /// The state in which the verb leaves the cluster, and the command to continue with; both may be empty.
    Ending { state: String, next: String },
}

impl Stop {
    /// A stop with this exit code and without a reason yet.
    pub fn with(exit: Exit) -> Stop {
        Stop { exit, reasons: Vec::new() }
    }

    /// A stop because of failures of hosts, with the exit code that [`Exit::of`] gives for them.
    pub fn failed(failures: Vec<Failure>) -> Stop {
        Stop::with(Exit::of(&failures)).failures(failures)
    }

    /// A stop because of failures in a run that has changed hosts, with the exit code that [`Exit::after_changes`] gives for them.
    pub fn broken(failures: Vec<Failure>) -> Stop {
        Stop::with(Exit::after_changes(&failures)).failures(failures)
    }

    /// A stop because of refusals for safety.
    pub fn refused(refusals: Vec<Refusal>) -> Stop {
        Stop::with(Exit::Refused).refusals(refusals)
    }

    /// A stop because of faults of the inventory.
    pub fn faults(faults: Faults) -> Stop {
        Stop::with(Exit::Inventory).and(Reason::Faults(faults))
    }

    /// Adds an error; an empty `hint` is not printed.
    pub fn error(self, message: impl Display, hint: impl Display) -> Stop {
        self.and(Reason::Error { message: message.to_string(), hint: hint.to_string() })
    }

    /// Adds failures of hosts; the exit code stays.
    pub fn failures(self, failures: Vec<Failure>) -> Stop {
        self.and(Reason::Failures(failures))
    }

    /// Adds refusals for safety; the exit code stays.
    pub fn refusals(self, refusals: Vec<Refusal>) -> Stop {
        self.and(Reason::Refusals(refusals))
    }

    /// Adds a remark.
    pub fn note(self, text: impl Display) -> Stop {
        self.and(Reason::Note(text.to_string()))
    }

    /// Adds the state in which the verb leaves the cluster, and the command to continue with; both may be empty.
    pub fn ending(self, state: impl Display, next: impl Display) -> Stop {
        self.and(Reason::Ending { state: state.to_string(), next: next.to_string() })
    }

    /// Adds the reasons of a later stop, and takes its exit code.
    pub fn then(mut self, later: Stop) -> Stop {
        self.reasons.extend(later.reasons);
        Stop { exit: later.exit, reasons: self.reasons }
    }

    fn and(mut self, reason: Reason) -> Stop {
        self.reasons.push(reason);
        self
    }
}
