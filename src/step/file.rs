//! Writes files, links and folders. New content is written to a temporary file in the same folder, checked, synced and renamed to its path, so that
//! no path ever has incomplete content.

use std::time::Duration;

use async_trait::async_trait;

use super::static_pod::reader;
use super::unit::KUBELET;
use super::{Answers, StepError, carry_out, missing, short_digest, text_diff};
use crate::facts::{Facts, FileFact, FileKind};
use crate::fenced;
use crate::host::{Cmd, Host, HostName, Secret};
use crate::layout;

/// A file, link or folder as it should be on the host. The owner is always root.
#[derive(Clone, Debug)]
pub struct File {
    pub path: String,
    pub content: Content,
    /// Permission bits; ignored for links.
    pub mode: u32,
    /// Whether the content is secret, so that only its digest is shown.
    pub secret: bool,
    /// The systemd unit that must be restarted before a change takes effect; `None` if no unit must be restarted.
    pub unit: Option<&'static str>,
    /// The program that must accept the content before the file is renamed to its path; `None` if no program checks it.
    pub check: Option<Check>,
}

/// The desired content of a path.
#[derive(Clone, Debug)]
pub enum Content {
    Bytes(Secret),
    Link(String),
    Folder,
}

/// Programs that check their own configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    Haproxy,
    Nginx,
    Keepalived,
}

impl Check {
    fn name(self) -> &'static str {
        match self {
            Check::Haproxy => "haproxy",
            Check::Nginx => "nginx",
            Check::Keepalived => "keepalived",
        }
    }
}

impl File {
    /// A readable configuration file, mode 0644.
    pub fn text(path: impl Into<String>, content: impl Into<String>) -> Self {
        File {
            path: path.into(),
            content: Content::Bytes(Secret::from(content.into())),
            mode: 0o644,
            secret: false,
            unit: None,
            check: None,
        }
    }

    /// A symbolic link.
    pub fn link(path: impl Into<String>, target: impl Into<String>) -> Self {
        File { path: path.into(), content: Content::Link(target.into()), mode: 0o777, secret: false, unit: None, check: None }
    }

    /// A folder with these permission bits.
    pub fn folder(path: impl Into<String>, mode: u32) -> Self {
        File { path: path.into(), content: Content::Folder, mode, secret: false, unit: None, check: None }
    }

    /// Sets the permission bits.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Sets the unit that must be restarted after a change of the file.
    pub fn unit(mut self, unit: &'static str) -> Self {
        self.unit = Some(unit);
        self
    }

    /// Sets the program that must accept the content before the file is renamed to its path.
    pub fn check(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }

    fn wanted(&self) -> FileFact {
        let kind = match &self.content {
            Content::Bytes(bytes) => FileKind::File(bytes.clone()),
            Content::Link(target) => FileKind::Link(target.clone()),
            Content::Folder => FileKind::Directory,
        };
        FileFact { kind, mode: self.mode, uid: 0, gid: 0 }
    }

    fn holds(&self, host: &HostName, facts: &Facts) -> bool {
        match (facts.host(host).files.get(&self.path), &self.content) {
            (Some(FileFact { kind: FileKind::Link(now), .. }), Content::Link(target)) => now == target,
            (Some(now), _) => *now == self.wanted(),
            (None, _) => false,
        }
    }

    fn line(&self) -> String {
        let (kind, size) = match &self.content {
            Content::Bytes(b) => ("f", b.expose().len()),
            Content::Link(target) => ("l", target.len()),
            Content::Folder => ("d", 0),
        };
        format!("{kind} {:o} {size} {} {} {}\n", self.mode, self.unit.unwrap_or("-"), self.check.map_or("-", Check::name), self.path)
    }

    fn describe(&self, host: &HostName, facts: &Facts) -> String {
        let now = facts.host(host).files.get(&self.path);
        let mut out = match (now.map(|n| &n.kind), &self.content) {
            (None, Content::Folder) => format!("new folder {} ({:o})\n", self.path, self.mode),
            (None, Content::Link(t)) => format!("new link {} -> {t}\n", self.path),
            (_, Content::Link(t)) => format!("link {} -> {t}\n", self.path),
            (None, Content::Bytes(b)) if self.secret => format!("new {} ({:o}, {})\n", self.path, self.mode, short_digest(b.expose())),
            (None, Content::Bytes(b)) => {
                format!("new {} ({:o})\n{}", self.path, self.mode, text_diff("", &String::from_utf8_lossy(b.expose())))
            }
            (Some(FileKind::File(a)), Content::Bytes(b)) if a == b => String::new(),
            (Some(FileKind::File(a)), Content::Bytes(b)) if self.secret => {
                format!("changed {} ({} -> {})\n", self.path, short_digest(a.expose()), short_digest(b.expose()))
            }
            (Some(FileKind::File(a)), Content::Bytes(b)) => {
                format!("changed {}\n{}", self.path, text_diff(&String::from_utf8_lossy(a.expose()), &String::from_utf8_lossy(b.expose())))
            }
            (Some(FileKind::Directory), Content::Folder) => String::new(),
            (Some(_), _) => format!("{} becomes another kind of file\n", self.path),
        };
        if let Some(n) = now
            && !matches!(self.content, Content::Link(_))
            && (n.mode, n.uid, n.gid) != (self.mode, 0, 0)
        {
            out += &format!("mode of {}: {:o} {}:{} -> {:o} 0:0\n", self.path, n.mode, n.uid, n.gid, self.mode);
        }
        out
    }
}

#[async_trait]
impl Answers for Vec<File> {
    fn title(&self) -> String {
        match self.as_slice() {
            [one] => format!("write {}", one.path),
            many => format!("write {} files: {}", many.len(), many.iter().map(|f| f.path.as_str()).collect::<Vec<_>>().join(" ")),
        }
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        missing(self, |f| f.holds(host, facts))
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        let f = facts.host_mut(host);
        for file in self {
            f.files.insert(file.path.clone(), file.wanted());
            if let Some(unit) = file.unit {
                f.units.entry(unit.into()).or_default().stamp.clear();
            }
            f.outdated.extend(reader(&file.path).filter(|component| f.pods.contains_key(*component)).map(String::from));
            // The host reports a kubelet as outdated if its first certificate is newer than its process; see observe.sh.
            if file.path == layout::KUBELET_CLIENT_INITIAL {
                f.outdated.insert(KUBELET.into());
            }
        }
        if self.iter().any(|file| file.path.starts_with(layout::PKI_DIR)) {
            facts.ledger.host_mut(host).new_certificates = true;
        }
    }

    fn diff(&self, host: &HostName, facts: &Facts) -> String {
        self.iter().map(|f| f.describe(host, facts)).collect()
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let mut input = Vec::new();
        for file in self {
            input.extend_from_slice(file.line().as_bytes());
            match &file.content {
                Content::Bytes(b) => input.extend_from_slice(b.expose()),
                Content::Link(target) => input.extend_from_slice(target.as_bytes()),
                Content::Folder => {}
            }
        }
        carry_out(host, Cmd::script(fenced!("steps/files.sh")).arg("run", run).stdin(input).timeout(Duration::from_secs(180))).await
    }
}
