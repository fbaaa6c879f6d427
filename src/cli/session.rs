//! The session of one verb: its inventory, the hosts that it reached, and the observation of these hosts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join;
use futures_util::stream::{self, StreamExt};
use serde_json::Value;
use tokio::sync::mpsc;

use super::logged::Logged;
use super::report::{Report, plural};
use super::stop::Stop;
use super::{Call, Global, connect, limit};
use crate::error::{Exit, Failure};
use crate::facts::cluster::{Answered, Questions};
use crate::facts::{self, Facts, HostFacts};
use crate::host::{Cmd, Host, HostError, HostName, Output};
use crate::inventory::{self, HostEntry, Inventory, KubeVersion, LoadBalancerKind, Parsed};
use crate::run::Hosts;
use crate::step::StepError;
use crate::versions::{self, Unsupported};

/// An inventory and connections to its hosts.
pub struct Session {
    pub inventory: Inventory,
    /// The hosts that were reached.
    pub hosts: Hosts,
    /// Why the other hosts were not reached; [`Session::unreachable`] takes these failures out.
    unreachable: Mutex<Vec<Failure>>,
    /// The hosts of `--limit`, or all, in the inventory's order.
    pub selected: Vec<HostName>,
    pub forks: usize,
    /// The value of `--wait-timeout`: how long a component that starts on a host may take until it is ready.
    pub wait_timeout: Duration,
    pub report: Report,
}

/// Which hosts to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All hosts of the inventory, regardless of `--limit`, because a plan depends on the state of the whole cluster.
    Everyone,
    /// Only the hosts of `--limit`.
    Selected,
    /// The control-plane hosts, regardless of `--limit`.
    Masters,
    /// The control-plane hosts and the hosts with an etcd member, regardless of `--limit`. A run that changes one of them locks all of them.
    MastersAndEtcd,
    /// The hosts with an etcd member, regardless of `--limit`.
    Etcd,
}

/// The result of an observation.
#[derive(Default)]
pub struct Observed {
    pub facts: Facts,
    /// The lists that the caller of [`Session::observe`] requested, by API path. A list is absent if the API does not know it or if its request
    /// failed; the reason of a failure is in `failures`.
    pub lists: BTreeMap<String, Value>,
    pub failures: Vec<Failure>,
    /// Whether an API server is ready, but a request to it failed. The reason is in `failures`.
    pub api_failed: bool,
}

/// Reads the inventory that `--inventory` names. The error has every fault of the inventory.
pub fn load(global: &Global) -> Result<Parsed, Stop> {
    read(global, &supported)
}

/// Reads the inventory for a verb that writes nothing that depends on the Kubernetes version: a version that is too new is a warning, not a
/// fault.
pub fn load_to_look(global: &Global, report: &Report) -> Result<Parsed, Stop> {
    let parsed = read(global, &supported_or_newer)?;
    if let Err(e) = versions::lookup(&parsed.inventory.cluster.version) {
        report.warning(format!("{e}: this verb works without knowing that version, and verbs that change the cluster refuse it"));
    }
    Ok(parsed)
}

fn read(global: &Global, supported: inventory::Supported) -> Result<Parsed, Stop> {
    let path = &global.inventory;
    let bytes = std::fs::read(path).map_err(|e| {
        let hint = "name the inventory with `-i FILE`, or write a new one with `clusterctl inventory new`";
        Stop::with(Exit::Inventory).error(format!("cannot read the inventory `{}`: {e}", path.display()), hint)
    })?;
    inventory::parse_bytes(&bytes, &path.display().to_string(), supported).map_err(Stop::faults)
}

/// Checks whether clusterctl supports a Kubernetes version; the error message names the supported versions.
pub fn supported(version: &KubeVersion) -> Result<(), String> {
    versions::lookup(version).map(drop).map_err(|e| e.to_string())
}

fn supported_or_newer(version: &KubeVersion) -> Result<(), String> {
    match versions::lookup(version) {
        Ok(_) | Err(Unsupported::TooNew(_)) => Ok(()),
        Err(e @ Unsupported::TooOld(_)) => Err(e.to_string()),
    }
}

/// The hosts of `--limit`, or all, in the inventory's order. The error has the names that no host has.
pub fn select(inventory: &Inventory, global: &Global) -> Result<Vec<HostName>, Stop> {
    limit::select(inventory, &global.limit).map_err(Stop::from)
}

impl Session {
    /// Reads the inventory and connects. An inventory or a limit that cannot be used is an error; hosts that cannot be reached are only recorded for
    /// [`Session::unreachable`], because some verbs can do without them.
    pub async fn open(call: &Call, reach: Reach) -> Result<Session, Stop> {
        Session::of(call, load(&call.global)?, reach).await
    }

    /// Reads the inventory and connects for a verb that also works with a Kubernetes version that is too new; see [`load_to_look`].
    pub async fn open_to_look(call: &Call, reach: Reach) -> Result<Session, Stop> {
        Session::of(call, load_to_look(&call.global, &call.report)?, reach).await
    }

