//! Events as progress bars, for a person at a terminal: a bar for the phase, and below it a line for every host at work.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::words::{clean, head_and_rest, plural, short, took};
use crate::host::HostName;
use crate::run::Event;

/// How often spinners and clocks are redrawn.
const TICK: Duration = Duration::from_millis(100);

/// The bars of the phase under way.
pub struct Bars {
    all: MultiProgress,
    phase: Option<Phase>,
    hosts: BTreeMap<HostName, HostLine>,
}

struct Phase {
    bar: ProgressBar,
    steps: usize,
    hosts: usize,
    failed: bool,
}

struct HostLine {
    bar: ProgressBar,
    working: bool,
}

impl Bars {
    pub fn new(all: MultiProgress) -> Self {
        Bars { all, phase: None, hosts: BTreeMap::new() }
    }

    /// Updates the bars. Returns the line to print above the bars if the event is a failed step or the end of a phase.
    pub fn show(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::PhaseStarted { phase, hosts, steps } => {
                self.clear();
                let bar = self.all.add(ProgressBar::new(*steps as u64).with_style(style("{prefix} [{bar:30}] {pos}/{len} {elapsed}")));
                bar.set_prefix(*phase);
                bar.enable_steady_tick(TICK);
                self.phase = Some(Phase { bar, steps: *steps, hosts: *hosts, failed: false });
                None
            }
            Event::StepStarted { host, title, .. } => {
                let line = self.hosts.entry(host.clone()).or_insert_with(|| HostLine { bar: host_line(&self.all, host), working: true });
                line.working = true;
                line.bar.reset_elapsed();
                line.bar.set_message(short(title));
                None
            }
            Event::StepDone { host, .. } => {
                self.idle(host);
                self.phase.iter().for_each(|p| p.bar.inc(1));
                None
            }
            Event::StepFailed { host, title, cause, .. } => {
                self.idle(host);
                self.phase.iter_mut().for_each(|p| p.failed = true);
                Some(format!("  {host}: {} ... FAILED: {}\n", short(title), clean(head_and_rest(cause).0)))
            }
            Event::PhaseDone { phase, took: time } => {
                let ended = self.phase.take();
                self.clear();
                ended.map(|p| {
                    p.bar.finish_and_clear();
                    self.all.remove(&p.bar);
                    let how = if p.failed { "FAILED after" } else { "..." };
                    format!("{phase} ({} on {}) {how} {}\n", plural(p.steps, "step"), plural(p.hosts, "host"), took(time.to_owned()))
                })
            }
        }
    }

    /// Removes the lines of hosts on which no step is running.
    pub fn settle(&mut self) {
        let all = &self.all;
        self.hosts.retain(|_, line| {
            if !line.working {
                line.bar.finish_and_clear();
                all.remove(&line.bar);
            }
            line.working
        });
    }

    /// Removes all bars and lines.
    pub fn clear(&mut self) {
        self.hosts.values_mut().for_each(|line| line.working = false);
        self.settle();
        if let Some(phase) = self.phase.take() {
            phase.bar.finish_and_clear();
            self.all.remove(&phase.bar);
        }
    }

    fn idle(&mut self, host: &HostName) {
        if let Some(line) = self.hosts.get_mut(host) {
            line.working = false;
        }
    }
}

fn host_line(all: &MultiProgress, host: &HostName) -> ProgressBar {
    let bar = all.add(ProgressBar::new_spinner().with_style(style("  {spinner} {prefix}: {wide_msg} {elapsed}")));
    bar.set_prefix(host.clone());
    bar.enable_steady_tick(TICK);
    bar
}

/// The style of a constant template. A template that cannot be parsed gives the default style of indicatif.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ").tick_chars("|/-\\ ")
}
