//! Small pieces of text that several views share.

use std::time::Duration;

/// `1.2s`, or `2m 03s` from a minute on.
pub fn took(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 { format!("{:.1}s", time.as_secs_f64()) } else { format!("{}m {:02}s", seconds / 60, seconds % 60) }
}

/// `1 host`, `2 hosts`.
pub fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Text that a host said, without what could steer a terminal.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// The first line, and the others.
pub fn head_and_rest(text: &str) -> (&str, Vec<&str>) {
    let mut lines = text.lines();
    (lines.next().unwrap_or_default(), lines.collect())
}
