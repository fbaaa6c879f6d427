//! Desired steps and plans. The desired steps are all steps that a cluster needs, in order; a plan contains only those whose postconditions do
//! not hold yet according to the facts.

use serde::Serialize;
use serde::ser::{SerializeSeq, SerializeStruct, Serializer};

use crate::facts::Facts;
use crate::host::HostName;
use crate::step::Step;

pub mod adopt;
mod balancers;
pub mod budgets;
mod certificates;
pub mod copies;
pub mod desired;
pub mod encryption;
pub mod etcd;
pub mod files;
pub mod goal;
pub mod identity;
pub mod kubelet_policy;
mod members;
mod mirrors;
pub mod nodes;
mod planning;
pub mod refusals;
pub mod registries;
pub mod remove;
pub mod repair;
pub mod reset;
pub mod restore;
mod show;
pub mod situation;
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
    /// All hosts at once, where this cannot take a running cluster out of service.
    All,
    /// One host after another, because hosts of a running cluster must not be out of service at the same time.
    One,
    /// At most this many hosts at once. A failed host keeps its slot, because it is still out of service.
    AtMost(usize),
}

/// How many workers may be out of service at the same time: a number, or a percentage of all workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parallelism {
    Count(usize),
    Percent(usize),
}

impl Parallelism {
    /// The number of workers, out of `all` workers, that may be out of service at the same time. The result is at least one, because with zero
    /// no worker would ever be changed.
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
        let parallelism = match text.strip_suffix('%') {
            Some(percent) => number(percent).filter(|p| *p <= 100).map(Parallelism::Percent),
            None => number(text).map(Parallelism::Count),
        };
        parallelism.ok_or_else(|| "write a number of workers such as 2, or a part of them such as 25%".into())
    }
}

/// The steps of one host in one phase, in order. After the first failure, no later step of the host runs.
#[derive(Clone, Debug)]
pub struct HostSteps<S> {
    pub host: HostName,
    /// Steps that make the change of the host safe, such as the check that etcd keeps its quorum. They run before `steps`, and a plan contains
    /// them only if it contains at least one of `steps`.
    pub guards: Vec<S>,
    pub steps: Vec<S>,
}

/// The purpose of a phase. Code decides by the purpose only; the name of a phase is only shown to the operator. `Other` is the purpose of
/// phases that no code treats specially.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// Images, packages and binaries are brought to the hosts; nothing that runs is changed.
    Prepare,
    LoadBalancers,
    ControlPlane,
    /// Waits that concern the whole cluster and must end before the first node is drained.
    BeforeNodes,
    /// The kubelets of workers are started or changed. In a stage that changes kubelets to another version, the phase of the control-plane
    /// hosts has this purpose, too.
    Nodes,
    #[default]
    Other,
}

/// The steps of several hosts. Steps run on as many of these hosts at once as `width` allows. The next phase begins only after the steps of all
/// these hosts have ended.
#[derive(Clone, Debug)]
pub struct Phase<S> {
    pub part: Part,
    pub name: &'static str,
    pub width: Width,
    pub hosts: Vec<HostSteps<S>>,
}

/// The ordered list of all steps that a cluster needs, whether or not their postconditions hold already.
pub type DesiredSteps = Vec<Phase<Step>>;

/// A step whose postcondition does not hold yet, with the difference between the present state of the host and the postcondition.
#[derive(Clone, Debug)]
pub struct Planned {
    pub step: Step,
    pub title: String,
    /// The difference as lines of text, in which secrets appear only as digests. Empty if the title contains everything.
    pub diff: String,
}

/// The desired steps whose postconditions do not hold yet. The plan that is shown to the operator is the same value as the plan that runs.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub phases: Vec<Phase<Planned>>,
}

impl Plan {
    /// The plan for these hosts only, and the facts as they are predicted to be after the plan has run; see [`Plan::of`]. The steps of other hosts
    /// do not run, so they are removed before the prediction, and the facts do not contain their effects. See [`retain_steps`] for the exceptions.
    pub fn for_hosts(mut desired: DesiredSteps, hosts: &[HostName], facts: &Facts) -> (Plan, Facts) {
        retain_steps(&mut desired, hosts, facts);
        let (mut plan, after) = Plan::of(&desired, facts);
        // Tokens are deleted through another host only where this plan makes one.
        let makes_token = plan.steps().any(|(.., s)| matches!(s.step, Step::Token(_)));
        for t in plan.phases.iter_mut().flat_map(|p| &mut p.hosts).filter(|t| !hosts.contains(&t.host)) {
            t.steps.retain(|s| makes_token || !matches!(s.step, Step::TokensGone(_)));
        }
        plan.phases.iter_mut().for_each(|p| p.hosts.retain(|t| !t.steps.is_empty()));
        plan.phases.retain(|p| !p.hosts.is_empty());
        (plan.without_idle_waits(), after)
    }

