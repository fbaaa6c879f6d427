//! Tests of the engine, which runs the steps of a plan: how many hosts are changed at the same time, and which steps still run after a failure. The
//! hosts only record the commands that they are given.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use clusterctl::host::{Cmd, Host, HostError, HostName, Output};
use clusterctl::plan::{HostSteps, Part, Phase, Plan, Planned, Width};
use clusterctl::run::{Hosts, Run};
use clusterctl::step::{Package, Step};

/// The commands that were run, in order, and the largest number of commands that ran at the same time.
#[derive(Default)]
struct Log {
    commands: Mutex<Vec<String>>,
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A host that answers every command after a moment. The installation of a package called `broken` fails.
struct Recorder {
    name: HostName,
    log: Arc<Log>,
}

#[async_trait]
impl Host for Recorder {
    fn name(&self) -> &HostName {
        &self.name
    }

    async fn run(&self, cmd: Cmd) -> Result<Output, HostError> {
        let now = self.log.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.log.most.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(5)).await;
        let what = cmd.argv.last().cloned().unwrap_or_default();
        self.log.now.fetch_sub(1, Ordering::SeqCst);
        let status = i32::from(what.starts_with("broken"));
        self.log.commands.lock().expect("nobody panicked").push(format!("{} {what}", self.name));
        Ok(Output { status, stdout: vec![], stderr: b"because".to_vec() })
    }
}

fn host_steps(host: &str, packages: &[&str]) -> HostSteps<Planned> {
    let step = |name: &&str| {
        let step = Step::Package(Package { names: vec![(*name).into()] });
        Planned { title: step.title(), diff: String::new(), step }
    };
    HostSteps { host: host.into(), guards: vec![], steps: packages.iter().map(step).collect() }
}

async fn run(phases: Vec<Phase<Planned>>, forks: usize) -> (Arc<Log>, Vec<String>) {
    let log = Arc::new(Log::default());
    let hosts: Hosts = ["a", "b", "c", "d"]
        .into_iter()
        .map(|n| (n.to_string(), Arc::new(Recorder { name: n.into(), log: Arc::clone(&log) }) as Arc<dyn Host>))
        .collect();
    let (events, _seen) = tokio::sync::mpsc::unbounded_channel();
    let failures = Run { id: "r", hosts: &hosts, forks, events, stop: Arc::new(AtomicBool::new(false)) }.run(&Plan { phases }).await;
    (log, failures.iter().map(|f| format!("{}: {}", f.host, f.step)).collect())
}

#[tokio::test]
async fn side_by_side_up_to_the_width_and_one_when_one_is_allowed() {
    let hosts = || ["a", "b", "c", "d"].map(|h| host_steps(h, &["x", "y"])).to_vec();
    for (width, forks, most) in [(Width::All, 20, 4), (Width::All, 2, 2), (Width::One, 20, 1)] {
        let (log, failures) = run(vec![Phase { part: Part::Other, name: "p", width, hosts: hosts() }], forks).await;
        assert!(failures.is_empty());
        assert_eq!(log.most.load(Ordering::SeqCst), most, "{width:?} with {forks} forks");
    }
}

#[tokio::test]
async fn phases_wait_for_each_other() {
    let phase =
        |name, p: &str| Phase { part: Part::Other, name, width: Width::All, hosts: vec![host_steps("a", &[p]), host_steps("b", &[p])] };
    let (log, _) = run(vec![phase("first", "one"), phase("second", "two")], 20).await;
    let order: Vec<String> =
        log.commands.lock().expect("nobody panicked").iter().map(|c| c.split(' ').nth(1).unwrap_or_default().to_string()).collect();
    assert_eq!(order, ["one", "one", "two", "two"]);
}

#[tokio::test]
async fn after_a_failure_the_track_ends_no_track_starts_and_no_phase_follows() {
    let first = Phase {
        part: Part::Other,
        name: "p",
        width: Width::One,
        hosts: vec![host_steps("a", &["x", "broken", "never"]), host_steps("b", &["never"])],
    };
    let second = Phase { part: Part::Other, name: "q", width: Width::All, hosts: vec![host_steps("c", &["never"])] };
    let (log, failures) = run(vec![first, second], 20).await;
    assert_eq!(failures, ["a: install broken"]);
    assert_eq!(*log.commands.lock().expect("nobody panicked"), ["a x", "a broken"]);
}

#[tokio::test]
async fn a_running_track_finishes_its_step_when_another_fails() {
    let hosts = vec![host_steps("a", &["broken"]), host_steps("b", &["x", "never"])];
    let (log, failures) = run(vec![Phase { part: Part::Other, name: "p", width: Width::All, hosts }], 20).await;
    assert_eq!(failures, ["a: install broken"]);
    let mut seen = log.commands.lock().expect("nobody panicked").clone();
    seen.sort();
    assert_eq!(seen, ["a broken", "b x"]);
}
