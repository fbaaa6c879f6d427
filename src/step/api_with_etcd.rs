//! Replaces the static pods of the API server and of etcd on a host in one transaction, so that the host is out of service once instead of twice.

use async_trait::async_trait;

use super::static_pod::swap;
use super::{Answers, StaticPod, Step, StepError, carry_out};
use crate::facts::Facts;
use crate::host::{Host, HostName};

/// The static pods that are to be replaced: at least one of the two. `None` for a static pod that is not replaced.
#[derive(Clone, Debug)]
pub struct ApiWithEtcd {
    pub etcd: Option<StaticPod>,
    pub api: Option<StaticPod>,
}

impl ApiWithEtcd {
    /// The static pods that are to be replaced, in the order in which the operator sees them: etcd first.
    pub fn pods(&self) -> impl Iterator<Item = &StaticPod> {
        self.etcd.iter().chain(&self.api)
    }

    /// Turns the step into [`Step::StaticPod`] if only one of the two static pods is to be replaced. If that one is etcd, the API server keeps
    /// running.
    pub(super) fn reduced(self) -> Step {
        match self {
            ApiWithEtcd { etcd: Some(pod), api: None } | ApiWithEtcd { etcd: None, api: Some(pod) } => Step::StaticPod(pod),
            both => Step::ApiWithEtcd(both),
        }
    }
}

#[async_trait]
impl Answers for ApiWithEtcd {
    fn title(&self) -> String {
        let names: Vec<String> = self.pods().map(|p| format!("{} ({})", p.component, p.runs.image)).collect();
        format!("run static pods {}", names.join(" and "))
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        let pending = |pod: &Option<StaticPod>| pod.as_ref().and_then(|p| p.pending(host, facts));
        let (etcd, api) = (pending(&self.etcd), pending(&self.api));
        (etcd.is_some() || api.is_some()).then_some(ApiWithEtcd { etcd, api })
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        self.pods().for_each(|p| p.predict(host, facts));
    }

    fn diff(&self, host: &HostName, facts: &Facts) -> String {
        self.pods().map(|p| format!("{}:\n{}", p.component, p.diff(host, facts))).collect()
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let (Some(etcd), Some(api)) = (&self.etcd, &self.api) else {
            for pod in self.pods() {
                pod.apply(host, run).await?;
            }
            return Ok(());
        };
        carry_out(host, swap(host, run, api, Some(etcd))).await
    }
}
