//! Events as plain lines, for files and pipes: a line when a phase starts, when a step ends, and when a phase ends.

use std::collections::BTreeMap;
use std::time::Instant;

use super::words::{clean, head_and_rest, plural, short, took};
use crate::host::HostName;
use crate::run::Event;

/// The steps that are running: title and start by host.
#[derive(Default)]
pub struct Lines(BTreeMap<HostName, (String, Instant)>);

impl Lines {
    /// The text that the event adds to the output; often empty.
    pub fn show(&mut self, event: &Event) -> String {
        match event {
            Event::PhaseStarted { phase, hosts, steps } => {
                self.0.clear();
                format!("{phase} ({} on {})\n", plural(*steps, "step"), plural(*hosts, "host"))
            }
            Event::StepStarted { host, title, .. } => {
                self.0.insert(host.clone(), (title.clone(), Instant::now()));
                String::new()
            }
            Event::StepDone { host, title, took: time, .. } => {
                self.0.remove(host);
                format!("  {host}: {} ... {}\n", short(title), took(*time))
            }
            Event::StepFailed { host, title, cause, .. } => {
                self.0.remove(host);
                format!("  {host}: {} ... FAILED: {}\n", short(title), clean(head_and_rest(cause).0))
            }
            Event::PhaseDone { phase, took: time } => format!("{phase} ... {}\n", took(*time)),
        }
    }

    /// The steps that still run, with their time so far.
    pub fn reminder(&self) -> String {
        self.0
            .iter()
            .map(|(host, (title, since))| format!("  {host}: {} ... still running after {}\n", short(title), took(since.elapsed())))
            .collect()
    }
}
