//! A program at its path: downloaded by the host with its published checksum, or taken out of an image.

use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, StepError, carry_out, fenced};
use crate::facts::Facts;
use crate::host::{Cmd, Host, HostName};
use crate::layout;

/// One program.
#[derive(Clone, Debug)]
pub struct Binary {
    pub path: String,
    pub source: Source,
    /// Whether the program is only brought to the host, apart from its path, to be put into place later: the program at the path must not start
    /// with another version by accident.
    pub staged: bool,
}

impl Binary {
    /// The path of the program until it is put into place.
    fn staged_path(&self) -> String {
        format!("{}/{}", layout::STAGED_DIR, layout::basename(&self.path))
    }
}

/// Where a program comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// http(s) URL with a `.sha256` file beside it.
    Url(String),
    /// A path inside an image that the runtime already has.
    Image { reference: String, path: String },
}

impl Source {
    /// The origin that the host records for the program.
    fn origin(&self) -> &str {
        match self {
            Source::Url(url) => url,
            Source::Image { reference, .. } => reference,
        }
    }
}

#[async_trait]
impl Answers for Binary {
    fn title(&self) -> String {
        match self.staged {
            true => format!("bring {} from {}", layout::basename(&self.path), self.source.origin()),
            false => format!("place {} from {}", self.path, self.source.origin()),
        }
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        let is_at = |path: &str| facts.host(host).binaries.get(path).map(String::as_str) == Some(self.source.origin());
        let there = is_at(&self.path) || (self.staged && is_at(&self.staged_path()));
        (!there).then(|| self.clone())
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        let all = &mut facts.host_mut(host).binaries;
        if self.staged {
            all.insert(self.staged_path(), self.source.origin().into());
        } else {
            all.insert(self.path.clone(), self.source.origin().into());
            if all.get(&self.staged_path()).map(String::as_str) == Some(self.source.origin()) {
                all.remove(&self.staged_path());
            }
        }
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let (kind, inner) = match &self.source {
            Source::Url(_) => ("url", ""),
            Source::Image { path, .. } => ("image", path.as_str()),
        };
        let staged = self.staged_path();
        let to = if self.staged { &staged } else { &self.path };
        let cmd = Cmd::script(fenced!("binary.sh"), [run, to, kind, self.source.origin(), inner, &staged]);
        carry_out(host, cmd.timeout(Duration::from_secs(1300)).with_proxies()).await
    }
}
