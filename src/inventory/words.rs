//! Wording of faults: values shown safely, choices listed, near names suggested.

use super::tree::{Kind, Node};

/// Characters of a value that a message shows at most.
const SHOWN: usize = 60;

/// A value in backticks: on one line, harmless to a terminal, not too long.
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

/// `a`, `b` or `c`.
pub(super) fn choices(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().map(|n| quoted(n)).collect();
    match shown.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => "nothing".into(),
    }
}

/// The one of `names` that was probably meant.
pub(super) fn nearest<'a>(text: &str, names: &[&'a str]) -> Option<&'a str> {
    // Nothing that long is a slip of the pen, and comparing costs time.
    if text.len() > SHOWN {
        return None;
    }
    let bare = |s: &str| s.to_ascii_lowercase().replace(['-', '_', ' '], "");
    let wanted = bare(text);
    if let Some(same) = names.iter().find(|n| bare(n) == wanted) {
        return Some(same);
    }
    // A third of the letters may be wrong, in short names one.
    let limit = (wanted.chars().count() / 3).max(1);
    let distances = names.iter().map(|n| (strsim::damerau_levenshtein(&wanted, &bare(n)), *n));
    distances.filter(|(distance, _)| *distance <= limit).min_by_key(|(distance, _)| *distance).map(|(_, n)| n)
}

/// What stands in the file, for "found ...".
pub(super) fn found(node: &Node) -> String {
    match &node.kind {
        Kind::List(_) => "a list".into(),
        Kind::Map(_) => "a mapping".into(),
        Kind::Scalar { .. } if node.is_null() => "nothing".into(),
        Kind::Scalar { text, .. } => quoted(text),
    }
}

/// A URL in backticks, a user and password in it left out.
pub(super) fn quoted_url(url: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |i| i + 3);
    let authority_end = url[after_scheme..].find('/').map_or(url.len(), |i| after_scheme + i);
    match url[after_scheme..authority_end].rfind('@') {
        Some(at) => quoted(&format!("{}…{}", &url[..after_scheme], &url[after_scheme + at..])),
        None => quoted(url),
    }
}

/// `1 host`, `2 hosts`.
pub(super) fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}
