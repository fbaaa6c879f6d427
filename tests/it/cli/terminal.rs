//! Colours are written only to a terminal, and not even there if NO_COLOR, CLICOLOR=0 or TERM=dumb is set.

use std::process::Command;

use super::Place;
use crate::needs::needs;

const ESCAPE: char = '\u{1b}';

/// Runs `clusterctl validate` without an inventory in a terminal with these environment variables. Returns what it prints, which includes an error.
fn in_terminal(environment: &[(&str, &str)]) -> String {
    let place = Place::new();
    let program = env!("CARGO_BIN_EXE_clusterctl");
    let mut script = Command::new("script");
    script.args(["-qec", &format!("{program} validate"), "/dev/null"]).current_dir(place.path()).env_clear();
    script.env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(environment.iter().copied());
    let output = script.output().expect("this test needs `script`, which is in every Debian (bsdutils)");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_terminal_gets_colours() {
    needs!(Script);
    let text = in_terminal(&[("TERM", "xterm-256color")]);
    assert!(text.contains(ESCAPE) && text.contains("error:"), "{text:?}");
}

#[test]
fn no_color_and_dumb_terminals_get_none() {
    needs!(Script);
    for environment in
        [&[("TERM", "xterm-256color"), ("NO_COLOR", "1")][..], &[("TERM", "xterm-256color"), ("CLICOLOR", "0")], &[("TERM", "dumb")]]
    {
        let text = in_terminal(environment);
        assert!(!text.contains(ESCAPE) && text.contains("error:"), "{environment:?}: {text:?}");
    }
}

#[test]
fn pipes_get_none() {
    let place = Place::new();
    for args in [&["validate"][..], &["--help"], &["inventory", "new"], &["exec", "--", "true"], &["frobnicate"]] {
        let ended = place.run(args);
        assert!(!ended.out.contains(ESCAPE) && !ended.err.contains(ESCAPE), "{args:?}");
    }
}
