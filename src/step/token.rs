//! The bootstrap token of one run: created when a host needs it, given to the host, and deleted afterwards.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;

use super::{Answers, KUBECTL, StepError, carry_out, on_api};
use crate::facts::{ClusterFacts, Facts, FileFact, FileKind};
use crate::fenced;
use crate::host::{Host, HostName, Secret};
use crate::layout;

/// The content that a prediction gives to the file of a kubelet's client certificate, because the kubelet requests the certificate only when it
/// joins.
pub const YET_TO_GET: &str = "made by the kubelet";

/// Whether the kubelet of a host has a client certificate. An earlier step of the plan has removed a certificate that is not usable any more, so any
/// existing one is enough.
fn has_identity(host: &str, facts: &Facts) -> bool {
    facts.host(host).resolved(layout::KUBELET_CLIENT_CURRENT).is_some()
}

/// The lifetime of a token that a run creates for joining hosts: longer than any join takes, and too short to be worth stealing.
pub const LIFE: Duration = Duration::from_secs(15 * 60);

/// The Secret of a token with an expiration that is counted from now and not from the time of the plan: since then, the run may have pulled images
/// for longer than the lifetime.
fn lasting(object: &Secret) -> Secret {
    let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(object.expose()) else { return object.clone() };
    let expires = format!("{:.0}", jiff::Timestamp::now() + LIFE);
    value["data"]["expiration"] = base64::engine::general_purpose::STANDARD.encode(expires).into();
    value.to_string().into()
}

/// A bootstrap token that is to exist in the cluster.
#[derive(Clone, Debug)]
pub struct Token {
    /// The address of the API server that runs on the host of the step.
    pub address: IpAddr,
    /// The token ID, which is the public part of the token.
    pub id: String,
    /// The Secret object as JSON.
    pub object: Secret,
    pub purpose: Purpose,
}

/// What a bootstrap token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The operator requested the token and passes it on; the token is created regardless of the state of the hosts.
    Operator,
    /// These hosts join with the token. It is created only while the kubelet of at least one of them has no client certificate.
    Hosts(Vec<HostName>),
}

impl Token {
    /// The token for those of its hosts that are among `hosts`; `None` if there is no such host.
    pub fn only_for(mut self, hosts: &[HostName]) -> Option<Token> {
        if let Purpose::Hosts(joining) = &mut self.purpose {
            joining.retain(|h| hosts.contains(h));
            if joining.is_empty() {
                return None;
            }
        }
        Some(self)
    }
}

#[async_trait]
impl Answers for Token {
    fn title(&self) -> String {
        match &self.purpose {
            Purpose::Operator => format!("make bootstrap token {}", self.id),
            Purpose::Hosts(hosts) => format!("make a bootstrap token for {}", hosts.join(" ")),
        }
    }

    fn pending(&self, _host: &HostName, facts: &Facts) -> Option<Self> {
        let made = facts.cluster.as_ref().is_some_and(|c| c.run_tokens.contains(&self.id));
        let purpose = match &self.purpose {
            Purpose::Operator => Purpose::Operator,
            Purpose::Hosts(hosts) => {
                let joining: Vec<HostName> = hosts.iter().filter(|h| !has_identity(h, facts)).cloned().collect();
                if joining.is_empty() {
                    return None;
                }
                Purpose::Hosts(joining)
            }
        };
        (!made).then(|| Token { purpose, ..self.clone() })
    }

    fn predict(&self, _host: &HostName, facts: &mut Facts) {
        facts.cluster.get_or_insert_default().run_tokens.insert(self.id.clone());
        facts.cluster.get_or_insert_default().tokens.insert(self.id.clone());
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let mut cmd = on_api(fenced!("lib/kubectl.sh", "steps/objects.sh"), run, self.address);
        let object = match self.purpose {
            Purpose::Operator => self.object.clone(),
            Purpose::Hosts(_) => lasting(&self.object),
        };
        cmd.stdin = crate::host::Stdin::Bytes(object);
        carry_out(host, cmd.timeout(KUBECTL)).await
    }
}

