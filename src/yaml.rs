//! Writes YAML in the format of kubeadm's files: keys are sorted, lists are not indented, and scalars are quoted unless every YAML reader reads them
//! as the same text without quotes.

use std::net::{Ipv4Addr, SocketAddrV4};

use serde_json::Value;

/// A string as one scalar. It has no quotes if every YAML reader reads it as the same string; otherwise it is in double quotes on one line.
pub fn scalar(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// A value in block style with sorted keys. The text ends with a newline.
pub fn document(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => block(&mut out, value, 0),
        Value::Array(list) if !list.is_empty() => block(&mut out, value, 0),
        _ => out.push_str(&format!("{}\n", inline(value))),
    }
    out
}

fn block(out: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            for key in keys {
                out.push_str(&format!("{indent}{}:", scalar(key)));
                entry(out, &map[key], depth);
            }
        }
        Value::Array(list) => {
            for item in list {
                if !is_block(item) {
                    out.push_str(&format!("{indent}- {}\n", inline(item)));
                    continue;
                }
                let mut inner = String::new();
                block(&mut inner, item, depth + 1);
                out.push_str(&format!("{indent}- {}", &inner[indent.len() + 2..]));
            }
        }
        _ => out.push_str(&format!("{indent}{}\n", inline(value))),
    }
}

/// Writes the value after `key:`.
fn entry(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(_) if is_block(value) => {
            out.push('\n');
            block(out, value, depth + 1);
        }
        Value::Array(_) if is_block(value) => {
            out.push('\n');
            block(out, value, depth);
        }
        Value::String(text) if reads_better_as_lines(text) => {
            let indent = "  ".repeat(depth + 1);
            out.push_str(" |\n");
            for line in text.lines() {
                let line = if line.is_empty() { "\n".to_owned() } else { format!("{indent}{line}\n") };
                out.push_str(&line);
            }
        }
        _ => out.push_str(&format!(" {}\n", inline(value))),
    }
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => false,
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Object(_) => "{}".into(),
        Value::Array(_) => "[]".into(),
        other => other.to_string(),
    }
}

/// Whether a literal block (`|`) contains the text exactly: the text ends with one newline, does not start with a space or newline, and is
/// printable.
fn reads_better_as_lines(text: &str) -> bool {
    text.len() > 1
        && text.ends_with('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with([' ', '\n'])
        && text.chars().all(|c| c == '\n' || is_printable(c))
}

fn is_plain(text: &str) -> bool {
    let starts_well = match text.as_bytes() {
        [b'a'..=b'z' | b'A'..=b'Z' | b'/', ..] => true,
        [b'-', b'-', rest, ..] => rest.is_ascii_alphanumeric(),
        // An IPv4 address needs no quotes, and neither does one with a port or with a prefix length. Any other text that starts with a digit may be a
        // number, a time or a date, so it is quoted.
        [b'0'..=b'9', ..] => return is_ipv4(text),
        _ => false,
    };
    let word = text.to_ascii_lowercase();
    starts_well
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:=,*@+$()".contains(&b))
        && !text.ends_with(':')
        && !matches!(word.as_str(), "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null")
}

fn is_ipv4(text: &str) -> bool {
    let address = text.split_once('/').map_or(text, |(address, bits)| if bits.parse::<u8>().is_ok() { address } else { "" });
    address.parse::<Ipv4Addr>().is_ok() || text.parse::<SocketAddrV4>().is_ok()
}

/// A string in double quotes that JSON, YAML and TOML read alike. Every character that a YAML reader may refuse, fold or drop is escaped.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_printable(c) => out.push(c),
            c => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// Whether every YAML reader accepts the character as printable and none reads it as a line break.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
}
