//! Checks, before anything changes, whether the programs of static pods accept the flags with which they are to be started. The host runs each
//! program with these flags and `--help`, so that the program parses its flags and exits.

use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, StaticPod, StepError, carry_out, missing};
use crate::facts::{Facts, PodFact};
use crate::fenced;
use crate::host::{Cmd, Host, HostName};

/// The programs to check on one host: for each component, its image and its arguments.
#[derive(Clone, Debug)]
pub struct CheckFlags {
    pub programs: Vec<(&'static str, PodFact)>,
}

impl CheckFlags {
    /// The step that checks the flags of `pods`; `None` if there are no pods.
    pub fn of<'a>(pods: impl Iterator<Item = &'a StaticPod>) -> Option<Self> {
        let programs: Vec<_> = pods.map(|p| (p.component, p.runs.clone())).collect();
        (!programs.is_empty()).then_some(CheckFlags { programs })
    }
}

#[async_trait]
impl Answers for CheckFlags {
    fn title(&self) -> String {
        let names: Vec<&str> = self.programs.iter().map(|(component, _)| *component).collect();
        format!("check the flags of {}", names.join(", "))
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        let f = facts.host(host);
        let accepts = |(component, runs): &(&'static str, PodFact)| {
            let known = f.pods.get(*component).is_some_and(|now| f.runs_same(now, runs));
            known || facts.ledger.host(host).accepted.get(*component) == Some(runs)
        };
        missing(&self.programs, accepts).map(|programs| CheckFlags { programs })
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        let accepted = self.programs.iter().map(|(component, runs)| (component.to_string(), runs.clone()));
        facts.ledger.host_mut(host).accepted.extend(accepted);
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let mut input = String::new();
        for (_, runs) in &self.programs {
            let words = [&runs.image].into_iter().chain(&runs.argv);
            input.extend(words.map(|w| format!("{}\n", w.replace('\n', " "))));
            input.push('\n');
        }
        let cmd = Cmd::script(fenced!("lib/forget_image.sh", "lib/image_mount.sh", "steps/check_flags.sh")).arg("run", run).stdin(input);
        carry_out(host, cmd.timeout(Duration::from_secs(600)).with_proxies()).await
    }
}
