//! The wrapper through which every verb uses a host. It logs each command (program or script, exit status and time; never arguments, input or
//! output), and lengthens the time limits of commands if `--wait-timeout` is longer than the default.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::host::{Cmd, Host, HostError, HostName, Output, patience};

/// Runs every command on `host`, with a log entry and with a time limit that is adapted to `wait_timeout`.
pub struct Logged {
    pub host: Arc<dyn Host>,
    pub wait_timeout: Duration,
}

#[async_trait]
impl Host for Logged {
    fn name(&self) -> &HostName {
        self.host.name()
    }

    fn wait_timeout(&self) -> Duration {
        self.wait_timeout
    }

    async fn run(&self, cmd: Cmd) -> Result<Output, HostError> {
        let title = title(&cmd.argv);
        let begun = Instant::now();
        let result = self.host.run(cmd.patient(patience(self.wait_timeout))).await;
        let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &result {
            Ok(out) => tracing::debug!(host = self.name(), status = out.status, ms, "ran {title}"),
            Err(e) => tracing::debug!(host = self.name(), ms, "could not run {title}: {}", crate::error::chain(e)),
        }
        result
    }
}

/// The name of a command in the log: the name of the program or, for a script of clusterctl, the last file name in the script's first line.
fn title(argv: &[String]) -> String {
    let program = argv.first().cloned().unwrap_or_default();
    match argv {
        [shell, c, script, name, ..] if shell == "/bin/sh" && c == "-c" && name == "clusterctl" => {
            let first = script.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or_default();
            let name = first.strip_suffix(".sh").and_then(|files| files.rsplit([' ', '/']).next());
            name.map_or(program, |name| format!("script `{name}`"))
        }
        _ => program,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fenced, script};

    /// A host that runs nothing and keeps the last command.
    struct Kept(HostName, std::sync::Mutex<Option<Cmd>>);

    #[async_trait]
    impl Host for Kept {
        fn name(&self) -> &HostName {
            &self.0
        }

        async fn run(&self, cmd: Cmd) -> Result<Output, HostError> {
            *self.1.lock().expect("no test panics with it") = Some(cmd);
            Ok(Output::default())
        }
    }

    #[tokio::test]
    async fn a_slow_host_gets_more_time_for_every_command() {
        for (minutes, times) in [(1, 1), (4, 1), (5, 2), (20, 5)] {
            let kept = Arc::new(Kept("m1".into(), std::sync::Mutex::default()));
            let host = Logged { host: Arc::clone(&kept) as Arc<dyn Host>, wait_timeout: Duration::from_secs(60 * minutes) };
            for program in ["/bin/sh", "true"] {
                host.run(Cmd::root([program]).timeout(Duration::from_secs(30))).await.expect("it is kept");
                let cmd = kept.1.lock().expect("no test panics with it").take().expect("a command");
                assert_eq!(cmd.timeout, Duration::from_secs(30 * times), "{minutes} minutes");
                let told = times > 1 && program == "/bin/sh";
                let words = if told {
                    vec!["env".into(), format!("CLUSTERCTL_PATIENCE={times}"), program.into()]
                } else {
                    vec![program.to_string()]
                };
                assert_eq!(cmd.argv, words);
            }
        }
    }

    #[test]
    fn scripts_are_named_and_arguments_are_not() {
        for (script, name) in [
            (fenced!("steps/absent.sh"), "script `absent`"),
            (fenced!("lib/kubectl.sh", "steps/objects.sh"), "script `objects`"),
            (script!("lock/unlock.sh"), "script `unlock`"),
            ("true\n", "/bin/sh"),
        ] {
            assert_eq!(title(&Cmd::script(script).words(["run", "x"]).argv), name);
        }
        assert_eq!(title(&["/bin/sh", "-c", "# secret", "other"].map(String::from)), "/bin/sh");
        assert_eq!(title(&["mysql", "-psecret"].map(String::from)), "mysql");
    }
}
