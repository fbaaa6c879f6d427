//! Static pods that are removed when their host leaves the cluster.

use async_trait::async_trait;

use super::static_pod::removal;
use super::{Answers, StepError, carry_out, missing};
use crate::facts::Facts;
use crate::host::{Host, HostName};
use crate::layout;

/// Components whose manifests and processes must not exist any more.
#[derive(Clone, Debug)]
pub struct StaticPodsGone {
    pub components: Vec<&'static str>,
}

fn manifest(component: &str) -> String {
    format!("{}/{component}.yaml", layout::MANIFESTS_DIR)
}

#[async_trait]
impl Answers for StaticPodsGone {
    fn title(&self) -> String {
        format!("stop static pods {}", self.components.join(" "))
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        let f = facts.host(host);
        let gone = |c: &&str| !f.files.contains_key(&manifest(c)) && !f.pods.contains_key(*c);
        missing(&self.components, gone).map(|components| StaticPodsGone { components })
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        let f = facts.host_mut(host);
        for c in &self.components {
            f.files.remove(&manifest(c));
            f.pods.remove(*c);
        }
        f.api_version = None;
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        for component in &self.components {
            carry_out(host, removal(host, run, component)).await?;
        }
        Ok(())
    }
}
