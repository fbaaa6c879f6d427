//! A plan as text: what `--dry-run` and `plan` print.

use std::fmt::{Display, Formatter, Result};

use super::Plan;

impl Display for Plan {
    /// Writes phases, hosts and steps in order, the diff of each step indented below the step, and the numbers of steps and hosts in the last
    /// line.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut total = 0;
        for phase in &self.phases {
            let how = match (phase.hosts.len(), phase.width) {
                (1, _) => String::new(),
                (n, super::Width::All) => format!(" ({n} hosts side by side)"),
                (n, super::Width::AtMost(most)) if most > 1 => format!(" ({n} hosts, {most} at a time)"),
                (n, super::Width::One | super::Width::AtMost(_)) => format!(" ({n} hosts, one at a time)"),
            };
            writeln!(f, "{}{how}", phase.name)?;
            for host_steps in &phase.hosts {
                for step in host_steps.guards.iter().chain(&host_steps.steps) {
                    total += 1;
                    writeln!(f, "  {}: {}", host_steps.host, step.title)?;
                    for line in step.diff.lines() {
                        writeln!(f, "      {line}")?;
                    }
                }
            }
        }
        match total {
            0 => writeln!(f, "nothing to do"),
            n => writeln!(f, "{n} step{} on {} host{}", plural(n), self.hosts().len(), plural(self.hosts().len())),
        }
    }
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}