/// The tokens to delete.
#[derive(Clone, Debug)]
pub enum Ids {
    /// The tokens that runs of clusterctl created; `pending` fills in their IDs from the facts.
    OfRuns,
    These(Vec<String>),
}

/// Tokens that must not exist.
#[derive(Clone, Debug)]
pub struct TokensGone {
    /// Address of the API server on the host of the step.
    pub address: IpAddr,
    /// The IDs of the tokens to delete.
    pub ids: Ids,
}

#[async_trait]
impl Answers for TokensGone {
    fn title(&self) -> String {
        match &self.ids {
            Ids::OfRuns => "delete the bootstrap tokens of finished runs".into(),
            Ids::These(ids) => format!("delete {} bootstrap token{}", ids.len(), if ids.len() == 1 { "" } else { "s" }),
        }
    }

    fn pending(&self, _host: &HostName, facts: &Facts) -> Option<Self> {
        let there = |set: fn(&ClusterFacts) -> &BTreeSet<String>| facts.cluster.as_ref().map(set).into_iter().flatten();
        let ids: Vec<String> = match &self.ids {
            Ids::OfRuns => there(|c| &c.run_tokens).cloned().collect(),
            Ids::These(ids) => there(|c| &c.tokens).filter(|t| ids.contains(t)).cloned().collect(),
        };
        (!ids.is_empty()).then_some(TokensGone { ids: Ids::These(ids), address: self.address })
    }

    fn predict(&self, _host: &HostName, facts: &mut Facts) {
        if let (Some(cluster), Ids::These(ids)) = (&mut facts.cluster, &self.ids) {
            cluster.run_tokens.retain(|id| !ids.contains(id));
            cluster.tokens.retain(|id| !ids.contains(id));
        }
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        // `pending` replaces `Ids::OfRuns` by the IDs, so a step that still has it was never compared with facts and deletes nothing.
        let Ids::These(ids) = &self.ids else { return Ok(()) };
        let cmd = on_api(fenced!("lib/kubectl.sh", "steps/delete_tokens.sh"), run, self.address).words(ids);
        carry_out(host, cmd.timeout(KUBECTL)).await
    }
}

/// Writes the bootstrap kubeconfig with which a kubelet joins, unless the kubelet already has a client certificate.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// The content of bootstrap-kubelet.conf, with the token.
    pub kubeconfig: Secret,
}

#[async_trait]
impl Answers for Bootstrap {
    fn title(&self) -> String {
        "hand over the bootstrap token".into()
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        (!has_identity(host, facts)).then(|| self.clone())
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        let f = facts.host_mut(host);
        let file = |content: &Secret| FileFact { kind: FileKind::File(content.clone()), mode: 0o600, uid: 0, gid: 0 };
        f.files.insert(layout::BOOTSTRAP_KUBELET_CONF.into(), file(&self.kubeconfig));
        f.files.insert(layout::KUBELET_CLIENT_CURRENT.into(), file(&Secret::from(YET_TO_GET)));
        f.units.entry("kubelet".into()).or_default().stamp.clear();
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let file = super::File {
            path: layout::BOOTSTRAP_KUBELET_CONF.into(),
            content: super::Content::Bytes(self.kubeconfig.clone()),
            mode: 0o600,
            secret: true,
            unit: Some("kubelet"),
            check: None,
        };
        vec![file].apply(host, run).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_life_of_a_token_begins_when_it_is_made() {
        let planned = Secret::from(r#"{"kind": "Secret", "data": {"expiration": "MjAyMC0wMS0wMVQwMDowMDowMFo=", "token-id": "YQ=="}}"#);
        let object: serde_json::Value = serde_json::from_slice(lasting(&planned).expose()).expect("it is JSON");
        let expires = base64::engine::general_purpose::STANDARD.decode(object["data"]["expiration"].as_str().expect("it is text"));
        let expires: jiff::Timestamp =
            String::from_utf8(expires.expect("it is base64")).expect("it is text").parse().expect("it is a time");
        let left = expires.duration_since(jiff::Timestamp::now()).as_secs();
        assert!((14 * 60..=15 * 60).contains(&left), "{left} s are left");
        assert_eq!(object["data"]["token-id"], "YQ==");
    }
}
