//! Checks the tree of an inventory against the JSON Schema. It reports all unknown fields, missing fields, wrong types and words that are not among
//! the allowed ones at once, and returns the values that could be read.

use serde_json::{Map, Value};

use super::forms;
use super::kinds::{Fields, Schema, Wanted};
use super::path::{Path, Seg, at};
use super::scalar::{Plain, meaning};
use super::tree::{Kind, Node, Spot};
use super::words::{choices, found, nearest, quoted};

/// The largest number of faults that are reported. Once the structural check has found as many, it records no more, and the rules in `check` are not
/// applied.
pub(super) const MAX_FAULTS: usize = 500;

/// A fault or a warning about a place in the inventory.
#[derive(Debug)]
pub(super) struct Finding {
    pub path: Path,
    pub spot: Spot,
    pub message: String,
    pub hint: Option<String>,
}

/// The content of a file, as far as it could be read.
pub(super) struct Read {
    /// A value that can be deserialised into an inventory. It has placeholders for required values that could not be read.
    pub value: Value,
    /// The paths of the values that could not be read.
    pub holes: Vec<Path>,
    pub findings: Vec<Finding>,
}

/// Checks the tree of a whole file against the JSON Schema.
pub(super) fn check(root: &Node, schema: &Value) -> Read {
    let schema = Schema { root: schema };
    let mut reader = Reader { schema, path: Path::default(), holes: Vec::new(), findings: Vec::new() };
    let value = reader.read(root, schema.root).unwrap_or_else(|| schema.placeholder(schema.root));
    Read { value, holes: reader.holes, findings: reader.findings }
}

struct Reader<'s> {
    schema: Schema<'s>,
    path: Path,
    holes: Vec<Path>,
    findings: Vec<Finding>,
}

impl<'s> Reader<'s> {
    /// Reads a node as the value that `schema` requires. If the value cannot be read, the function records a finding and a hole, and returns `None`.
    fn read(&mut self, node: &Node, schema: &'s Value) -> Option<Value> {
        let wanted = self.schema.wanted(schema);
        let result = match (&node.kind, wanted) {
            (Kind::Map(_), Wanted::Object(fields) | Wanted::TextOrObject(fields)) => return self.object(node, &fields),
            (Kind::Map(_), Wanted::Table(of)) => return self.table(node, Some(of)),
            (Kind::List(items), Wanted::List(of)) => return self.list(items, of),
            (Kind::Map(_), Wanted::Any) => return self.any(node),
            (Kind::Scalar { text, plain }, wanted) => scalar(text, *plain, &wanted),
            (_, wanted) => Err((format!("{} stands where {} must be", found(node), noun(&wanted)), None)),
        };
        match result {
            Ok(value) => Some(value),
            Err((message, hint)) => {
                self.bad(message, hint, Spot::Value);
                None
            }
        }
    }

    fn object(&mut self, node: &Node, fields: &Fields<'s>) -> Option<Value> {
        let Kind::Map(entries) = &node.kind else { return None };
        let mut object = Map::new();
        let mut misspelt = Vec::new();
        for entry in entries {
            self.path.0.push(Seg::from(&entry.key));
            match fields.known.get(&entry.key) {
                None => misspelt.extend(self.unknown(&entry.key, fields)),
                // An optional field without a value counts as absent.
                Some(_) if entry.value.is_null() && !fields.required.contains(&entry.key.as_str()) => {}
                Some(schema) => {
                    if let Some(value) = self.read(&entry.value, schema) {
                        object.insert(entry.key.clone(), value);
                    }
                }
            }
            self.path.0.pop();
        }
        for name in &fields.required {
            if object.contains_key(*name) {
                continue;
            }
            let schema = &fields.known[*name];
            if node.get(name).is_none() {
                self.path.0.push(Seg::from(*name));
                if !misspelt.contains(name) {
                    self.bad(format!("{} is missing", quoted(name)), example(self.schema, schema), Spot::Key);
                }
                self.path.0.pop();
            }
            object.insert((*name).to_string(), self.schema.placeholder(schema));
        }
        Some(Value::Object(object))
    }

