//! Desired steps and plans. The desired steps are all steps that a cluster needs, in order; a plan has only those that do not hold for the
//! given facts.

use serde::Serialize;
use serde::ser::{SerializeSeq, SerializeStruct, Serializer};

use crate::facts::Facts;
use crate::host::HostName;
use crate::step::Step;

pub mod adopt;
pub mod blockers;
pub mod budgets;
mod certificates;
pub mod cluster;
pub mod copies;
pub mod goal;
pub mod nodes;
mod planning;
pub mod remove;
pub mod repair;
pub mod reset;
mod show;
mod stages;
pub mod subnets;
pub mod upgrade;
mod whole_run;

pub use goal::Goal;
pub use planning::{Planning, RunInputs};
pub use whole_run::{WholeRun, repair_run, whole_run};

/// The number of hosts of a phase on which steps may run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// All at once: nothing depends on these hosts yet.
    All,
    /// One after another: a running cluster is changed one host at a time.
    One,
    /// At most this many at once; a failed host keeps its slot, because it is still out of service.
    AtMost(usize),
}

/// A number of workers, or a percentage of all workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parallelism {
    Count(usize),
    Percent(usize),
}

impl Parallelism {
    /// The number of workers out of `all`; at least one, because with zero workers nothing would ever change.
    pub fn of(self, all: usize) -> usize {
        match self {
            Parallelism::Count(n) => n,
            Parallelism::Percent(p) => all * p / 100,
        }
        .max(1)
    }
}

impl std::str::FromStr for Parallelism {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |t: &str| t.parse::<usize>().ok().filter(|n| *n > 0);
        let share = match text.strip_suffix('%') {
            Some(percent) => number(percent).filter(|p| *p <= 100).map(Parallelism::Percent),
            None => number(text).map(Parallelism::Count),
        };
        share.ok_or_else(|| "write a number of workers such as 2, or a part of them such as 25%".into())
    }
}

/// The steps of one host in one phase, in order. After the first failure, no further step of the host runs.
#[derive(Clone, Debug)]
pub struct HostSteps<S> {
    pub host: HostName,
    /// Steps that guard the others, such as the check of the quorum. Guards run first, and are part of the plan only if one of `steps` is part
    /// of it.
    pub guards: Vec<S>,
    pub steps: Vec<S>,
}

/// The purpose of a phase, if code depends on it. The name of a phase is only shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// Images, packages and binaries are brought to the hosts; nothing that runs is changed.
    Prepare,
    LoadBalancers,
    ControlPlane,
    /// Waits for the whole cluster that must end before the first node is drained.
    BeforeNodes,
    /// Kubelets are changed to another version.
    Nodes,
    #[default]
    Other,
}

/// The steps of several hosts, of which as many as `width` allows run at once. The next phase begins after the steps of all hosts of this phase
/// have ended.
#[derive(Clone, Debug)]
pub struct Phase<S> {
    pub part: Part,
    pub name: &'static str,
    pub width: Width,
    pub hosts: Vec<HostSteps<S>>,
}

/// The ordered list of all steps that a cluster needs, whether or not they hold already.
pub type DesiredSteps = Vec<Phase<Step>>;

/// A step that does not hold, with the difference between the host and the step.
#[derive(Clone, Debug)]
pub struct Planned {
    pub step: Step,
    pub title: String,
    /// The difference as text; secrets appear only as digests.
    pub diff: String,
}

/// The desired steps that do not hold yet. The plan that is shown to the operator is the same value as the plan that runs.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub phases: Vec<Phase<Planned>>,
}

impl Plan {
    /// The plan for these hosts only, and the facts after it has run; see [`Plan::of`] and [`Plan::limited`]. No effect of a step on another host
    /// is predicted, because the step does not run.
    pub fn for_hosts(mut desired: DesiredSteps, hosts: &[HostName], facts: &Facts) -> (Plan, Facts) {
        retain_hosts(&mut desired, hosts);
        let (plan, after) = Plan::of(&desired, facts);
        (plan.limited(hosts), after)
    }

    /// The desired steps that do not hold for the facts, and the facts after the plan has run. The effect of each step is predicted, so
    /// that later steps see it.
    pub fn of(desired: &DesiredSteps, facts: &Facts) -> (Plan, Facts) {
        let mut facts = facts.clone();
        let mut phases = Vec::new();
        for phase in desired {
            let mut hosts = Vec::new();
            for host_steps in &phase.hosts {
                // Guards run first, but are needed only if a step follows. Few hosts have guards, and copying the facts is
                // expensive.
                let before = (!host_steps.guards.is_empty()).then(|| facts.clone());
                let steps = keep(&host_steps.steps, &host_steps.host, &mut facts);
                if steps.is_empty() {
                    continue;
                }
                let guards = before.map(|mut before| keep(&host_steps.guards, &host_steps.host, &mut before)).unwrap_or_default();
                hosts.push(HostSteps { host: host_steps.host.clone(), guards, steps });
            }
            if !hosts.is_empty() {
                phases.push(Phase { hosts, part: phase.part, name: phase.name, width: phase.width });
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
            .flat_map(|p| p.hosts.iter().flat_map(move |t| t.guards.iter().chain(&t.steps).map(move |s| (p.name, &t.host, s))))
    }

    /// The hosts that the plan changes.
    pub fn hosts(&self) -> std::collections::BTreeSet<HostName> {
        self.steps().flat_map(|(_, host, s)| [Some(host), s.step.on()]).flatten().cloned().collect()
    }

    /// The plan for these hosts only, with the waits for the whole cluster that must end before their nodes change.
    pub fn limited(mut self, hosts: &[HostName]) -> Plan {
        retain_hosts(&mut self.phases, hosts);
        let mut nodes = self.phases.iter().filter(|p| p.part == Part::Nodes).count();
        self.phases.retain(|p| {
            nodes -= usize::from(p.part == Part::Nodes);
            p.part != Part::BeforeNodes || nodes > 0
        });
        self
    }
}

/// Keeps the steps of these hosts, and the waits for the whole cluster.
fn retain_hosts<S>(phases: &mut Vec<Phase<S>>, hosts: &[HostName]) {
    for phase in phases.iter_mut().filter(|p| p.part != Part::BeforeNodes) {
        phase.hosts.retain(|t| hosts.contains(&t.host));
    }
    phases.retain(|p| !p.hosts.is_empty());
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
