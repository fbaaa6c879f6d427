//! A program at its path: downloaded by the host with its published checksum, uploaded by us, or taken out of an image.

use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, Step, StepError, carry_out, fenced};
use crate::facts::Facts;
use crate::host::{Cmd, Host, HostName};

/// One program.
#[derive(Clone, Debug)]
pub struct Binary {
    pub path: String,
    pub source: Source,
}

/// Where a program comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// http(s) URL with a `.sha256` file beside it.
    Url(String),
    /// A path inside an image that the runtime has already.
    Image { reference: String, path: String },
}

impl Source {
    /// What the host remembers as its origin.
    fn origin(&self) -> &str {
        match self {
            Source::Url(url) => url,
            Source::Image { reference, .. } => reference,
        }
    }
}

impl From<Binary> for Step {
    fn from(step: Binary) -> Self {
        Step::Binary(step)
    }
}

#[async_trait]
impl Answers for Binary {
    fn title(&self) -> String {
        format!("place {} from {}", self.path, self.source.origin())
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        (facts.host(host).binaries.get(&self.path).map(String::as_str) != Some(self.source.origin())).then(|| self.clone())
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        facts.host_mut(host).binaries.insert(self.path.clone(), self.source.origin().into());
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let (kind, inner) = match &self.source {
            Source::Url(_) => ("url", ""),
            Source::Image { path, .. } => ("image", path.as_str()),
        };
        let cmd = Cmd::script(fenced!("binary.sh"), [run, &self.path, kind, self.source.origin(), inner]);
        carry_out(host, cmd.timeout(Duration::from_secs(900))).await
    }
}
