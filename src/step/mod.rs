//! A step is data with four answers: its title, what is pending, what the facts become, and the one effect.
//!
//! The enum is closed; each variant has a file of its own. Nothing here knows in which order steps go.

use async_trait::async_trait;

use crate::facts::Facts;
use crate::host::{Cmd, Host, HostError, HostName};

pub mod absent;
pub mod accepts;
pub mod api_with_etcd;
pub mod binary;
pub mod clean;
pub mod command;
pub mod drain;
pub mod file;
pub mod image;
pub mod kept;
pub mod kernel;
pub mod member;
pub mod node_gone;
pub mod node_meta;
pub mod object;
pub mod package;
pub mod snapshot;
pub mod spare;
pub mod static_pod;
pub mod static_pods_gone;
pub mod stopped;
pub mod token;
pub mod unit;
pub mod wait;

pub use absent::Absent;
pub use accepts::Accepts;
pub use api_with_etcd::ApiWithEtcd;
pub use binary::Binary;
pub use clean::Clean;
pub use command::{Command, Reboot};
pub use drain::{Cordon, Drain, Uncordon};
pub use file::{Content, File};
pub use image::Image;
pub use kernel::Kernel;
pub use member::{Member, Standing};
pub use node_gone::NodeGone;
pub use node_meta::NodeMeta;
pub use object::Object;
pub use package::Package;
pub use snapshot::Snapshot;
pub use spare::Spare;
pub use static_pod::StaticPod;
pub use static_pods_gone::StaticPodsGone;
pub use stopped::Stopped;
pub use token::{Bootstrap, Ids, Token, TokensGone};
pub use unit::Unit;
pub use wait::Wait;

/// Status with which every script says that another run holds the lock.
pub const FENCED: i32 = 75;

/// One thing to bring about on one host.
#[derive(Clone, Debug)]
pub enum Step {
    /// Files, links and folders, written together, each whole or untouched.
    File(Vec<File>),
    Absent(Absent),
    Package(Package),
    Binary(Binary),
    Image(Image),
    Kernel(Kernel),
    Unit(Unit),
    Stopped(Stopped),
    StaticPod(StaticPod),
    ApiWithEtcd(ApiWithEtcd),
    StaticPodsGone(StaticPodsGone),
    Accepts(Accepts),
    Member(Member),
    Drain(Drain),
    Cordon(Cordon),
    Uncordon(Uncordon),
    Snapshot(Snapshot),
    Spare(Spare),
    Object(Object),
    NodeMeta(NodeMeta),
    NodeGone(NodeGone),
    Token(Token),
    TokensGone(TokensGone),
    Bootstrap(Bootstrap),
    Wait(Wait),
    Clean(Clean),
    Command(Command),
    Reboot(Reboot),
}

/// What every variant answers.
#[async_trait]
trait Answers: Sized + Into<Step> {
    /// One line for people; secrets as digests only.
    fn title(&self) -> String;
    /// What of it does not hold yet; `None` when its postcondition holds. Pure.
    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self>;
    /// What the facts become once it is done. Pure.
    fn predict(&self, host: &HostName, facts: &mut Facts);
    /// How the host differs now, as lines for people. Pure.
    fn diff(&self, _host: &HostName, _facts: &Facts) -> String {
        String::new()
    }
    /// The only effect. `run` is the id of the run that holds the locks.
    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError>;
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    #[error("the host could not be used")]
    Host(#[from] HostError),
    /// The host said no, in its own words.
    #[error("{said}")]
    Refused { status: i32, said: String },
    /// The lock belongs to another run now.
    #[error("{said}")]
    Fenced { said: String },
}

macro_rules! each {
    ($step:expr, $s:ident => $body:expr) => {
        match $step {
            Step::File($s) => $body,
            Step::Absent($s) => $body,
            Step::Package($s) => $body,
            Step::Binary($s) => $body,
            Step::Image($s) => $body,
            Step::Kernel($s) => $body,
            Step::Unit($s) => $body,
            Step::Stopped($s) => $body,
            Step::StaticPod($s) => $body,
            Step::ApiWithEtcd($s) => $body,
            Step::StaticPodsGone($s) => $body,
            Step::Accepts($s) => $body,
            Step::Member($s) => $body,
            Step::Drain($s) => $body,
            Step::Cordon($s) => $body,
            Step::Uncordon($s) => $body,
            Step::Snapshot($s) => $body,
            Step::Spare($s) => $body,
            Step::Object($s) => $body,
            Step::NodeMeta($s) => $body,
            Step::NodeGone($s) => $body,
            Step::Token($s) => $body,
            Step::TokensGone($s) => $body,
            Step::Bootstrap($s) => $body,
            Step::Wait($s) => $body,
            Step::Clean($s) => $body,
            Step::Command($s) => $body,
            Step::Reboot($s) => $body,
        }
    };
}

impl Step {
    /// One line for people.
    pub fn title(&self) -> String {
        each!(self, s => s.title())
    }

