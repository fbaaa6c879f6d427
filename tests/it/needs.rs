//! What tests need that not every machine has, such as root or sshd. A test with a need that is not met is skipped, and the skip is printed and
//! counted.

use std::io::Write;
use std::process::{Command, Stdio};

/// The environment variable with the path of a file to which every skipped test appends one line; `tests/quick` sets it. Without this variable,
/// a need that is not met fails the test, because a skip that nobody counts would look like a pass.
const LIST: &str = "CLUSTERCTL_TEST_SKIPS";

#[derive(Clone, Copy)]
pub enum Need {
    /// The right to make a mount namespace. Root has this right, except in most containers.
    Root,
    Sshd,
    Sudo,
    Openssl,
    Python,
    Script,
    Zsh,
    Fish,
}

impl Need {
    fn is_met(self) -> bool {
        match self {
            Need::Root => succeeds("unshare", &["-m", "true"]),
            Need::Sshd => std::path::Path::new("/usr/sbin/sshd").exists(),
            Need::Sudo => std::path::Path::new("/usr/bin/sudo").exists(),
            Need::Openssl => succeeds("openssl", &["version"]),
            Need::Python => succeeds("python3", &["--version"]),
            Need::Script => succeeds("script", &["--version"]),
            Need::Zsh => succeeds("zsh", &["--version"]),
            Need::Fish => succeeds("fish", &["--version"]),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Need::Root => "root that may make a mount namespace",
            Need::Sshd => "OpenSSH's server (package openssh-server)",
            Need::Sudo => "sudo (package sudo)",
            Need::Openssl => "openssl (package openssl)",
            Need::Python => "Python (package python3)",
            Need::Script => "script (package bsdutils)",
            Need::Zsh => "zsh (package zsh)",
            Need::Fish => "fish (package fish)",
        }
    }
}

fn succeeds(program: &str, args: &[&str]) -> bool {
    let quiet = || Stdio::null();
    Command::new(program).args(args).stdin(quiet()).stdout(quiet()).stderr(quiet()).status().is_ok_and(|s| s.success())
}

/// Returns whether the calling test must return at once because one of `needs` is not met, and appends the skip to the file that [`LIST`] names.
/// `inside` is the path of an item inside the test's function, which contains the name of the test.
pub fn skip(needs: &[Need], inside: &str) -> bool {
    let Some(lacking) = needs.iter().find(|n| !n.is_met()) else { return false };
    let Some(list) = std::env::var_os(LIST) else {
        panic!("this test needs {}; `tests/quick` skips and counts what a machine cannot run", lacking.name());
    };
    let test = inside.trim_end_matches("::here").trim_end_matches("::{{closure}}").trim_start_matches("it::");
    let line = format!("skipped: needs {}: {test}\n", lacking.name());
    // A short line that is appended by a single write is not mixed with the line of another process.
    std::fs::OpenOptions::new().append(true).open(list).unwrap().write_all(line.as_bytes()).unwrap();
    true
}

/// Skips the calling test unless the machine meets all of these needs.
macro_rules! needs {
    ($($need:ident),+) => {{
        fn here() {}
        if crate::needs::skip(&[$(crate::needs::Need::$need),+], std::any::type_name_of_val(&here)) {
            return;
        }
    }};
}
pub(crate) use needs;
