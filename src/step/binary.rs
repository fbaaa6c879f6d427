//! Places a program on a host. The host downloads the program and compares it with its published checksum, or copies it out of a container image.

use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, StepError, carry_out};
use crate::facts::Facts;
use crate::fenced;
use crate::host::{Cmd, Host, HostName};
use crate::layout;

/// A program that must be at a path.
#[derive(Clone, Debug)]
pub struct Binary {
    pub path: String,
    pub source: Source,
    /// Whether the program is only brought to [`layout::STAGED_DIR`], and a later step copies it to `path`. Until then, a restart of the service
    /// still starts the previous version.
    pub staged: bool,
}

impl Binary {
    /// The path of a staged program, until a later step copies it to `path`.
    fn staged_path(&self) -> String {
        format!("{}/{}", layout::STAGED_DIR, layout::basename(&self.path))
    }
}

/// Where a program comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The HTTP or HTTPS URL of the program. The checksum has the same URL with `.sha256` at its end.
    Url(String),
    /// The path of the program inside a container image that was already pulled to the host.
    Image { reference: String, path: String },
}

impl Source {
    /// The URL or the image reference. The host records it for the program, so that a later run knows whether the program is the wanted one.
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
        let cmd = Cmd::script(fenced!("lib/image_mount.sh", "steps/binary.sh"))
            .arg("run", run)
            .arg("path", to)
            .arg("kind", kind)
            .arg("source", self.source.origin())
            .arg("inner", inner)
            .arg("staged", &staged);
        carry_out(host, cmd.timeout(Duration::from_secs(1300)).with_proxies()).await
    }
}