    async fn of(call: &Call, parsed: Parsed, reach: Reach) -> Result<Session, Stop> {
        if reach == Reach::Everyone {
            call.report.warnings(&parsed.warnings);
        }
        Session::connect(call, parsed.inventory, reach).await
    }

    /// Connects to the hosts of `inventory` that `reach` selects.
    pub async fn connect(call: &Call, inventory: Inventory, reach: Reach) -> Result<Session, Stop> {
        let selected = select(&inventory, &call.global)?;
        let etcd: Vec<&str> = inventory.etcd_hosts().iter().map(|h| h.name.as_str()).collect();
        let wanted = |h: &&HostEntry| match reach {
            Reach::Everyone => true,
            Reach::Selected => selected.contains(&h.name),
            Reach::Masters => h.has(inventory::Role::ControlPlane),
            Reach::MastersAndEtcd => h.has(inventory::Role::ControlPlane) || etcd.contains(&h.name.as_str()),
            Reach::Etcd => etcd.contains(&h.name.as_str()),
        };
        let entries: Vec<&HostEntry> = inventory.hosts.iter().filter(wanted).collect();
        let busy = call.report.busy(&format!("connecting to {}", plural(entries.len(), "host")));
        let forks = call.global.forks.max(1);
        let wait_timeout = call.global.wait_timeout;
        let connected = connect::all(&inventory, &entries, forks, &call.report).await;
        drop(busy);
        let (mut hosts, mut unreachable) = (Hosts::new(), Vec::new());
        for (name, result) in connected {
            match result {
                Ok(host) => drop(hosts.insert(name, Arc::new(Logged { host, wait_timeout }))),
                Err(e) => unreachable.push(Failure::observing(name, e)),
            }
        }
        let unreachable = Mutex::new(unreachable);
        Ok(Session { inventory, hosts, unreachable, selected, forks, wait_timeout, report: call.report.clone() })
    }

    /// Observes the connected hosts, `forks` at a time, and at the same time the API through the first connected control-plane host. If the API
    /// server of this host is not ready or leaves a request without an answer, the other API servers that are ready are asked one after another, and
    /// the result with the fewest unanswered requests is used. `objects` are the objects to request by their names, and `lists` are API paths of
    /// lists to request in addition to the nodes and the bootstrap tokens.
    pub async fn observe(&self, objects: &[Value], lists: &[String]) -> Observed {
        let questions = Questions::new(objects, lists);
        let _busy = self.report.busy(&format!("looking at {}", plural(self.hosts.len(), "host")));
        let first = self.masters().next();
        let optimistic = async {
            match first {
                Some(master) => self.ask_api(master, &questions).await,
                None => Ok(None),
            }
        };
        let (looked, mut api) = join(self.look(), optimistic).await;
        let mut observed = Observed::default();
        for (name, result) in looked {
            match result {
                Ok(facts) => drop(observed.facts.hosts.insert(name, facts)),
                Err(failure) => observed.failures.push(failure),
            }
        }
        let serves = |m: &&HostEntry| observed.facts.hosts.get(&m.name).is_some_and(|f| f.api_version.is_some());
        // The first control-plane host is asked again only if its API server became ready between the two questions to this host.
        let asked = usize::from(!matches!(api, Ok(None)));
        for master in self.masters().skip(asked).filter(serves) {
            let open = unanswered(&api);
            if open == 0 {
                break;
            }
            let other = self.ask_api(master, &questions).await;
            if unanswered(&other) <= open {
                api = other;
            }
        }
        match api {
            Ok(Some((via, answered))) => {
                (observed.facts.cluster, observed.lists) = (answered.cluster, answered.lists);
                observed.api_failed = !answered.failed.is_empty();
                observed.failures.extend(answered.failed.into_iter().map(|said| not_told(&via, StepError::Refused { status: 0, said })));
            }
            Ok(None) => {}
            Err(failure) => {
                observed.api_failed = true;
                observed.failures.push(failure);
            }
        }
        observed
    }