    /// The plan with the desired steps whose postconditions do not hold according to the facts, and the facts as they are predicted to be after
    /// the plan has run. The effect of each step is predicted before the next step is judged.
    pub fn of(desired: &DesiredSteps, facts: &Facts) -> (Plan, Facts) {
        let mut facts = facts.clone();
        let mut phases = Vec::new();
        for phase in desired {
            let mut hosts = Vec::new();
            for host_steps in &phase.hosts {
                // Guards run before the steps, so they are planned from the facts before the steps; but whether a host needs its guards is known
                // only after its steps are planned. Copying the facts is expensive, so they are copied only for a host with guards.
                let before = (!host_steps.guards.is_empty()).then(|| facts.clone());
                let steps = skip_satisfied(&host_steps.steps, &host_steps.host, &mut facts);
                if steps.is_empty() {
                    continue;
                }
                let guards = before.map(|mut before| skip_satisfied(&host_steps.guards, &host_steps.host, &mut before)).unwrap_or_default();
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

    /// Every step with the name of its phase and its host, in order.
    pub fn steps(&self) -> impl Iterator<Item = (&'static str, &HostName, &Planned)> {
        self.phases
            .iter()
            .flat_map(|p| p.hosts.iter().flat_map(move |t| t.guards.iter().chain(&t.steps).map(move |s| (p.name, &t.host, s))))
    }

    /// The hosts of all steps of the plan, and the hosts through which some of these steps run, such as the control-plane host that drains a
    /// node.
    pub fn hosts(&self) -> std::collections::BTreeSet<HostName> {
        self.steps().flat_map(|(_, host, s)| [Some(host), s.step.on()]).flatten().cloned().collect()
    }

    /// Whether a step of the plan writes the file with this path.
    pub fn writes(&self, path: &str) -> bool {
        self.steps().any(|(.., s)| matches!(&s.step, Step::File(files) if files.iter().any(|f| f.path == path)))
    }

    /// Removes the steps of all hosts but these. A phase of [`Part::BeforeNodes`], which waits for the whole cluster, is kept if a phase of
    /// [`Part::Nodes`] remains after it.
    pub fn limited(mut self, hosts: &[HostName]) -> Plan {
        for phase in self.phases.iter_mut().filter(|p| p.part != Part::BeforeNodes) {
            phase.hosts.retain(|t| hosts.contains(&t.host));
        }
        self.phases.retain(|p| !p.hosts.is_empty());
        self.without_idle_waits()
    }

    /// Removes the phases of [`Part::BeforeNodes`] after which no phase of [`Part::Nodes`] comes.
    fn without_idle_waits(mut self) -> Plan {
        let mut nodes = self.phases.iter().filter(|p| p.part == Part::Nodes).count();
        self.phases.retain(|p| {
            nodes -= usize::from(p.part == Part::Nodes);
            p.part != Part::BeforeNodes || nodes > 0
        });
        self
    }
}

/// Removes the steps of all hosts but these, except in phases of [`Part::BeforeNodes`], which wait for the whole cluster, and except the steps by
/// which another control-plane host, whose API server answers, lets one of these hosts join. Such steps change only the API.
fn retain_steps(phases: &mut DesiredSteps, hosts: &[HostName], facts: &Facts) {
    for phase in phases.iter_mut().filter(|p| p.part != Part::BeforeNodes) {
        for t in phase.hosts.iter_mut().filter(|t| !hosts.contains(&t.host)) {
            let serves = facts.host(&t.host).api_version.is_some();
            t.guards.clear();
            t.steps = std::mem::take(&mut t.steps).into_iter().filter(|_| serves).filter_map(|step| lets_join(step, hosts)).collect();
        }
        phase.hosts.retain(|t| !t.steps.is_empty());
    }
    phases.retain(|p| !p.hosts.is_empty());
}

/// The part of a step on a control-plane host that one of these hosts needs to join: the metadata of its node, and the bootstrap token.
fn lets_join(step: Step, hosts: &[HostName]) -> Option<Step> {
    match step {
        Step::NodeMeta(meta) => hosts.contains(&meta.node).then_some(Step::NodeMeta(meta)),
        Step::Token(token) => token.only_for(hosts).map(Step::Token),
        Step::TokensGone(gone) => Some(Step::TokensGone(gone)),
        _ => None,
    }
}

/// The steps whose postconditions do not hold. The effect of each of them is predicted in `facts` before the next step is judged.
fn skip_satisfied(steps: &[Step], host: &HostName, facts: &mut Facts) -> Vec<Planned> {
    let mut left = Vec::new();
    for step in steps {
        if let Some(step) = step.pending(host, facts) {
            let (title, diff) = (step.title(), step.diff(host, facts));
            step.predict(host, facts);
            left.push(Planned { step, title, diff });
        }
    }
    left
}

impl Serialize for Plan {
    /// Writes the plan as a list with one element `{phase, host, kind, title, diff}` for each step.
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
