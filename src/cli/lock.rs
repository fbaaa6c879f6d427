//! Prevents two runs from changing a host at the same time. A run locks every host that it changes: `lock.sh` on the host holds the lock as long as
//! the run sends ticks to it. If the connection breaks, as when the host reboots, the run takes the lock again unless another run has had it
//! meanwhile. A run that changes a control-plane or etcd host locks all such hosts, so that two runs that change different ones exclude each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::facts::Facts;
use crate::host::{Cmd, Host, HostError, HostName, Output, Stdin};
use crate::inventory::Inventory;
use crate::run::Hosts;
use crate::{layout, script};

const LOCK: &str = script!("lock/lock.sh");

/// The interval of the ticks that keep a lock. The host frees the lock after 30 s without a tick, which is the time of six ticks.
const TICK: Duration = Duration::from_secs(5);

/// The pause before each attempt to take a lock again after its connection broke.
const PAUSE: Duration = Duration::from_secs(1);

/// The locks of a run. The run holds them as long as this value exists.
pub struct Locks {
    /// Dropped to release the locks.
    live: Option<watch::Sender<()>>,
    holding: Vec<tokio::task::JoinHandle<()>>,
    /// The first lock that another run took over from this run; unset while no lock is lost.
    lost: Arc<OnceLock<LockError>>,
    /// Hosts that the run does not change and that could not be locked, with the reason.
    passed_over: Vec<LockError>,
}

/// Why a run did not get one of its locks, or lost it.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run holds the lock.
    #[error("{host} is locked by run {holder}")]
    Held { host: HostName, holder: String },
    /// Another run changed the host after this run observed it and before this run locked it.
    #[error("{host} was changed by run {by} while this plan was made")]
    Changed { host: HostName, by: String },
    /// Another run took over a lock of this run, for example because this run was silent for too long.
    #[error("{host}: the lock was taken over by run {holder} while this run was at work, so it stopped on every host")]
    Overtaken { host: HostName, holder: String },
    #[error("{host}: the lock could not be taken")]
    Host {
        host: HostName,
        #[source]
        source: Box<HostError>,
    },
    #[error("{host}: the lock could not be taken: {said}")]
    Refused { host: HostName, said: String },
}

/// The hosts that a run locks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The control-plane and etcd hosts, in the order in which they are locked one after another: of two runs that begin at the same moment, exactly
    /// one gets the first lock. Empty if the run changes none of these hosts.
    pub meeting: BTreeSet<HostName>,
    /// The hosts that the run changes.
    pub changed: BTreeSet<HostName>,
}

impl Wanted {
    /// The hosts to lock for a run that changes the hosts in `changed`. If one of them is a control-plane or etcd host, the other control-plane and
    /// etcd hosts are locked as well, unless they did not answer or have no ownership file: a lock writes files, and nothing may be written to such
    /// hosts.
    pub fn of(inv: &Inventory, changed: BTreeSet<HostName>, facts: &Facts) -> Wanted {
        let counted: BTreeSet<HostName> = inv.core_hosts().map(|h| h.name.clone()).collect();
        if counted.is_disjoint(&changed) {
            return Wanted { meeting: BTreeSet::new(), changed };
        }
        let marked = |h: &HostName| facts.hosts.get(h).is_some_and(|f| f.files.contains_key(layout::OWNERSHIP));
        Wanted { meeting: counted.into_iter().filter(|h| changed.contains(h) || marked(h)).collect(), changed }
    }
}

/// Takes the lock of every host in `wanted`, or fails and keeps none. If a lock is lost later, `stop` is set; see [`Locks::lost`]. A host that the
/// run does not change is skipped if it cannot be locked, unless another run is the reason; see [`Locks::passed_over`].
pub async fn acquire(
    hosts: &Hosts,
    wanted: &Wanted,
    run: &str,
    who: &str,
    facts: &Facts,
    stop: Arc<AtomicBool>,
) -> Result<Locks, LockError> {
    let (live, over) = watch::channel(());
    let mut locks = Locks { live: Some(live), holding: Vec::new(), lost: Arc::default(), passed_over: Vec::new() };
    let claim = |host: &Arc<dyn Host>| Claim { host: Arc::clone(host), run: run.into(), who: who.into(), over: over.clone() };
    for name in &wanted.meeting {
        let Some(host) = hosts.get(name) else { continue };
        let said = locks.hold(claim(host), &stop).await;
        match locks.check(name.clone(), said, facts) {
            Err(e @ (LockError::Host { .. } | LockError::Refused { .. })) if !wanted.changed.contains(name) => locks.passed_over.push(e),
            checked => checked?,
        }
    }
    let mut answers = BTreeMap::new();
    for name in wanted.changed.difference(&wanted.meeting) {
        let Some(host) = hosts.get(name) else { continue };
        answers.insert(name.clone(), locks.hold(claim(host), &stop));
    }
    for (host, answer) in answers {
        let said = answer.await;
        locks.check(host, said, facts)?;
    }
    Ok(locks)
}

