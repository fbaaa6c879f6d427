//! Helpers for the wording of messages: values that are safe to show, lists of choices, and suggestions of similar names.

use super::tree::{Kind, Node};

/// The largest number of characters of a value that a message shows.
const SHOWN: usize = 60;

/// A value in backticks. It is on one line, is shortened if it is too long, and has escapes for characters that could harm a terminal.
pub(super) fn quoted(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(SHOWN) {
        match c {
            '\'' | '"' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// The names as a list, such as `a`, `b` or `c`.
pub(super) fn choices(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().map(|n| quoted(n)).collect();
    match shown.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => "nothing".into(),
    }
}

/// The name in `names` that `text` probably means. `None` if no name is similar enough.
pub(super) fn nearest<'a>(text: &str, names: &[&'a str]) -> Option<&'a str> {
    // A text that is longer than `SHOWN` is not a misspelt name, and it would take long to compare it with the names.
    if text.len() > SHOWN {
        return None;
    }
    let bare = |s: &str| s.to_ascii_lowercase().replace(['-', '_', ' '], "");
    let wanted = bare(text);
    if let Some(same) = names.iter().find(|n| bare(n) == wanted) {
        return Some(same);
    }
    // A name is similar if at most a third of its letters are wrong, or one letter in a short name.
    let limit = (wanted.chars().count() / 3).max(1);
    let distances = names.iter().map(|n| (strsim::damerau_levenshtein(&wanted, &bare(n)), *n));
    distances.filter(|(distance, _)| *distance <= limit).min_by_key(|(distance, _)| *distance).map(|(_, n)| n)
}

/// A short description of a value in the file, for messages.
pub(super) fn found(node: &Node) -> String {
    match &node.kind {
        Kind::List(_) => "a list".into(),
        Kind::Map(_) => "a mapping".into(),
        Kind::Scalar { .. } if node.is_null() => "nothing".into(),
        Kind::Scalar { text, .. } => quoted(text),
    }
}

/// A URL in backticks. A user and a password in it are left out.
pub(super) fn quoted_url(url: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |i| i + 3);
    let authority_end = url[after_scheme..].find('/').map_or(url.len(), |i| after_scheme + i);
    match url[after_scheme..authority_end].rfind('@') {
        Some(at) => quoted(&format!("{}…{}", &url[..after_scheme], &url[after_scheme + at..])),
        None => quoted(url),
    }
}

/// A number with its noun, as in `1 host` or `2 hosts`.
pub(super) fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}
