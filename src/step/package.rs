//! Packages that the host's package manager installs.

use std::time::Duration;

use async_trait::async_trait;

use super::{Answers, StepError, carry_out, missing};
use crate::facts::{Facts, HostFacts};
use crate::fenced;
use crate::host::{Cmd, Host, HostName};

/// Packages that must be installed, in any version.
#[derive(Clone, Debug)]
pub struct Package {
    pub names: Vec<String>,
}

/// Docker's package of containerd. It also contains runc and conflicts with the distribution's packages of both, so neither of them is installed on a
/// host that has it.
pub const CONTAINERD_IO: &str = "containerd.io";

/// Whether a package, or another one that provides the same programs, is installed.
fn is_installed(name: &str, facts: &HostFacts) -> bool {
    let by_docker = matches!(name, "containerd" | "runc") && facts.packages.contains(CONTAINERD_IO);
    by_docker || facts.packages.contains(name)
}

#[async_trait]
impl Answers for Package {
    fn title(&self) -> String {
        format!("install {}", self.names.join(" "))
    }

    fn pending(&self, host: &HostName, facts: &Facts) -> Option<Self> {
        missing(&self.names, |n| is_installed(n, facts.host(host))).map(|names| Package { names })
    }

    fn predict(&self, host: &HostName, facts: &mut Facts) {
        facts.host_mut(host).packages.extend(self.names.iter().cloned());
    }

    async fn apply(&self, host: &dyn Host, run: &str) -> Result<(), StepError> {
        let cmd = Cmd::script(fenced!("steps/packages.sh")).arg("run", run).words(&self.names);
        carry_out(host, cmd.timeout(Duration::from_secs(900)).with_proxies()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_containerd_of_docker_is_containerd_and_runc() {
        let step = Package { names: ["containerd", "runc", "conntrack"].map(String::from).to_vec() };
        let mut facts = Facts::default();
        facts.host_mut("w1").packages.insert(CONTAINERD_IO.into());
        assert_eq!(step.pending(&"w1".to_string(), &facts).expect("conntrack is missing").names, ["conntrack"]);
        facts.host_mut("w1").packages.remove(CONTAINERD_IO);
        assert_eq!(step.pending(&"w1".to_string(), &facts).expect("all are missing").names.len(), 3);
    }
}