enum Answer {
    Locked(String),
    Held(String),
    /// The lock was to be taken again, but this run has removed it from the host meanwhile, as `reset` does at its end.
    Gone,
    Said(String),
    Failed(HostError),
}

/// The claim of one run to the lock of one host.
struct Claim {
    host: Arc<dyn Host>,
    run: String,
    who: String,
    /// Closed once the lock is to be released.
    over: watch::Receiver<()>,
}

impl Claim {
    /// Sends the result of the first attempt to `first`, and holds the lock until it is released. Takes the lock again whenever the connection
    /// breaks, and sets `lost` and `stop` if another run has got it meanwhile.
    async fn hold(self, first: tokio::sync::oneshot::Sender<Answer>, stop: Arc<AtomicBool>, lost: Arc<OnceLock<LockError>>) {
        let (answer, mut end) = self.attempt("first").await;
        let held = matches!(answer, Answer::Locked(_));
        let _ = first.send(answer);
        while held && self.wanted() {
            // `lock.sh` exits when the lock is released, or before that if the connection breaks or the host goes down.
            if let Some(end) = end {
                let _ = end.await;
            }
            if !self.wanted() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
            let (answer, next) = self.attempt("again").await;
            match answer {
                Answer::Gone => return,
                Answer::Held(holder) => {
                    let _ = lost.set(LockError::Overtaken { host: self.host.name().clone(), holder });
                    return stop.store(true, Ordering::SeqCst);
                }
                _ => end = next,
            }
        }
    }

    fn wanted(&self) -> bool {
        self.over.has_changed().is_ok()
    }

    /// Starts `lock.sh` and reads its first line of output. If the script has got the lock, the task that waits for its exit is returned as well.
    async fn attempt(&self, attempt: &str) -> (Answer, Option<Ending>) {
        let (ticks, input) = mpsc::channel(4);
        let (tap, mut lines) = mpsc::channel::<Vec<u8>>(4);
        let mut cmd = Cmd::script(LOCK).arg("run", &self.run).arg("who", &self.who).arg("attempt", attempt);
        (cmd.timeout, cmd.stdin, cmd.tap) = (Duration::from_secs(24 * 3600), Stdin::Stream(input), Some(tap));
        let host = Arc::clone(&self.host);
        let mut end = tokio::spawn(async move { host.run(cmd).await });
        let ticking = tokio::spawn(tick(ticks, self.over.clone()));
        let mut text = Vec::new();
        while !text.contains(&b'\n') {
            match lines.recv().await {
                Some(chunk) => text.extend(chunk),
                None => {
                    ticking.abort();
                    let answer = match (&mut end).await {
                        Ok(Err(e)) => Answer::Failed(e),
                        Ok(Ok(out)) => Answer::Said(String::from_utf8_lossy(&out.stderr).trim().to_string()),
                        Err(_) => Answer::Said("the connection ended".into()),
                    };
                    return (answer, None);
                }
            }
        }
        let line = String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_string();
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match word {
            "locked" => {
                // The output after the first line is read and discarded.
                tokio::spawn(async move { while lines.recv().await.is_some() {} });
                (Answer::Locked(rest.to_string()), Some(end))
            }
            "held" => (Answer::Held(rest.to_string()), None),
            "gone" => (Answer::Gone, None),
            _ => (Answer::Said(line), None),
        }
    }
}

type Ending = tokio::task::JoinHandle<Result<Output, HostError>>;

