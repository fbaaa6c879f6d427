//! A step is data with five functions: its title, the part of it that is still to be done, the change of the facts, the difference that is shown to
//! the operator, and the execution.
//!
//! The enum [`Step`] is closed. A module contains one kind of step, or a few that are related. The order of steps is decided in `plan`.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;

use crate::facts::{Facts, url_host};
use crate::host::upload::UploadError;
use crate::host::{Cmd, Host, HostError, HostName, Output, Secret, Stdin};

pub mod absent;
pub mod api_with_etcd;
pub mod binary;
pub mod check_flags;
pub mod clean;
pub mod command;
pub mod compact;
pub mod defrag;
pub mod disarm;
pub mod drain;
pub mod file;
pub mod image;
pub mod kept;
pub mod kernel;
pub mod leader;
pub mod member;
pub mod node_gone;
pub mod node_meta;
pub mod object;
pub mod objects_gone;
pub mod package;
pub mod restore;
pub mod rewrite;
pub mod rollback_copy;
pub mod snapshot;
pub mod static_pod;
pub mod static_pods_gone;
pub mod stopped;
pub mod token;
pub mod unit;
pub mod wait;

pub use absent::Absent;
pub use api_with_etcd::ApiWithEtcd;
pub use binary::Binary;
pub use check_flags::CheckFlags;
pub use clean::Clean;
pub use command::{Command, Reboot};
pub use compact::Compact;
pub use defrag::Defrag;
pub use disarm::Disarm;
pub use drain::{Cordon, Drain, Uncordon};
pub use file::{Content, File};
pub use image::Image;
pub use kernel::Kernel;
pub use leader::MoveLeader;
pub use member::{Member, MemberState};
pub use node_gone::NodeGone;
pub use node_meta::NodeMeta;
pub use object::Object;
pub use objects_gone::ObjectsGone;
pub use package::Package;
pub use restore::Restore;
pub use rewrite::{Encoded, Rewrite};
pub use rollback_copy::RollbackCopy;
pub use snapshot::Snapshot;
pub use static_pod::StaticPod;
pub use static_pods_gone::StaticPodsGone;
pub use stopped::Stopped;
pub use token::{Bootstrap, Ids, Token, TokensGone};
pub use unit::Unit;
pub use wait::Wait;

/// The exit status of a script whose run no longer holds the lock.
pub const FENCED: i32 = 75;

/// The limit of a script that calls kubectl up to twice: each call is repeated for 30 s, and its last attempt takes at most 40 s; see `kubectl.sh`.
const KUBECTL: Duration = Duration::from_secs(180);

/// The time that a step needs at most for waiting until a transaction that an interrupted run began on this host has ended.
fn earlier(host: &dyn Host) -> Duration {
    host.wait_timeout() * 3 / 2
}

