//! The engine that runs a plan: the phases one after another, at most `width` hosts of a phase at once, and the steps of a host in order until
//! the first failure. Adjacent steps of a host run concurrently if each of them replaces only a scheduler or a controller manager, because
//! other hosts take over for these components. After a failure, no later phase runs, work begins on no other host, and each host at work
//! finishes its current step. In a phase with the width `AtMost(n)`, the work on the other hosts continues instead, and the failed host keeps
//! its slot, because it is still out of service. The engine decides nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;

use crate::error::{Failure, Place};
use crate::host::{Host, HostName};
use crate::plan::{HostSteps, Phase, Plan, Planned, Width};
use crate::step::StepError;

/// What happens while a plan runs. The engine prints nothing itself: it sends these events, and the output is made from them.
#[derive(Clone, Debug)]
pub enum Event {
    PhaseStarted { phase: &'static str, hosts: usize, steps: usize },
    StepStarted { phase: &'static str, host: HostName, title: String },
    StepDone { phase: &'static str, host: HostName, title: String, took: Duration },
    StepFailed { phase: &'static str, host: HostName, title: String, cause: String },
    PhaseDone { phase: &'static str, took: Duration },
}

/// The hosts of a run, by name.
pub type Hosts = BTreeMap<HostName, Arc<dyn Host>>;

/// What a run needs besides its plan.
pub struct Run<'a> {
    /// The ID of the run, which is also written into the lock on each host.
    pub id: &'a str,
    pub hosts: &'a Hosts,
    /// The largest number of hosts that are worked on at once, even if a phase allows more.
    pub forks: usize,
    pub events: UnboundedSender<Event>,
    /// If this is set to true from outside, the run stops before the next step of each host.
    pub stop: Arc<AtomicBool>,
}

impl Run<'_> {
    /// Runs the phases of the plan up to the first phase with a failure. Returns the failures of this phase, in the order of the plan; empty if
    /// no step failed, even if the run was stopped.
    pub async fn run(&self, plan: &Plan) -> Vec<Failure> {
        let mut failures = Vec::new();
        for phase in &plan.phases {
            failures.extend(self.phase(phase).await);
            if !failures.is_empty() || self.stop.load(Ordering::SeqCst) {
                break;
            }
        }
        failures
    }

    async fn phase(&self, phase: &Phase<Planned>) -> Vec<Failure> {
        let begun = Instant::now();
        let steps = phase.hosts.iter().map(|t| t.guards.len() + t.steps.len()).sum();
        self.tell(Event::PhaseStarted { phase: phase.name, hosts: phase.hosts.len(), steps });
        let forks = self.forks.max(1);
        let results = match phase.width {
            Width::All => self.side_by_side(phase, forks).await,
            Width::One => self.side_by_side(phase, 1).await,
            Width::AtMost(n) => self.wave(phase, n.clamp(1, forks)).await,
        };
        self.tell(Event::PhaseDone { phase: phase.name, took: begun.elapsed() });
        results.into_iter().filter_map(Result::err).collect()
    }

    /// Runs the steps of the phase, on at most `width` hosts at once. After a failure, work begins on no other host, and each host at work
    /// stops after its current step.
    async fn side_by_side(&self, phase: &Phase<Planned>, width: usize) -> Vec<Result<(), Failure>> {
        let failed = AtomicBool::new(false);
        let hosts = phase.hosts.iter().map(|host_steps| self.host_steps(phase.name, host_steps, &failed));
        // `buffered` keeps the plan's order of results while up to `width` hosts are worked on.
        stream::iter(hosts).buffered(width).collect().await
    }

    /// Runs the steps of the phase, on at most `places` hosts at once. After a failure, the work on the other hosts continues, and the failed
    /// host keeps its slot, because it is still out of service. When no slot is left, work begins on no other host.
    async fn wave(&self, phase: &Phase<Planned>, places: usize) -> Vec<Result<(), Failure>> {
        let (free, lost) = (Semaphore::new(places), AtomicUsize::new(0));
        let in_place = async |host_steps| {
            let Ok(place) = free.acquire().await else { return Ok(()) };
            let result = self.host_steps(phase.name, host_steps, &AtomicBool::new(false)).await;
            if result.is_err() {
                place.forget();
                if lost.fetch_add(1, Ordering::SeqCst) + 1 == places {
                    free.close();
                }
            }
            result
        };
        futures_util::future::join_all(phase.hosts.iter().map(in_place)).await
    }

    async fn host_steps(&self, phase: &'static str, host_steps: &HostSteps<Planned>, failed: &AtomicBool) -> Result<(), Failure> {
        let steps: Vec<&Planned> = host_steps.guards.iter().chain(&host_steps.steps).collect();
        let mut before = 0;
        for together in steps.chunk_by(|a, b| a.step.has_standby() && b.step.has_standby()) {
            if failed.load(Ordering::SeqCst) || self.stop.load(Ordering::SeqCst) {
                return Ok(());
            }
            let results = futures_util::future::join_all(
                together.iter().enumerate().map(|(n, planned)| self.step(phase, &host_steps.host, planned, before + n)),
            )
            .await;
            before += together.len();
            if let Some(failure) = results.into_iter().find_map(Result::err) {
                failed.store(true, Ordering::SeqCst);
                return Err(failure);
            }
        }
        Ok(())
    }

    async fn step(&self, phase: &'static str, host: &HostName, planned: &Planned, before: usize) -> Result<(), Failure> {
        let title = planned.title.clone();
        self.tell(Event::StepStarted { phase, host: host.clone(), title: title.clone() });
        let begun = Instant::now();
        let result = match self.hosts.get(planned.step.on().unwrap_or(host)) {
            Some(h) => planned.step.apply(h.as_ref(), self.id).await,
            None => Err(StepError::Refused { status: -1, said: "the host was not connected".into() }),
        };
        match result {
            Ok(()) => {
                self.tell(Event::StepDone { phase, host: host.clone(), title, took: begun.elapsed() });
                Ok(())
            }
            Err(source) => {
                let failure = Failure {
                    host: host.clone(),
                    phase: phase.into(),
                    step: title.clone(),
                    place: Some(Place { kind: planned.step.kind(), before }),
                    source,
                };
                let cause = crate::error::chain(&failure.source);
                self.tell(Event::StepFailed { phase, host: host.clone(), title, cause });
                Err(failure)
            }
        }
    }

    /// Sends an event. The run continues even if nobody receives its events.
    fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }
}