    /// Reads a list. A placeholder replaces an item that could not be read, so that the other items keep their indexes.
    fn list(&mut self, items: &[Node], of: &'s Value) -> Option<Value> {
        let mut list = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            if self.is_full() {
                break;
            }
            self.path.0.push(Seg::Index(i));
            let value = self.read(item, of);
            list.push(value.unwrap_or_else(|| self.schema.placeholder(of)));
            self.path.0.pop();
        }
        Some(Value::Array(list))
    }

    fn table(&mut self, node: &Node, of: Option<&'s Value>) -> Option<Value> {
        let Kind::Map(entries) = &node.kind else { return None };
        let mut table = Map::new();
        for entry in entries {
            self.path.0.push(Seg::from(&entry.key));
            if let Err((message, hint)) = forms::text(&entry.key) {
                self.bad(message, hint, Spot::Key);
            }
            let value = match of {
                Some(of) => self.read(&entry.value, of),
                None => self.any(&entry.value),
            };
            if let Some(value) = value {
                table.insert(entry.key.clone(), value);
            }
            self.path.0.pop();
        }
        Some(Value::Object(table))
    }

    /// Reads a value in the configuration of another program, such as `kubelet.config`, whose fields the JSON Schema does not name.
    fn any(&mut self, node: &Node) -> Option<Value> {
        let result = match &node.kind {
            Kind::Map(_) => return self.table(node, None),
            Kind::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (i, item) in items.iter().enumerate() {
                    self.path.0.push(Seg::Index(i));
                    list.push(self.any(item).unwrap_or_default());
                    self.path.0.pop();
                }
                return Some(Value::Array(list));
            }
            Kind::Scalar { text, plain: true } => match meaning(text) {
                Plain::Null => Ok(Value::Null),
                Plain::Bool(b) => Ok(b.into()),
                Plain::Int(i) => Ok(i.into()),
                Plain::Float(x) => Ok(x.into()),
                Plain::Text => forms::text(text),
                Plain::Trap(noun) => Err((
                    format!("{} is {noun} to some YAML readers and text to others", quoted(text)),
                    Some(format!("quote it ({}), or write {noun} plainly", quoted(&format!("\"{text}\"")))),
                )),
            },
            Kind::Scalar { text, plain: false } => forms::text(text),
        };
        match result {
            Ok(value) => Some(value),
            Err((message, hint)) => {
                self.bad(message, hint, Spot::Value);
                None
            }
        }
    }

    /// Reports that the object at the current path has no field `key`. Returns the name of the field that was probably meant, if there is one, and
    /// records that field as a hole, because its value is not known.
    fn unknown(&mut self, key: &str, fields: &Fields<'s>) -> Option<&'s str> {
        let known: Vec<&'s str> = fields.known.keys().map(String::as_str).collect();
        let synonym =
            forms::SYNONYMS.iter().find(|(other, _)| *other == key).and_then(|(_, ours)| known.iter().find(|k| *k == ours).copied());
        let near = synonym.or_else(|| nearest(key, &known));
        let hint = match (near, self.home_of(key)) {
            (Some(near), _) => {
                let mut meant = self.path.clone();
                meant.0.pop();
                self.holes.push(meant.join(near));
                format!("did you mean {}?", quoted(near))
            }
            (None, Some(home)) => {
                self.holes.push(at![home, key]);
                format!("it belongs under {}", quoted(home))
            }
            (None, None) => format!("choose {}", choices(&known)),
        };
        self.say(format!("unknown field {}", quoted(key)), Some(hint), Spot::Key);
        near
    }

    /// The top-level section of the inventory that has a field `key`, for a hint about a field that is in the wrong section.
    fn home_of(&self, key: &str) -> Option<&'s str> {
        let sections = self.schema.root["properties"].as_object()?;
        let has = |section: &'s Value| matches!(self.schema.wanted(section), Wanted::Object(inner) if inner.known.contains_key(key));
        sections.iter().find(|(_, section)| has(section)).map(|(name, _)| name.as_str())
    }

    fn is_full(&self) -> bool {
        self.findings.len() >= MAX_FAULTS
    }

    fn say(&mut self, message: String, hint: Option<String>, spot: Spot) {
        if self.is_full() {
            return;
        }
        self.findings.push(Finding { path: self.path.clone(), spot, message, hint });
    }

    /// Reports that the value at the current path cannot be read, and records the path as a hole.
    fn bad(&mut self, message: String, hint: Option<String>, spot: Spot) {
        self.holes.push(self.path.clone());
        self.say(message, hint, spot);
    }
}