    /// The variant's name, for machines.
    pub fn kind(&self) -> &'static str {
        match self {
            Step::File(_) => "file",
            Step::Absent(_) => "absent",
            Step::Package(_) => "package",
            Step::Binary(_) => "binary",
            Step::Image(_) => "image",
            Step::Kernel(_) => "kernel",
            Step::Unit(_) | Step::Stopped(_) => "unit",
            Step::StaticPod(_) | Step::ApiWithEtcd(_) | Step::StaticPodsGone(_) => "static-pod",
            Step::Accepts(_) => "accepts",
            Step::Member(_) => "member",
            Step::Drain(_) => "drain",
            Step::Cordon(_) => "cordon",
            Step::Uncordon(_) => "uncordon",
            Step::Snapshot(_) => "snapshot",
            Step::Spare(_) => "spare",
            Step::Object(_) => "object",
            Step::NodeMeta(_) | Step::NodeGone(_) => "node",
            Step::Token(_) | Step::TokensGone(_) | Step::Bootstrap(_) => "token",
            Step::Wait(_) => "wait",
            Step::Clean(_) => "clean",
            Step::Command(_) => "command",
            Step::Reboot(_) => "reboot",
        }
    }

    /// The host it is carried out on where that is not the track's: what is asked of the API about a node goes through a control-plane host.
    pub fn on(&self) -> Option<&HostName> {
        match self {
            Step::Drain(s) => Some(&s.via),
            Step::Cordon(s) => Some(&s.via),
            Step::Uncordon(s) => Some(&s.via),
            Step::Wait(Wait::Backend { balancer, .. }) => Some(balancer),
            _ => None,
        }
    }

    /// The static pods that it sets going.
    pub fn static_pods(&self) -> Vec<&StaticPod> {
        match self {
            Step::StaticPod(pod) => vec![pod],
            Step::ApiWithEtcd(both) => both.pods().collect(),
            _ => vec![],
        }
    }

    /// Whether it changes what another host stands in for meanwhile, so that nothing on this one counts on it.
    pub fn has_standby(&self) -> bool {
        matches!(self, Step::StaticPod(s) if matches!(s.component, "kube-scheduler" | "kube-controller-manager"))
    }

    /// What of the step does not hold yet; `None` when its postcondition holds.
    pub fn pending(&self, host: &HostName, facts: &Facts) -> Option<Step> {
        each!(self, s => s.pending(host, facts).map(Into::into))
    }

    /// What the facts become once it is done.
    pub fn predict(&self, host: &HostName, facts: &mut Facts) {
        each!(self, s => s.predict(host, facts));
    }

    /// How the host differs from it now, as lines for people; empty when the title says it all.
    pub fn diff(&self, host: &HostName, facts: &Facts) -> String {
        each!(self, s => s.diff(host, facts))
    }

    /// Does it.
    pub async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        each!(self, s => s.apply(host, run).await)
    }
}

/// A mutating script with its fence, ready to run.
macro_rules! fenced {
    ($($file:literal),+) => {
        concat!(include_str!("../host/remote/fence.sh"), $(include_str!(concat!("../host/remote/", $file))),+)
    };
}
use fenced;

/// Runs a fenced script and turns its status into an answer.
async fn carry_out(host: &dyn Host, cmd: Cmd) -> Result<(), StepError> {
    let out = host.run(cmd).await?;
    let said = String::from_utf8_lossy(&out.stderr).trim().to_string();
    match out.status {
        0 => Ok(()),
        FENCED => Err(StepError::Fenced { said }),
        status if said.is_empty() => Err(StepError::Refused { status, said: format!("the host's script ended with status {status}") }),
        status => Err(StepError::Refused { status, said }),
    }
}

/// `sha256:` and the first twelve digits: enough to tell two contents apart, not enough to test guesses against a short secret's length.
fn short_digest(bytes: &[u8]) -> String {
    format!("sha256:{}", &digest(bytes)[..12])
}

/// Hex SHA-256.
pub fn digest(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// A unified diff without headers.
fn text_diff(old: &str, new: &str) -> String {
    let diff = similar::TextDiff::from_lines(old, new);
    diff.unified_diff().context_radius(1).to_string()
}

/// An address as it stands in a URL.
fn url_host(address: std::net::IpAddr) -> String {
    match address {
        std::net::IpAddr::V6(a) => format!("[{a}]"),
        std::net::IpAddr::V4(a) => a.to_string(),
    }
}
