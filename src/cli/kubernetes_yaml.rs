//! Reads YAML as kubectl does, by the rules of YAML 1.1: `0644` is an octal number, and `yes` is true. By the rules of YAML 1.2, `0644` would be a
//! decimal number, and `yes` would be text.

use std::collections::{BTreeSet, HashMap};

use granit_parser::{Event, Parser, ScalarStyle, StrInput};
use serde_json::{Map, Value};

/// The maximum number of values in one text; a text with more is refused. Every alias counts as the values that it stands for. The largest manifests
/// in use, which define CRDs, have a fifth of this number.
const MAX_NODES: usize = 2_000_000;
/// The maximum depth of nested lists and mappings. The schemas of CRDs are nested about forty levels deep.
const MAX_DEPTH: usize = 200;

/// Reads every document of a YAML text. An empty document becomes null.
pub fn documents(text: &str) -> Result<Vec<Value>, String> {
    let options = granit_parser::options! { emit_comments: false, flow_nesting_limit: MAX_DEPTH, block_nesting_limit: MAX_DEPTH };
    let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str_with_options(text.strip_prefix('\u{feff}').unwrap_or(text), options);
    let mut reader = Reader::default();
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|e| e.to_string())?;
        reader.take(event).map_err(|e| format!("line {}: {e}", span.start.line()))?;
    }
    Ok(reader.documents)
}

enum Open {
    List(Vec<Value>),
    /// `own` has the keys that are written in the mapping itself. Such a key may be written only once, and it takes precedence over the same key that
    /// `<<` merges in. `key` is the key whose value has not been read yet.
    Map {
        map: Map<String, Value>,
        own: BTreeSet<String>,
        key: Option<String>,
    },
}

#[derive(Default)]
struct Reader {
    documents: Vec<Value>,
    open: Vec<(Open, usize)>,
    anchors: HashMap<usize, (Value, usize)>,
    nodes: usize,
}

impl Reader {
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::DocumentStart(..) => self.anchors.clear(),
            Event::Scalar(text, style, anchor, tag) => {
                let is_key = matches!(self.open.last(), Some((Open::Map { key: None, .. }, _)));
                let text_tag = tag.is_some_and(|t| t.is_yaml_core_schema_tag("str"));
                let value = match style {
                    ScalarStyle::Plain if !text_tag => scalar(&text),
                    _ => Value::String(text.into_owned()),
                };
                if is_key {
                    return self.key(value, anchor);
                }
                self.add(value, anchor, 1)?;
            }
            Event::SequenceStart(_, anchor, _) => self.begin(Open::List(Vec::new()), anchor)?,
            Event::MappingStart(_, anchor, _) => self.begin(Open::Map { map: Map::new(), own: BTreeSet::new(), key: None }, anchor)?,
            Event::SequenceEnd | Event::MappingEnd => {
                let value = match self.open.pop() {
                    Some((Open::List(list), anchor)) => (Value::Array(list), anchor),
                    Some((Open::Map { map, .. }, anchor)) => (Value::Object(map), anchor),
                    None => return Err("a list or mapping ends that never began".into()),
                };
                self.add(value.0, value.1, 1)?;
            }
            Event::Alias(id) => {
                let (value, size) = self.anchors.get(&id).cloned().ok_or("an alias stands for nothing")?;
                match self.open.last() {
                    Some((Open::Map { key: None, .. }, _)) => self.key(value, 0)?,
                    _ => self.add(value, 0, size)?,
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, open: Open, anchor: usize) -> Result<(), String> {
        if matches!(self.open.last(), Some((Open::Map { key: None, .. }, _))) {
            return Err("a key must be a single value".into());
        }
        self.open.push((open, anchor));
        Ok(())
    }

    fn key(&mut self, value: Value, anchor: usize) -> Result<(), String> {
        let name = match &value {
            Value::String(text) => text.clone(),
            Value::Array(_) | Value::Object(_) => return Err("a key must be a single value".into()),
            other => other.to_string(),
        };
        self.keep(anchor, &value, 1);
        if let Some((Open::Map { own, key, .. }, _)) = self.open.last_mut() {
            if !own.insert(name.clone()) {
                return Err(format!("the key `{name}` stands here twice"));
            }
            *key = Some(name);
        }
        Ok(())
    }

    fn add(&mut self, value: Value, anchor: usize, size: usize) -> Result<(), String> {
        self.nodes += size;
        if self.nodes > MAX_NODES {
            return Err("there are too many values".into());
        }
        if anchor != 0 {
            let size = count(&value);
            self.keep(anchor, &value, size);
        }
        match self.open.last_mut() {
            None => self.documents.push(value),
            Some((Open::List(list), _)) => list.push(value),
            Some((Open::Map { map, key, .. }, _)) => match key.take() {
                Some(name) if name == "<<" => merge(map, value)?,
                Some(name) => drop(map.insert(name, value)),
                None => return Err("a value stands without a key".into()),
            },
        }
        Ok(())
    }

    fn keep(&mut self, anchor: usize, value: &Value, size: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, (value.clone(), size));
        }
    }
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(count).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

