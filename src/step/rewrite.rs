//! Rewrites stored objects through the API, so that they are stored as the API server writes now, and checks in etcd that no other value is left.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, StepError, carry_out, on_api};
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Cmd, Host, HostName};

/// The limit of a rewrite. 10,000 Secrets take a few minutes on two cores.
const LIMIT: Duration = Duration::from_secs(4 * 3600);
/// The limit of the check.
const CHECK: Duration = Duration::from_secs(1800);

/// Every object of these resources is read and written again through the API server at `address`.
#[derive(Clone, Debug)]
pub struct Rewrite {
    /// Address of the API server on the host of the step.
    pub address: IpAddr,
    /// The beginning of the values of each resource afterwards.
    pub resources: BTreeMap<String, String>,
    /// Whether everything is rewritten even if all values begin as they should.
    pub anew: bool,
}

/// etcd has no value of these resources that begins in another way. The values are counted by the host's own member.
#[derive(Clone, Debug)]
pub struct Encoded {
    pub resources: BTreeMap<String, String>,
}

/// The number of values of these resources that begin in another way; `None` if it is not known.
fn others(resources: &BTreeMap<String, String>, facts: &Facts) -> Option<u64> {
    let stored = facts.stored()?;
    let of = |(resource, prefix): (&String, &String)| {
        let counts = stored.get(resource)?;
        Some(counts.iter().filter(|(begins, _)| *begins != prefix).map(|(_, n)| n).sum::<u64>())
    };
    resources.iter().map(of).sum()
}

fn names(resources: &BTreeMap<String, String>) -> String {
    resources.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[async_trait]
impl Answers for Rewrite {
    fn title(&self) -> String {
        format!("rewrite all {}", names(&self.resources))
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        let anew = self.anew && !facts.ledger.host(host).done_once.contains(&self.title());
        (anew || others(&self.resources, facts) != Some(0)).then(|| self.clone())
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        facts.ledger.host_mut(host).done_once.insert(self.title());
        facts.ledger.unchecked_values.extend(self.resources.keys().cloned());
        for stored in facts.hosts.values_mut().filter_map(|f| f.stored.as_mut()) {
            for (resource, prefix) in &self.resources {
                let all = stored.get(resource).map_or(0, |counts| counts.values().sum());
                stored.insert(resource.clone(), [(prefix.clone(), all)].into());
            }
        }
    }

    fn diff(&self, _host: &HostName, facts: &Facts) -> String {
        let lines = self.resources.iter().map(|(resource, prefix)| {
            let (one, wanted) = ([(resource.clone(), prefix.clone())].into(), prefix);
            let count = others(&one, facts).map_or("an unknown number of".into(), |n| n.to_string());
            format!("{count} values of {resource} are not stored as {wanted}\n")
        });
        lines.collect()
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let cmd = on_api(fenced!("lib/admin.sh", "lib/kubectl.sh", "steps/rewrite.sh"), run, self.address);
        carry_out(host, cmd.words(self.resources.keys()).timeout(LIMIT)).await
    }
}

#[async_trait]
impl Answers for Encoded {
    fn title(&self) -> String {
        format!("check that all stored {} have been rewritten", names(&self.resources))
    }

    fn pending(&self, _host: &HostName, facts: &Facts) -> Option<Self> {
        self.resources.keys().any(|r| facts.ledger.unchecked_values.contains(r)).then(|| self.clone())
    }

    fn predict(&self, _host: &HostName, facts: &mut Facts) {
        facts.ledger.unchecked_values.retain(|r| !self.resources.contains_key(r));
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let words = self.resources.iter().map(|(resource, prefix)| format!("{resource} {prefix}"));
        let cmd = Cmd::script(fenced!("lib/etcdctl.sh", "lib/encodings.sh", "steps/encoded.sh")).arg("run", run);
        carry_out(host, cmd.words(words).timeout(CHECK)).await
    }
}
