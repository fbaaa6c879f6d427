//! clusterctl as an operator uses it: each test runs a command line and checks its output and its exit code.

mod documents;
mod hosts;
mod kubeconfig;
mod local;
mod reference;
mod report;
mod terminal;

use std::path::Path;
use std::process::Output;

/// A temporary folder in which a test runs clusterctl. Of the environment variables of the test, clusterctl gets only PATH.
struct Place(tempfile::TempDir);

/// The exit code, the standard output and the standard error of a command that has ended.
struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    fn command(&self) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_clusterctl"));
        command.current_dir(self.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.path()).env("CLUSTERCTL_SSH_CONFIG", "/dev/null").stdin(std::process::Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Ended {
        ended(self.command().args(args).output().unwrap())
    }
}

fn ended(output: Output) -> Ended {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// Parses every line as JSON.
fn lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{l}: {e}"))).collect()
}
