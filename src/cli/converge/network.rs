//! Checks whether the hosts reach each other on the ports that the cluster needs, before anything is changed. Each host runs one command: first all
//! hosts listen, then all connect to each other, and then the commands end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Session;
use crate::facts::Facts;
use crate::facts::reach::{self, READY, TRIED};
use crate::host::{Cmd, Host, HostName, Stdin};
use crate::plan::Plan;
use crate::plan::refusals::{Refusal, network};

/// How long the check waits for the slowest host before it goes on without that host. The commands themselves end after two minutes.
const SLOWEST: Duration = Duration::from_secs(60);

/// Returns a refusal for each connection that the cluster needs and that is not possible, if one of its hosts is new. A host that cannot be asked is
/// left out.
pub(super) async fn blocked(session: &Session, plan: &Plan, facts: &Facts) -> Vec<Refusal> {
    let inv = &session.inventory;
    let questions = network::questions(inv, facts, &plan.hosts());
    if questions.is_empty() {
        return Vec::new();
    }
    let _busy = session.report.busy("seeing that the hosts reach each other");
    let talk = |(name, question): (&HostName, &reach::Question)| {
        let address = inv.host(name)?.node_address();
        Some((name.clone(), Talk::new(Arc::clone(session.hosts.get(name)?), reach::request(address, question))))
    };
    let mut talks: BTreeMap<HostName, Talk> = questions.iter().filter_map(talk).collect();
    join_all(talks.values_mut().map(|t| t.read_until(READY))).await;
    join_all(talks.values().map(|t| t.send("try"))).await;
    join_all(talks.values_mut().map(|t| t.read_until(TRIED))).await;
    let said = talks.iter().map(|(name, talk)| (name.clone(), reach::parse(&talk.said))).collect();
    if !network::refusals(inv, facts, &said).is_empty() {
        // Only now the hosts are asked for their firewalls, because reading the rules loads modules into the kernel.
        join_all(talks.values().map(|t| t.send("explain"))).await;
    }
    let ends = talks.into_iter().map(|(name, talk)| async { (name, reach::parse(&talk.end().await)) });
    network::refusals(inv, facts, &join_all(ends).await.into_iter().collect())
}

/// A command on a host that answers to lines on its input while it runs.
struct Talk {
    input: mpsc::Sender<Vec<u8>>,
    output: mpsc::Receiver<Vec<u8>>,
    /// Everything that the command has printed.
    said: String,
    running: tokio::task::JoinHandle<()>,
}

impl Talk {
    fn new(host: Arc<dyn Host>, mut cmd: Cmd) -> Self {
        let (input, lines) = mpsc::channel(4);
        let (tap, output) = mpsc::channel(4);
        (cmd.stdin, cmd.tap) = (Stdin::Stream(lines), Some(tap));
        let running = tokio::spawn(async move { drop(host.run(cmd).await) });
        Talk { input, output, said: String::new(), running }
    }

    /// Reads until the command prints the line `end`, or until its output ends, but not for longer than [`SLOWEST`].
    async fn read_until(&mut self, end: &str) {
        let reading = async {
            while !self.said.lines().any(|line| line == end) {
                let Some(chunk) = self.output.recv().await else { break };
                self.said.push_str(&String::from_utf8_lossy(&chunk));
            }
        };
        let _ = timeout(SLOWEST, reading).await;
    }

    /// Sends a line. A command that has ended does not read it.
    async fn send(&self, line: &str) {
        let _ = self.input.send(format!("{line}\n").into_bytes()).await;
    }

    /// Ends the input of the command and waits until the command has ended, so that nothing listens on the host any more. Returns everything that the
    /// command has printed.
    async fn end(self) -> String {
        let Talk { input, mut output, mut said, running } = self;
        drop(input);
        let reading = async {
            while let Some(chunk) = output.recv().await {
                said.push_str(&String::from_utf8_lossy(&chunk));
            }
        };
        let _ = timeout(SLOWEST, reading).await;
        let _ = timeout(SLOWEST, running).await;
        said
    }
}
