//! Pages and plans: a page is every step a whole cluster needs, in order; a plan is what is left of it over the facts.

use serde::Serialize;
use serde::ser::{SerializeSeq, SerializeStruct, Serializer};

use crate::facts::Facts;
use crate::host::HostName;
use crate::step::Step;

pub mod adopt;
pub mod blockers;
pub mod budgets;
pub mod cluster;
pub mod nodes;
pub mod remove;
pub mod reset;
mod show;
pub mod subnets;
pub mod upgrade;

/// How many tracks of a phase may be under way at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// All side by side: nothing depends on them yet.
    All,
    /// One after another: a living cluster changes one host at a time.
    One,
    /// So many at a time; one that failed keeps its place, for its host is still out of service.
    AtMost(usize),
}

/// A part of the workers: so many, or so many of a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    Count(usize),
    Percent(usize),
}

impl Share {
    /// Of so many; at least one, or nothing would ever move.
    pub fn of(self, all: usize) -> usize {
        match self {
            Share::Count(n) => n,
            Share::Percent(p) => all * p / 100,
        }
        .max(1)
    }
}

impl std::str::FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |t: &str| t.parse::<usize>().ok().filter(|n| *n > 0);
        let share = match text.strip_suffix('%') {
            Some(percent) => number(percent).filter(|p| *p <= 100).map(Share::Percent),
            None => number(text).map(Share::Count),
        };
        share.ok_or_else(|| "write a number of workers such as 2, or a part of them such as 25%".into())
    }
}

/// The steps of one host in one phase, in order. Stops at its first failure.
#[derive(Clone, Debug)]
pub struct Track<S> {
    pub host: HostName,
    /// Kept exactly when some step of the track is kept.
    pub prelude: Vec<S>,
    pub steps: Vec<S>,
}

/// Tracks side by side, with a barrier at the end.
#[derive(Clone, Debug)]
pub struct Phase<S> {
    pub name: &'static str,
    pub width: Width,
    pub tracks: Vec<Track<S>>,
}

/// Every step that a whole cluster needs, with no condition in it.
pub type Page = Vec<Phase<Step>>;

/// A step that does not hold, with how the host differs from it.
#[derive(Clone, Debug)]
pub struct Planned {
    pub step: Step,
    pub title: String,
    /// Lines for people; secrets as digests only.
    pub diff: String,
}

/// What is left to do, and nothing else. This value is shown, and this value runs.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub phases: Vec<Phase<Planned>>,
}

impl Plan {
    /// Lays a page against the facts: a step that holds is dropped, a kept one is predicted, so that later steps see its effect.
    pub fn of(page: &Page, facts: &Facts) -> (Plan, Facts) {
        let mut facts = facts.clone();
        let mut phases = Vec::new();
        for phase in page {
            let mut tracks = Vec::new();
            for track in &phase.tracks {
                let before = facts.clone();
                let steps = keep(&track.steps, &track.host, &mut facts);
                if steps.is_empty() {
                    continue;
                }
                // The prelude comes first, but only for the sake of what follows.
                let mut prelude_facts = before;
                let prelude = keep(&track.prelude, &track.host, &mut prelude_facts);
                tracks.push(Track { host: track.host.clone(), prelude, steps });
            }
            if !tracks.is_empty() {
                phases.push(Phase { name: phase.name, width: phase.width, tracks });
            }
        }
        (Plan { phases }, facts)
    }

    /// Whether nothing is left to do.
    pub fn is_empty(&self) -> bool {
        self.phases.is_empty()
    }

    /// Every step with its phase and host, in order.
    pub fn steps(&self) -> impl Iterator<Item = (&'static str, &HostName, &Planned)> {
        self.phases
            .iter()
            .flat_map(|p| p.tracks.iter().flat_map(move |t| t.prelude.iter().chain(&t.steps).map(move |s| (p.name, &t.host, s))))
    }

    /// The hosts it changes, each once.
    pub fn hosts(&self) -> std::collections::BTreeSet<HostName> {
        self.steps().flat_map(|(_, host, s)| [Some(host), s.step.on()]).flatten().cloned().collect()
    }

    /// The same plan for these hosts alone.
    pub fn limited(mut self, hosts: &[HostName]) -> Plan {
        for phase in &mut self.phases {
            phase.tracks.retain(|t| hosts.contains(&t.host));
        }
        self.phases.retain(|p| !p.tracks.is_empty());
        self
    }
}

fn keep(steps: &[Step], host: &HostName, facts: &mut Facts) -> Vec<Planned> {
    let mut kept = Vec::new();
    for step in steps {
        if let Some(step) = step.pending(host, facts) {
            let (title, diff) = (step.title(), step.diff(host, facts));
            step.predict(host, facts);
            kept.push(Planned { step, title, diff });
        }
    }
    kept
}

impl Serialize for Plan {
    /// A list of `{phase, host, kind, title, diff}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Row<'a>(&'a str, &'a str, &'a Planned);
        impl Serialize for Row<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut row = serializer.serialize_struct("Step", 5)?;
                row.serialize_field("phase", self.0)?;
                row.serialize_field("host", self.1)?;
                row.serialize_field("kind", self.2.step.kind())?;
                row.serialize_field("title", &self.2.title)?;
                row.serialize_field("diff", &self.2.diff)?;
                row.end()
            }
        }
        let mut seq = serializer.serialize_seq(None)?;
        for (phase, host, step) in self.steps() {
            seq.serialize_element(&Row(phase, host, step))?;
        }
        seq.end()
    }
}