    /// Returns why hosts were not reached, and forgets it, so that each failure is reported only once: a second call returns nothing.
    pub fn unreachable(&self) -> Vec<Failure> {
        std::mem::take(&mut self.unreachable.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The connected control-plane hosts, in the inventory's order.
    pub fn masters(&self) -> impl Iterator<Item = &HostEntry> {
        self.inventory.control_planes().filter(|h| self.hosts.contains_key(&h.name))
    }

    /// Runs each command on its host, `forks` at a time. The results are in the order of `commands`, without the hosts that are not connected.
    pub async fn each(&self, commands: Vec<(HostName, Cmd)>) -> Vec<(HostName, Result<Output, HostError>)> {
        let running = commands.into_iter().filter_map(|(name, cmd)| {
            let host = self.hosts.get(&name)?;
            Some(async move { (name, host.run(cmd).await) })
        });
        stream::iter(running).buffered(self.forks).collect().await
    }

    async fn look(&self) -> Vec<(HostName, Result<HostFacts, Failure>)> {
        let etcd: Vec<&str> = self.inventory.etcd_hosts().iter().map(|h| h.name.as_str()).collect();
        // An external load balancer is on no host of the inventory, so the nodes also check whether they reach the API through it.
        let external = (self.inventory.load_balancer.kind == LoadBalancerKind::External).then(|| self.inventory.endpoint_authority());
        let files: Vec<&str> = self.inventory.control_plane.files.iter().map(|f| f.path.as_str()).collect();
        let looking = self.inventory.hosts.iter().filter_map(|entry| {
            let host = self.hosts.get(&entry.name)?;
            let control_plane = entry.has(inventory::Role::ControlPlane) || etcd.contains(&entry.name.as_str());
            let files = if entry.has(inventory::Role::ControlPlane) { &files[..] } else { &[] };
            let cmd = facts::host::request(entry.node_address(), control_plane, external.as_deref().filter(|_| entry.is_node()), files);
            Some(async move { (entry.name.clone(), look_at(host.as_ref(), cmd).await) })
        });
        stream::iter(looking).buffered(self.forks).collect().await
    }

    /// Sends the requests to the API server of one host. `None` if the host is not connected, has no admin.conf, or has no API server that is ready.
    async fn ask_api(&self, master: &HostEntry, questions: &Questions) -> ApiAnswer {
        let Some(host) = self.hosts.get(&master.name) else { return Ok(None) };
        let failed = |source| not_told(&master.name, source);
        let out = host.run(questions.request(master.node_address())).await.map_err(|e| failed(e.into()))?;
        match out.status {
            0 => Ok(Some((master.name.clone(), questions.read(&master.name, &out)))),
            facts::cluster::NOT_SERVING => Ok(None),
            status => Err(failed(StepError::Refused { status, said: String::from_utf8_lossy(&out.stderr).trim().to_string() })),
        }
    }
}

/// The answers of one API server, with the name of its host; `None` if the API server is not ready.
type ApiAnswer = Result<Option<(HostName, Answered)>, Failure>;

/// The number of requests without an answer; `usize::MAX` if the API server did not answer at all.
fn unanswered(answer: &ApiAnswer) -> usize {
    match answer {
        Ok(Some((_, answered))) => answered.failed.len(),
        Ok(None) | Err(_) => usize::MAX,
    }
}

fn not_told(host: &HostName, source: StepError) -> Failure {
    Failure { host: host.clone(), phase: "observe".into(), step: "ask the API".into(), place: None, source }
}

async fn look_at(host: &dyn Host, mut cmd: Cmd) -> Result<HostFacts, Failure> {
    let name = host.name();
    // The host prints the time of its clock first, so it read the clock between the request and the first bytes of its output. The host's clock is
    // compared with the middle of this interval; the middle of the whole command would be too late. The empty chunk tells when the request was sent:
    // before that, the operator may have typed a password for minutes.
    let (tap, mut chunks) = mpsc::channel::<Vec<u8>>(64);
    cmd.tap = Some(tap);
    let mut asked = unix_seconds();
    let collect = async {
        let mut requested = None;
        let mut heard = None;
        let mut bytes = Vec::new();
        while let Some(chunk) = chunks.recv().await {
            let first = if chunk.is_empty() { &mut requested } else { &mut heard };
            first.get_or_insert_with(unix_seconds);
            bytes.extend(chunk);
        }
        (requested, heard, bytes)
    };
    let (ran, (requested, heard, bytes)) = join(host.run(cmd), collect).await;
    asked = requested.unwrap_or(asked);
    let out = ran.map_err(|e| Failure::observing(name.clone(), e))?;
    let refused = |status, said| Failure {
        host: name.clone(),
        phase: "observe".into(),
        step: "look at the host".into(),
        place: None,
        source: StepError::Refused { status, said },
    };
    if out.status != 0 {
        return Err(refused(out.status, String::from_utf8_lossy(&out.stderr).trim().to_string()));
    }
    let middle = asked + (heard.unwrap_or_else(unix_seconds) - asked) / 2.0;
    let stdout = if bytes.is_empty() { &out.stdout } else { &bytes };
    facts::host::parse(stdout, middle).map_err(|said| refused(0, said))
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;

    /// A host that takes a second until it requests the command, as while the operator types a password, and whose clock is right.
    struct Slow(HostName);

    #[async_trait]
    impl Host for Slow {
        fn name(&self) -> &HostName {
            &self.0
        }

        async fn run(&self, mut cmd: Cmd) -> Result<Output, HostError> {
            let tap = cmd.tap.take().expect("an observation has a tap");
            tokio::time::sleep(Duration::from_secs(1)).await;
            let answer = format!("clock {}\n\n@tar\n", unix_seconds()).into_bytes();
            for chunk in [Vec::new(), answer] {
                tap.send(chunk).await.expect("somebody listens");
            }
            Ok(Output { status: 0, stdout: Vec::new(), stderr: Vec::new() })
        }
    }

    #[tokio::test]
    async fn a_password_that_is_typed_slowly_is_no_wrong_clock() {
        let host = Slow("m1".into());
        let facts = look_at(&host, facts::host::request([192, 0, 2, 1].into(), true, None, &[])).await.expect("it answers");
        assert!(facts.clock_offset.abs() < 0.25, "{}", facts.clock_offset);
    }
}