/// Reads a scalar as a value of the wanted kind.
fn scalar(text: &str, plain: bool, wanted: &Wanted) -> Result<Value, forms::Complaint> {
    let means = if plain { meaning(text) } else { Plain::Text };
    if means == Plain::Null {
        let hint = match wanted {
            Wanted::Choice(words) => Some(format!("choose {}", choices(words))),
            Wanted::Text => Some("write `\"\"` for an empty text".into()),
            _ => None,
        };
        return Err((format!("nothing is written here, and {} must be", noun(wanted)), hint));
    }
    let shown = || quoted(text);
    match wanted {
        Wanted::Form(form) => forms::check(*form, text).map(|()| text.into()),
        Wanted::Choice(words) if words.contains(&text) => Ok(text.into()),
        Wanted::Choice(words) => {
            let near = nearest(text, words).map(|n| format!("did you mean {}? ", quoted(n))).unwrap_or_default();
            Err((format!("{} is not one of the choices", shown()), Some(format!("{near}choose {}", choices(words)))))
        }
        Wanted::Text | Wanted::TextOrObject(_) => match means {
            Plain::Text => forms::text(text),
            other => Err((
                format!("{} is {} without quotes, and text must be here", shown(), other.noun()),
                Some(format!("quote it: {}", quoted(&format!("\"{text}\"")))),
            )),
        },
        Wanted::Bool => match (means, meaning(text)) {
            (Plain::Bool(b), _) => Ok(b.into()),
            (Plain::Text, Plain::Bool(_)) => Err((format!("{} is text because of its quotes", shown()), Some("remove the quotes".into()))),
            (Plain::Trap("a boolean"), _) => {
                let word = if text.to_ascii_lowercase().starts_with('y') || text.eq_ignore_ascii_case("on") { "true" } else { "false" };
                Err((format!("{} is a boolean to some YAML readers only", shown()), Some(format!("write `{word}`"))))
            }
            _ => Err((format!("{} is not a boolean", shown()), Some("choose `true` or `false`".into()))),
        },
        Wanted::Int { min, max } => match (means, meaning(text)) {
            (Plain::Int(i), _) if (*min..=*max).contains(&i) => Ok(i.into()),
            (Plain::Int(_), _) => Err((format!("{} is out of range", shown()), Some(format!("choose a number from {min} to {max}")))),
            (Plain::Text, Plain::Int(_)) => Err((format!("{} is text because of its quotes", shown()), Some("remove the quotes".into()))),
            _ => Err((format!("{} is not a whole number", shown()), Some(format!("choose a number from {min} to {max}")))),
        },
        Wanted::List(_) => {
            Err((format!("{} stands where a list must be", shown()), Some("write `[a, b]`, or each item after a `- `".into())))
        }
        Wanted::Object(_) | Wanted::Table(_) | Wanted::Any => Err((format!("{} stands where a mapping must be", shown()), None)),
    }
}

/// The wanted kind of value as a noun for messages.
fn noun(wanted: &Wanted) -> &'static str {
    match wanted {
        Wanted::Form(_) | Wanted::Choice(_) | Wanted::Text => "text",
        Wanted::TextOrObject(_) => "text or a mapping",
        Wanted::Bool => "a boolean",
        Wanted::Int { .. } => "a number",
        Wanted::List(_) => "a list",
        Wanted::Object(_) | Wanted::Table(_) | Wanted::Any => "a mapping",
    }
}

/// A hint for a missing field: an example of its value from the JSON Schema, or else the description of the field.
fn example(schema: Schema, field: &Value) -> Option<String> {
    let name = field["$ref"].as_str().and_then(|r| r.strip_prefix("#/$defs/"));
    let definition = name.map_or(&Value::Null, |n| &schema.root["$defs"][n]);
    let known = |key: &'static str| [&field[key], &definition[key]].into_iter().find(|v| !v.is_null());
    if let Some(Value::String(text)) = known("examples").and_then(|e| e.get(0)) {
        return Some(format!("for example {}", quoted(text)));
    }
    let text = known("description")?.as_str()?.trim_end_matches('.');
    let (first, rest) = text.split_at_checked(1)?;
    Some(format!("{}{rest}", first.to_ascii_lowercase()))
}