/// Merges the value of a `<<` key, which is a mapping or a list of mappings, into `into`. A key that `into` has already keeps its value.
fn merge(into: &mut Map<String, Value>, value: Value) -> Result<(), String> {
    let all = match value {
        Value::Array(list) => list,
        one => vec![one],
    };
    for one in all {
        let Value::Object(map) = one else { return Err("only mappings can be merged with `<<`".into()) };
        for (key, value) in map {
            into.entry(key).or_insert(value);
        }
    }
    Ok(())
}

/// The value of a plain (unquoted) scalar by the rules of go-yaml, the parser that kubectl uses.
fn scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return true.into(),
        "false" | "False" | "FALSE" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return false.into(),
        _ => {}
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    match numeric.then(|| integer(text).or_else(|| float(text))).flatten() {
        Some(number) => number,
        None => Value::String(text.into()),
    }
}

fn integer(text: &str) -> Option<Value> {
    let clean: String = text.chars().filter(|c| *c != '_').collect();
    let (negative, digits) = match clean.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, clean.strip_prefix('+').unwrap_or(&clean)),
    };
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    let number = u64::from_str_radix(digits, base).ok()?;
    match negative {
        true => i64::try_from(number).ok().map(|n| Value::from(-n)),
        false => Some(number.into()),
    }
}

fn float(text: &str) -> Option<Value> {
    let fine = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
    let number: f64 = text.chars().all(fine).then(|| text.parse().ok()).flatten()?;
    serde_json::Number::from_f64(number).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Value {
        documents(text).map_or_else(Value::String, |mut all| all.remove(0))
    }

    #[test]
    fn plain_values_are_those_of_kubectl() {
        let text = "{mode: 0644, text: \"0644\", on: yes, off: 'no', hex: 0x1F, size: 1_000, none: ~, half: 0.5, version: 1.20.2, at: 2020-01-01, minus: -3, zero: 0, nine: 089}";
        let wanted = json!({"mode": 420, "text": "0644", "true": true, "false": "no", "hex": 31, "size": 1000, "none": null, "half": 0.5,
            "version": "1.20.2", "at": "2020-01-01", "minus": -3, "zero": 0, "nine": 89.0});
        assert_eq!(read(text), wanted);
    }

    #[test]
    fn blocks_aliases_and_merges() {
        let text = "a: &a {x: 1, z: 2}\nb:\n  <<: *a\n  z: 3\nc: *a\nd: |\n  mode: 0644\n";
        assert_eq!(read(text), json!({"a": {"x": 1, "z": 2}, "b": {"x": 1, "z": 3}, "c": {"x": 1, "z": 2}, "d": "mode: 0644\n"}));
    }

    #[test]
    fn faults_name_their_line() {
        assert_eq!(documents("a: 1\na: 2\n").expect_err("twice"), "line 2: the key `a` stands here twice");
        assert!(documents("a: [1\n").is_err());
        let bomb = format!("a: &a [{}]\nb: &b [{}]\nc: [{}]\n", "1,".repeat(300), "*a,".repeat(300), "*b,".repeat(300));
        assert!(documents(&bomb).expect_err("too many").contains("too many values"));
    }
}
