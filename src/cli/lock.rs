//! One operator at a time: a lock on every host a run changes, held by a channel that lives as long as the run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::facts::Facts;
use crate::host::{Cmd, Host, HostError, HostName, Output, Stdin};
use crate::run::Hosts;

const LOCK: &str = include_str!("../host/remote/lock.sh");

/// The host gives a holder up after 30 s without a tick; six ticks fit in.
const TICK: Duration = Duration::from_secs(5);

/// A run holds its locks as long as this lives.
pub struct Locks {
    ticking: Vec<tokio::task::JoinHandle<()>>,
    holding: Vec<tokio::task::JoinHandle<()>>,
}

/// Why a run does not get its locks.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody is at work.
    #[error("{host} is locked by run {holder}")]
    Held { host: HostName, holder: String },
    /// Somebody changed the host after we looked and before we locked.
    #[error("{host} was changed by run {by} while this plan was made")]
    Changed { host: HostName, by: String },
    #[error("{host}: the lock could not be taken")]
    Host {
        host: HostName,
        #[source]
        source: Box<HostError>,
    },
    #[error("{host}: the lock could not be taken: {said}")]
    Refused { host: HostName, said: String },
}

/// Takes the lock of every host, or none. `stop` is set if one is lost later.
pub async fn acquire(
    hosts: &Hosts,
    names: &BTreeSet<HostName>,
    run: &str,
    who: &str,
    facts: &Facts,
    stop: Arc<AtomicBool>,
) -> Result<Locks, LockError> {
    let mut locks = Locks { ticking: Vec::new(), holding: Vec::new() };
    let mut answers = BTreeMap::new();
    for name in names {
        let Some(host) = hosts.get(name) else { continue };
        let (ticks, input) = mpsc::channel(4);
        let (tap, mut lines) = mpsc::channel::<Vec<u8>>(4);
        let mut cmd = Cmd::script(LOCK, [run, who]).timeout(Duration::from_secs(24 * 3600));
        (cmd.stdin, cmd.tap) = (Stdin::Stream(input), Some(tap));
        let (host, stop) = (Arc::clone(host), Arc::clone(&stop));
        let (ended, end) = tokio::sync::oneshot::channel();
        locks.holding.push(tokio::spawn(hold(host, cmd, ended)));
        locks.ticking.push(tokio::spawn(tick(ticks)));
        answers.insert(name.clone(), tokio::spawn(async move { first_answer(&mut lines, end, stop).await }));
    }
    for (host, answer) in answers {
        let said = answer.await.unwrap_or_else(|e| Answer::Said(e.to_string()));
        locks.check(host, said, facts)?;
    }
    Ok(locks)
}

enum Answer {
    Locked(String),
    Held(String),
    Said(String),
    Failed(HostError),
}

async fn hold(host: Arc<dyn Host>, cmd: Cmd, ended: tokio::sync::oneshot::Sender<Result<Output, HostError>>) {
    let _ = ended.send(host.run(cmd).await);
}

async fn tick(ticks: mpsc::Sender<Vec<u8>>) {
    let mut every = tokio::time::interval(TICK);
    loop {
        every.tick().await;
        if ticks.send(b"\n".to_vec()).await.is_err() {
            return;
        }
    }
}

/// The first line the host says; afterwards the end of the channel means that the lock is lost.
async fn first_answer(
    lines: &mut mpsc::Receiver<Vec<u8>>,
    end: tokio::sync::oneshot::Receiver<Result<Output, HostError>>,
    stop: Arc<AtomicBool>,
) -> Answer {
    let mut text = Vec::new();
    while !text.contains(&b'\n') {
        match lines.recv().await {
            Some(chunk) => text.extend(chunk),
            None => {
                return match end.await {
                    Ok(Err(e)) => Answer::Failed(e),
                    Ok(Ok(out)) => Answer::Said(String::from_utf8_lossy(&out.stderr).trim().to_string()),
                    Err(_) => Answer::Said("the connection ended".into()),
                };
            }
        }
    }
    let line = String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_string();
    let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
    match word {
        "locked" => {
            let previous = rest.to_string();
            tokio::spawn(async move {
                let _ = end.await;
                stop.store(true, Ordering::SeqCst);
            });
            Answer::Locked(previous)
        }
        "held" => Answer::Held(rest.to_string()),
        _ => Answer::Said(line),
    }
}

impl Locks {
    fn check(&self, host: HostName, answer: Answer, facts: &Facts) -> Result<(), LockError> {
        match answer {
            Answer::Locked(previous) if previous == facts.host(&host).last_run => Ok(()),
            Answer::Locked(by) => Err(LockError::Changed { host, by }),
            Answer::Held(holder) => Err(LockError::Held { host, holder }),
            Answer::Said(said) => Err(LockError::Refused { host, said }),
            Answer::Failed(source) => Err(LockError::Host { host, source: Box::new(source) }),
        }
    }

    /// Gives all locks back and waits until the hosts have let go.
    pub async fn release(mut self) {
        for t in &self.ticking {
            t.abort();
        }
        self.ticking.clear();
        for h in std::mem::take(&mut self.holding) {
            // A host that does not answer any more frees itself.
            let _ = tokio::time::timeout(Duration::from_secs(3), h).await;
        }
    }
}

impl Drop for Locks {
    fn drop(&mut self) {
        for t in &self.ticking {
            t.abort();
        }
    }
}
