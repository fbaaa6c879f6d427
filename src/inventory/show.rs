//! Writes an inventory as YAML with all defaults. The YAML can be read again and gives the same inventory.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::Inventory;
use super::scalar::{Plain, meaning};

/// The largest width of a list, in characters, that is written on one line, as `[a, b]`. A wider list has one line for each item.
const LINE: usize = 100;

/// The resolved inventory as YAML. Optional fields that are not set are left out, and all other fields are written with their defaults.
pub fn show(inventory: &Inventory) -> String {
    let mut out = String::new();
    if let Ok(Value::Object(mut top)) = serde_json::to_value(inventory) {
        strip(&mut top);
        mapping(&mut out, &top, 0);
    }
    out
}

/// Writes fields of an inventory as YAML, in the order of the map.
pub fn fields(map: &Map<String, Value>) -> String {
    let mut out = String::new();
    mapping(&mut out, map, 0);
    out
}

/// Removes fields that are not set. In `config`, the configuration of another program, `null` has a meaning and is kept.
fn strip(map: &mut Map<String, Value>) {
    map.retain(|_, value| !value.is_null());
    for (key, value) in map.iter_mut() {
        match value {
            Value::Object(inner) if key != "config" => strip(inner),
            Value::Array(items) => items.iter_mut().filter_map(Value::as_object_mut).for_each(strip),
            _ => {}
        }
    }
}

fn mapping(out: &mut String, map: &Map<String, Value>, indent: usize) {
    for (i, (key, value)) in map.iter().enumerate() {
        if i > 0 || indent == 0 || out.ends_with('\n') {
            pad(out, indent);
        }
        out.push_str(&text(key));
        out.push(':');
        below(out, value, indent);
    }
}

/// Writes the value that follows the colon of a key or the dash of a list item.
fn below(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            mapping(out, map, indent + 2);
        }
        Value::Array(items) if !fits(items) => {
            out.push('\n');
            for item in items {
                pad(out, indent + 2);
                out.push('-');
                match item {
                    // The first key of the mapping is written on the line of the dash.
                    Value::Object(map) if !map.is_empty() => {
                        out.push(' ');
                        mapping(out, map, indent + 4);
                    }
                    other => below(out, other, indent + 2),
                }
            }
        }
        leaf => {
            out.push(' ');
            flow(out, leaf);
            out.push('\n');
        }
    }
}

/// Whether a list is written on one line, as `[a, b]`: it contains neither mappings nor lists and is not wider than `LINE`.
fn fits(items: &[Value]) -> bool {
    let scalar = |v: &Value| !v.is_object() && !v.is_array();
    let width = |v: &Value| v.as_str().map_or(6, |s| s.chars().count() + 4);
    items.iter().all(scalar) && items.iter().map(width).sum::<usize>() <= LINE
}

fn flow(out: &mut String, value: &Value) {
    match value {
        Value::String(s) => out.push_str(&text(s)),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                flow(out, item);
            }
            out.push(']');
        }
        // Numbers, booleans, null and the empty mapping are written as in JSON.
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

/// Writes a text. It is quoted unless every YAML reader reads it as the same text without quotes.
fn text(value: &str) -> String {
    let safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/' | b'_' | b'-' | b':' | b'~' | b'@' | b'+');
    let begins = value.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
    let looks_like_date = value.starts_with(|c: char| c.is_ascii_digit()) && value.contains(['-', ':']) && !value.contains(['.', '/']);
    let plain = begins && value.bytes().all(safe) && !value.ends_with(':') && !value.contains("::") && !looks_like_date;
    if plain && meaning(value) == Plain::Text { value.to_string() } else { quoted(value) }
}

/// Writes a double-quoted scalar. Characters that a YAML reader might fold or drop are escaped.
fn quoted(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}
