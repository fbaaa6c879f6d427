//! The bootstrap token of one run: made when a host needs it, handed over, deleted after.

use std::collections::BTreeSet;
use std::net::IpAddr;

use async_trait::async_trait;

use super::{Answers, Step, StepError, carry_out, fenced, url_host};
use crate::facts::{ClusterFacts, Facts, FileFact, FileKind};
use crate::host::{Cmd, Host, HostName, Secret};
use crate::layout;

/// Whether the kubelet of a host has its client certificate.
fn has_identity(host: &str, facts: &Facts) -> bool {
    facts.host(host).resolved(layout::KUBELET_CLIENT_CURRENT).is_some()
}

/// A bootstrap token in the cluster.
#[derive(Clone, Debug)]
pub struct Token {
    /// Address of the API server on the track's host.
    pub address: IpAddr,
    /// The public part.
    pub id: String,
    /// The Secret object, JSON.
    pub object: Secret,
    /// The hosts that join with it; none when it is for others to use.
    pub for_hosts: Vec<HostName>,
}

impl From<Token> for Step {
    fn from(step: Token) -> Self {
        Step::Token(step)
    }
}

#[async_trait]
impl Answers for Token {
    fn title(&self) -> String {
        match self.for_hosts.as_slice() {
            [] => format!("make bootstrap token {}", self.id),
            hosts => format!("make a bootstrap token for {}", hosts.join(" ")),
        }
    }

    fn pending(&self, _host: &HostName, facts: &Facts) -> Option<Self> {
        let made = facts.cluster.as_ref().is_some_and(|c| c.run_tokens.contains(&self.id));
        let for_hosts: Vec<HostName> = self.for_hosts.iter().filter(|h| !has_identity(h, facts)).cloned().collect();
        let wanted = self.for_hosts.is_empty() || !for_hosts.is_empty();
        (!made && wanted).then(|| Token { for_hosts, ..self.clone() })
    }

    fn predict(&self, _host: &HostName, facts: &mut Facts) {
        facts.cluster.get_or_insert_default().run_tokens.insert(self.id.clone());
        facts.cluster.get_or_insert_default().tokens.insert(self.id.clone());
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let mut cmd = Cmd::script(fenced!("kubectl.sh", "objects.sh"), [run, &url_host(self.address)]);
        cmd.stdin = crate::host::Stdin::Bytes(self.object.clone());
        carry_out(host, cmd).await
    }
}

/// Which tokens.
#[derive(Clone, Debug)]
pub enum Ids {
    /// Those of our runs; `pending` fills them in from the facts.
    OfRuns,
    These(Vec<String>),
}

/// These tokens are not there.
#[derive(Clone, Debug)]
pub struct TokensGone {
    /// Address of the API server on the track's host.
    pub address: IpAddr,
    /// Ids to delete.
    pub ids: Ids,
}

impl From<TokensGone> for Step {
    fn from(step: TokensGone) -> Self {
        Step::TokensGone(step)
    }
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
        // `pending` names them; a step that was never laid against facts has nothing to delete.
        let Ids::These(ids) = &self.ids else { return Ok(()) };
        let args = [run.to_string(), url_host(self.address)].into_iter().chain(ids.clone());
        carry_out(host, Cmd::script(fenced!("kubectl.sh", "delete_tokens.sh"), args)).await
    }
}

/// A kubelet's way in: the bootstrap kubeconfig, needed only until the kubelet has a certificate of its own.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// bootstrap-kubelet.conf, with the token.
    pub kubeconfig: Secret,
}

impl From<Bootstrap> for Step {
    fn from(step: Bootstrap) -> Self {
        Step::Bootstrap(step)
    }
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
        // The kubelet makes this of it; what exactly it holds is not known before.
        f.files.insert(layout::KUBELET_CLIENT_CURRENT.into(), file(&Secret::from("made by the kubelet")));
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