/// Sends ticks until the lock is to be released or the receiver is closed. Then the input of `lock.sh` ends, so that it exits and frees the lock.
async fn tick(ticks: mpsc::Sender<Vec<u8>>, mut over: watch::Receiver<()>) {
    let mut every = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            _ = over.changed() => return,
            _ = every.tick() => {}
        }
        if ticks.send(b"\n".to_vec()).await.is_err() {
            return;
        }
    }
}

impl Locks {
    /// Starts a task that takes and holds the lock of one host. The returned future has the result of the first attempt.
    fn hold(&mut self, claim: Claim, stop: &Arc<AtomicBool>) -> impl Future<Output = Answer> + use<> {
        let (first, answer) = tokio::sync::oneshot::channel();
        self.holding.push(tokio::spawn(claim.hold(first, Arc::clone(stop), Arc::clone(&self.lost))));
        async { answer.await.unwrap_or_else(|_| Answer::Said("the connection ended".into())) }
    }

    fn check(&self, host: HostName, answer: Answer, facts: &Facts) -> Result<(), LockError> {
        match answer {
            Answer::Locked(previous) if previous == facts.host(&host).last_run => Ok(()),
            Answer::Locked(by) => Err(LockError::Changed { host, by }),
            Answer::Held(holder) => Err(LockError::Held { host, holder }),
            Answer::Gone => Err(LockError::Refused { host, said: "it is gone".into() }),
            Answer::Said(said) => Err(LockError::Refused { host, said }),
            Answer::Failed(source) => Err(LockError::Host { host, source: Box::new(source) }),
        }
    }

    /// Hosts of the control plane and of etcd that the run does not change and that could not be locked, each with the reason.
    pub fn passed_over(&self) -> &[LockError] {
        &self.passed_over
    }

    /// The first lock that this run has lost.
    pub fn lost(&self) -> Option<&LockError> {
        self.lost.get()
    }

    /// Releases all locks and waits until the hosts have released them.
    pub async fn release(mut self) {
        self.live = None;
        for h in std::mem::take(&mut self.holding) {
            // A host that does not answer any more frees its lock by itself after 30 s.
            let _ = tokio::time::timeout(Duration::from_secs(3), h).await;
        }
    }
}

