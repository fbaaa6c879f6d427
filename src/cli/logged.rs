//! A host whose commands are logged: program or script, status and time; never arguments, input or output.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use crate::host::{Cmd, Host, HostError, HostName, Output};

/// Head of every script that changes a host; what follows says the script's own job.
const FENCE: &str = include_str!("../host/remote/fence.sh");

/// Passes everything on.
pub struct Logged(pub Arc<dyn Host>);

#[async_trait]
impl Host for Logged {
    fn name(&self) -> &HostName {
        self.0.name()
    }

    async fn run(&self, cmd: Cmd) -> Result<Output, HostError> {
        let title = title(&cmd.argv);
        let begun = Instant::now();
        let result = self.0.run(cmd).await;
        let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &result {
            Ok(out) => tracing::debug!(host = self.name(), status = out.status, ms, "ran {title}"),
            Err(e) => tracing::debug!(host = self.name(), ms, "could not run {title}: {}", crate::error::chain(e)),
        }
        result
    }
}

/// The program; of a constant script the sentence it starts with.
fn title(argv: &[String]) -> String {
    let program = argv.first().cloned().unwrap_or_default();
    match argv {
        [shell, c, script, name, ..] if shell == "/bin/sh" && c == "-c" && name == "clusterctl" => {
            let own = script.strip_prefix(FENCE).unwrap_or(script);
            let sentence = own.strip_prefix("# ").and_then(|s| s.split(['.', ';', '\n']).next());
            sentence.map_or(program, |s| format!("script `{s}`"))
        }
        _ => program,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_named_and_arguments_are_not() {
        let script = Cmd::script(concat!(include_str!("../host/remote/fence.sh"), include_str!("../host/remote/absent.sh")), ["run", "x"]);
        let named = title(&script.argv);
        assert!(named.starts_with("script `") && !named.contains("fence") && !named.contains("Head of"), "{named}");
        assert_eq!(title(&["/bin/sh", "-c", "# secret", "other"].map(String::from)), "/bin/sh");
        assert_eq!(title(&["mysql", "-psecret"].map(String::from)), "mysql");
    }
}