/// Makes the enum [`Step`] and its functions from the list of all kinds of steps: the variant, its data, and its name in JSON output.
macro_rules! steps {
    ($($(#[$about:meta])* $variant:ident($data:ty) => $kind:literal,)+) => {
        /// One change with a postcondition on one host.
        #[derive(Clone, Debug)]
        pub enum Step {
            $($(#[$about])* $variant($data),)+
        }

        $(impl From<$data> for Step {
            fn from(step: $data) -> Self {
                Step::$variant(step).reduced()
            }
        })+

        impl Step {
            /// The name of the variant in JSON output.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Step::$variant(_) => $kind,)+
                }
            }

            /// A title of one line for people.
            pub fn title(&self) -> String {
                match self {
                    $(Step::$variant(s) => s.title(),)+
                }
            }

            /// The part of the step that is still to be done; `None` if its postcondition holds.
            pub fn pending(&self, host: &HostName, facts: &Facts) -> Option<Step> {
                match self {
                    $(Step::$variant(s) => s.pending(host, facts).map(Into::into),)+
                }
            }

            /// Changes the facts to those after the step.
            pub fn predict(&self, host: &HostName, facts: &mut Facts) {
                match self {
                    $(Step::$variant(s) => s.predict(host, facts),)+
                }
            }

            /// How the host differs from the step's postcondition now, as lines for people; empty if the title contains everything.
            pub fn diff(&self, host: &HostName, facts: &Facts) -> String {
                match self {
                    $(Step::$variant(s) => s.diff(host, facts),)+
                }
            }

            /// Carries out the step.
            pub async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
                match self {
                    $(Step::$variant(s) => s.apply(host, run).await,)+
                }
            }
        }
    };
}

steps! {
    /// Files, links and folders that are written together. Each of them is written completely or not changed.
    File(Vec<File>) => "file",
    Absent(Absent) => "absent",
    Package(Package) => "package",
    Binary(Binary) => "binary",
    Image(Image) => "image",
    Kernel(Kernel) => "kernel",
    Unit(Unit) => "unit",
    Stopped(Stopped) => "unit",
    StaticPod(StaticPod) => "static-pod",
    ApiWithEtcd(ApiWithEtcd) => "static-pod",
    StaticPodsGone(StaticPodsGone) => "static-pod",
    CheckFlags(CheckFlags) => "check-flags",
    Member(Member) => "member",
    MoveLeader(MoveLeader) => "move-leader",
    Defrag(Defrag) => "defrag",
    Compact(Compact) => "compact",
    Disarm(Disarm) => "disarm",
    Drain(Drain) => "drain",
    Cordon(Cordon) => "cordon",
    Uncordon(Uncordon) => "uncordon",
    Snapshot(Snapshot) => "snapshot",
    Restore(Restore) => "restore",
    Rewrite(Rewrite) => "rewrite",
    Encoded(Encoded) => "rewrite",
    RollbackCopy(RollbackCopy) => "rollback-copy",
    Object(Object) => "object",
    ObjectsGone(ObjectsGone) => "object",
    NodeMeta(NodeMeta) => "node",
    NodeGone(NodeGone) => "node",
    Token(Token) => "token",
    TokensGone(TokensGone) => "token",
    Bootstrap(Bootstrap) => "token",
    Wait(Wait) => "wait",
    Clean(Clean) => "clean",
    Command(Command) => "command",
    Reboot(Reboot) => "reboot",
}

/// The functions of every variant.
#[async_trait]
trait Answers: Sized + Into<Step> {
    /// A title of one line for people; secrets appear as digests only.
    fn title(&self) -> String;
    /// The part of the step that is still to be done; `None` if its postcondition holds. Has no side effects.
    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self>;
    /// Changes the facts to those after the step. Has no side effects.
    fn predict(&self, host: &HostName, facts: &mut Facts);
    /// How the host differs from the step's postcondition now, as lines for people. Has no side effects.
    fn diff(&self, _host: &HostName, _facts: &Facts) -> String {
        String::new()
    }
    /// Carries out the step; the only function that changes a host. `run` is the ID of the run that holds the locks.
    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError>;
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    #[error("the host could not be used")]
    Host(#[from] HostError),
    /// The script failed; `said` is its standard error.
    #[error("{said}")]
    Refused { status: i32, said: String },
    /// The run has lost the lock of the host, so the script stopped.
    #[error("{said}")]
    Fenced { said: String },
}

impl From<UploadError> for StepError {
    fn from(error: UploadError) -> StepError {
        match error {
            UploadError::Host(e) => e.into(),
            UploadError::Refused { status: FENCED, said } => StepError::Fenced { said },
            UploadError::Refused { status, said } => StepError::Refused { status, said },
        }
    }
}

impl Step {
    /// The host on which the step runs, if that is not the host whose step it is: requests to the API about a node run on a control-plane host, and a
    /// wait for a load balancer runs on the host of the load balancer. `None` for every other step.
    pub fn on(&self) -> Option<&HostName> {
        match self {
            Step::Drain(s) => Some(&s.via),
            Step::Cordon(s) => Some(&s.via),
            Step::Uncordon(s) => Some(&s.via),
            Step::Wait(Wait::Backend(wait)) => Some(&wait.balancer),
            _ => None,
        }
    }

    /// The static pods that the step starts.
    pub fn static_pods(&self) -> Vec<&StaticPod> {
        match self {
            Step::StaticPod(pod) => vec![pod],
            Step::ApiWithEtcd(both) => both.pods().collect(),
            _ => vec![],
        }
    }

    /// Whether the step replaces only a scheduler or a controller manager, whose work an instance on another host can take over. Consecutive steps of
    /// this kind on one host run at the same time.
    pub fn has_standby(&self) -> bool {
        matches!(self, Step::StaticPod(s) if matches!(s.component, "kube-scheduler" | "kube-controller-manager"))
    }

    /// The same change as a simpler step if there is one; otherwise the step itself.
    fn reduced(self) -> Step {
        match self {
            Step::ApiWithEtcd(both) => both.reduced(),
            other => other,
        }
    }
}

/// A script that asks the API server at this address with kubectl; see `kubectl.sh`.
fn on_api(text: &'static str, run: &str, address: IpAddr) -> Cmd {
    Cmd::script(text).arg("run", run).arg("address", url_host(address))
}

/// Runs a script that was made with `fenced!` and converts its exit status into a result. Input is sent with its digest at the end, which
/// `take_input` compares.
async fn carry_out(host: &dyn Host, mut cmd: Cmd) -> Result<(), StepError> {
    if let Stdin::Bytes(content) = &cmd.stdin {
        cmd.stdin = Stdin::Bytes(with_digest(content.expose()));
    }
    failure_of(&host.run(cmd).await?).map_or(Ok(()), Err)
}

/// Why a script that was made with `fenced!` failed, by its exit status and its standard error. `None` if it succeeded.
pub fn failure_of(out: &Output) -> Option<StepError> {
    let said = String::from_utf8_lossy(&out.stderr).trim().to_string();
    match out.status {
        0 => None,
        FENCED => Some(StepError::Fenced { said }),
        status if said.is_empty() => Some(StepError::Refused { status, said: format!("the host's script ended with status {status}") }),
        status => Some(StepError::Refused { status, said }),
    }
}

/// The content, followed by a line with its SHA-256: a script that has read this line has read everything.
fn with_digest(content: &[u8]) -> Secret {
    let mut input = Vec::with_capacity(content.len() + 65);
    input.extend_from_slice(content);
    input.extend_from_slice(digest(content).as_bytes());
    input.push(b'\n');
    input.into()
}

/// The items for which `holds` is false, which are still to be done. `None` if there are none.
fn missing<T: Clone>(all: &[T], holds: impl Fn(&T) -> bool) -> Option<Vec<T>> {
    let left: Vec<T> = all.iter().filter(|item| !holds(item)).cloned().collect();
    (!left.is_empty()).then_some(left)
}

/// `sha256:` and the first twelve digits of the digest: enough to tell two contents apart. The whole digest of a secret is not shown.
fn short_digest(bytes: &[u8]) -> String {
    format!("sha256:{}", &digest(bytes)[..12])
}

/// The SHA-256 in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// A unified diff without headers.
fn text_diff(old: &str, new: &str) -> String {
    let diff = similar::TextDiff::from_lines(old, new);
    diff.unified_diff().context_radius(1).to_string()
}