/// The user and the machine of this run as `user@machine`, which is shown to an operator who waits for a lock of this run.
pub fn who() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "unknown".into());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{user}@{}", host.trim())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;

    /// A host whose `lock.sh` prints the lines in `says`, one per connection. Each connection breaks at once, except the last one, which stays open.
    struct Breaking {
        name: HostName,
        says: Mutex<Vec<&'static str>>,
        asked: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl Host for Breaking {
        fn name(&self) -> &HostName {
            &self.name
        }

        async fn run(&self, cmd: Cmd) -> Result<Output, HostError> {
            let (line, last) = {
                let mut says = self.says.lock().expect("nobody panicked");
                (says.remove(0), says.is_empty())
            };
            self.asked.lock().expect("nobody panicked").push(cmd.argv.last().cloned().unwrap_or_default());
            if let Some(tap) = cmd.tap {
                let _ = tap.send(format!("{line}\n").into_bytes()).await;
            }
            if let (Stdin::Stream(mut ticks), true) = (cmd.stdin, last) {
                while ticks.recv().await.is_some() {}
            }
            Err(HostError::Unreachable { address: self.name.clone(), source: None })
        }
    }

    fn breaking(name: &str, says: &[&'static str]) -> Arc<Breaking> {
        Arc::new(Breaking { name: name.into(), says: Mutex::new(says.to_vec()), asked: Mutex::default() })
    }

    fn changing(names: &[&str]) -> Wanted {
        Wanted { meeting: BTreeSet::new(), changed: names.iter().map(|n| n.to_string()).collect() }
    }

    async fn locked(says: &[&'static str]) -> (Arc<Breaking>, Locks, Arc<AtomicBool>) {
        let host = breaking("w1", says);
        let hosts: Hosts = [("w1".to_string(), Arc::clone(&host) as Arc<dyn Host>)].into();
        let lost = Arc::new(AtomicBool::new(false));
        let locks = acquire(&hosts, &changing(&["w1"]), "run", "me", &Facts::default(), Arc::clone(&lost)).await;
        (host, locks.unwrap_or_else(|e| panic!("{e}")), lost)
    }

    /// Takes the locks of a run that changes m2 and w1, but not the control-plane host m1. The arguments are what `lock.sh` prints on each host.
    /// Returns how often `lock.sh` was started on each host, and the result.
    async fn meets(m1: &'static str, m2: &'static str, w1: &'static str) -> (Vec<usize>, Result<Locks, LockError>) {
        let fleet = [breaking("m1", &[m1]), breaking("m2", &[m2]), breaking("w1", &[w1])];
        let hosts: Hosts = fleet.iter().map(|h| (h.name.clone(), Arc::clone(h) as Arc<dyn Host>)).collect();
        let mut wanted = changing(&["m2", "w1"]);
        wanted.meeting = ["m1", "m2"].map(String::from).into();
        let locks = acquire(&hosts, &wanted, "run", "me", &Facts::default(), Arc::default()).await;
        (fleet.iter().map(|h| h.asked.lock().expect("nobody panicked").len()).collect(), locks)
    }

    #[tokio::test]
    async fn a_run_meets_another_one_on_a_host_that_it_does_not_change() {
        let (asked, locks) = meets("held other since then", "locked ", "locked ").await;
        assert!(matches!(locks, Err(LockError::Held { host, .. }) if host == "m1"));
        assert_eq!(asked, [1, 0, 0], "nothing is locked after the first lock that is held");
        let (asked, locks) = meets("locked ", "held other since then", "locked ").await;
        assert!(matches!(locks, Err(LockError::Held { host, .. }) if host == "m2"));
        assert_eq!(asked, [1, 1, 0]);
        let (asked, locks) = meets("locked later", "locked ", "locked ").await;
        assert!(matches!(locks, Err(LockError::Changed { host, by }) if host == "m1" && by == "later"));
        assert_eq!(asked, [1, 0, 0]);
        let (asked, locks) = meets("locked ", "locked ", "locked ").await;
        assert!(locks.is_ok_and(|l| l.passed_over().is_empty()));
        assert_eq!(asked, [1, 1, 1]);
    }

    #[tokio::test]
    async fn a_host_that_cannot_be_locked_stops_a_run_only_where_the_run_changes_it() {
        let full = "mkdir: No space left on device";
        let (_, locks) = meets(full, "locked ", "locked ").await;
        let passed_over: Vec<String> = locks.iter().flat_map(|l| l.passed_over()).map(ToString::to_string).collect();
        assert_eq!(passed_over, [format!("m1: the lock could not be taken: {full}")]);
        for (m2, w1) in [(full, "locked "), ("locked ", full)] {
            assert!(matches!(meets("locked ", m2, w1).await.1, Err(LockError::Refused { .. })));
        }
    }

    async fn asked(host: &Breaking, times: usize) -> Vec<String> {
        for _ in 0..500 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let asked = host.asked.lock().expect("nobody panicked").clone();
            if asked.len() == times {
                return asked;
            }
        }
        panic!("the host was not asked {times} times");
    }

    /// Checks that a run whose `lock.sh` prints these lines asks for its lock once more, not again within `pause`, and loses no lock.
    async fn asked_once_more(says: &[&'static str], pause: Duration) {
        let (host, locks, stop) = locked(says).await;
        assert_eq!(asked(&host, 2).await, ["attempt=first", "attempt=again"]);
        tokio::time::sleep(pause).await;
        assert!(locks.lost().is_none());
        locks.release().await;
        assert!(!stop.load(Ordering::SeqCst));
        assert_eq!(host.asked.lock().expect("nobody panicked").len(), 2);
    }

    #[tokio::test]
    async fn a_lock_whose_connection_broke_is_held_again() {
        asked_once_more(&["locked ", "locked run"], Duration::ZERO).await;
    }

    #[tokio::test]
    async fn one_that_this_run_removed_is_let_go() {
        asked_once_more(&["locked ", "gone", "locked run"], PAUSE * 2).await;
    }

    #[tokio::test]
    async fn one_that_somebody_else_has_by_then_is_lost() {
        let (host, locks, stop) = locked(&["locked ", "held other since then"]).await;
        asked(&host, 2).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(stop.load(Ordering::SeqCst));
        let why = locks.lost().expect("it is known which").to_string();
        assert!(why.starts_with("w1: the lock was taken over by run other since then"), "{why}");
    }
}
