//! Waits for one exact condition, with one file per condition: this API server is ready at this version, this workload is rolled out.

use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, Step, StepError, carry_out};
use crate::facts::Facts;
use crate::host::{Cmd, Host, HostName};

mod api;
mod back;
mod backend;
mod endpoint;
mod node;
mod other_api;
mod quorum;
mod rollout;
mod serves;
mod settled;

pub use api::Api;
pub use back::Back;
pub use backend::Backend;
pub use endpoint::Endpoint;
pub use node::{Node, is_ready};
pub use other_api::OtherApi;
pub use quorum::Quorum;
pub use rollout::Rollout;
pub use serves::Serves;
pub use settled::Settled;

/// A condition that comes true by itself or not at all.
trait Condition {
    /// A title of one line for people.
    fn title(&self) -> String;
    /// Whether the facts show that the condition is true.
    fn holds(&self, host: &HostName, facts: &Facts) -> bool;
    /// Changes the facts to those after the wait.
    fn predict(&self, host: &HostName, facts: &mut Facts);
    /// The command that waits on the host, without its argument `run`. `whole` is the wait timeout of the host.
    fn command(&self, whole: Duration) -> Cmd;
    /// The limit of the script.
    fn limit(&self, whole: Duration) -> Duration {
        whole
    }
}

/// Makes the enum [`Wait`] and its functions from the list of all conditions.
macro_rules! waits {
    ($($condition:ident),+) => {
        /// What to wait for.
        #[derive(Clone, Debug)]
        pub enum Wait {
            $($condition($condition)),+
        }

        $(impl From<$condition> for Step {
            fn from(condition: $condition) -> Step {
                Step::Wait(Wait::$condition(condition))
            }
        })+

        impl Wait {
            fn condition(&self) -> &dyn Condition {
                match self {
                    $(Wait::$condition(condition) => condition),+
                }
            }
        }
    };
}

waits!(Api, Endpoint, Node, Quorum, Settled, Backend, Back, Rollout, OtherApi, Serves);

#[async_trait]
impl Answers for Wait {
    fn title(&self) -> String {
        self.condition().title()
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        (!self.condition().holds(host, facts)).then(|| self.clone())
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        self.condition().predict(host, facts);
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let (cmd, limit) = (self.condition().command(host.wait_timeout()), self.condition().limit(host.wait_timeout()));
        // The limit of the command is longer than that of the script, so that the script can still report why it gave up.
        carry_out(host, cmd.arg("run", run).timeout(limit + Duration::from_secs(60))).await
    }
}

/// The value of the argument `want` of the scripts that wait for a node: whether the node must be Ready or only registered.
fn wanted(ready: bool) -> &'static str {
    if ready { "ready" } else { "registered" }
}
