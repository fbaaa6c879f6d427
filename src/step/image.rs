//! Pulls container images to a host before any other step needs them.

use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, StepError, carry_out, missing};
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Cmd, Host, HostName};

/// The container images that the host must have, by reference.
#[derive(Clone, Debug)]
pub struct Image {
    pub references: Vec<String>,
}

#[async_trait]
impl Answers for Image {
    fn title(&self) -> String {
        format!("pull {}", self.references.join(" "))
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        missing(&self.references, |r| facts.host(host).images.contains(r)).map(|references| Image { references })
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        facts.host_mut(host).images.extend(self.references.iter().cloned());
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let cmd = Cmd::script(fenced!("lib/forget_image.sh", "steps/images.sh")).arg("run", run).words(&self.references);
        carry_out(host, cmd.timeout(Duration::from_secs(1800)).with_proxies()).await
    }
}
