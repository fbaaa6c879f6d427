//! Finds out which kind of value a JSON Schema requires: a number, a list, an object and so on. `structure` compares the values of an inventory with
//! these kinds.

use serde_json::{Map, Value};

/// The kind of value that a schema requires.
pub(super) enum Wanted<'s> {
    /// Text with its own parser, such as a duration.
    Form(Form),
    /// One of these words.
    Choice(Vec<&'s str>),
    Text,
    Bool,
    Int {
        min: i64,
        max: i64,
    },
    List(&'s Value),
    Object(Fields<'s>),
    /// Text, or a mapping with fields in its place.
    TextOrObject(Fields<'s>),
    /// A mapping with any keys. All values have the same schema.
    Table(&'s Value),
    /// A mapping with any content, because it is the configuration of another program, such as the fields of KubeletConfiguration in
    /// `kubelet.config`.
    Any,
}

/// The fields that an object may have, and the names of those that it must have.
pub(super) struct Fields<'s> {
    pub known: &'s Map<String, Value>,
    pub required: Vec<&'s str>,
}

/// The kinds of text that have their own parser.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Duration,
    Cidr,
    IpAddress,
    KubeVersion,
    FileContent,
}

impl Form {
    const ALL: [(&'static str, Form); 5] = [
        ("Duration", Form::Duration),
        ("Cidr", Form::Cidr),
        ("IpAddress", Form::IpAddress),
        ("KubeVersion", Form::KubeVersion),
        ("FileContent", Form::FileContent),
    ];

    /// A valid value of this form. It replaces a value that could not be read, so that the rest of the inventory can still be deserialised and
    /// checked.
    fn placeholder(self) -> &'static str {
        match self {
            Form::Duration => "1s",
            Form::Cidr => "0.0.0.0/32",
            Form::IpAddress => "0.0.0.0",
            Form::KubeVersion => "v0.0.0",
            Form::FileContent => "",
        }
    }
}

/// The whole JSON Schema, with the definitions that `$ref` refers to.
#[derive(Clone, Copy)]
pub(super) struct Schema<'s> {
    pub root: &'s Value,
}

impl<'s> Schema<'s> {
    /// The kind of value that `schema` requires.
    pub fn wanted(self, schema: &'s Value) -> Wanted<'s> {
        if let Some(name) = schema["$ref"].as_str().and_then(|r| r.strip_prefix("#/$defs/")) {
            return match Form::ALL.iter().find(|(n, _)| *n == name) {
                Some((_, form)) => Wanted::Form(*form),
                None => self.wanted(&self.root["$defs"][name]),
            };
        }
        if let Some(options) = schema["anyOf"].as_array() {
            let mut some = options.iter().filter(|o| o["type"] != "null").map(|s| self.wanted(s));
            return match (some.next(), some.next()) {
                (Some(Wanted::Text), Some(Wanted::Object(fields))) => Wanted::TextOrObject(fields),
                (first, _) => first.unwrap_or(Wanted::Any),
            };
        }
        if schema["oneOf"].is_array() || schema["enum"].is_array() {
            return Wanted::Choice(words(schema));
        }
        match type_name(schema) {
            "string" => Wanted::Text,
            "boolean" => Wanted::Bool,
            "integer" => Wanted::Int { min: schema["minimum"].as_i64().unwrap_or(0), max: schema["maximum"].as_i64().unwrap_or(i64::MAX) },
            "array" => Wanted::List(&schema["items"]),
            "object" => match (schema["properties"].as_object(), &schema["additionalProperties"]) {
                (Some(known), _) => {
                    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                    Wanted::Object(Fields { known, required })
                }
                (None, more @ Value::Object(_)) => Wanted::Table(more),
                (None, _) => Wanted::Any,
            },
            _ => Wanted::Any,
        }
    }

    /// A value that can be deserialised in the place that `schema` describes. It replaces a value that could not be read, so that the rest of the
    /// inventory can still be deserialised and checked.
    pub fn placeholder(self, schema: &'s Value) -> Value {
        match self.wanted(schema) {
            Wanted::Form(form) => form.placeholder().into(),
            Wanted::Choice(words) => words.first().copied().unwrap_or_default().into(),
            Wanted::Text | Wanted::TextOrObject(_) => "".into(),
            Wanted::Bool => false.into(),
            Wanted::Int { min, .. } => min.into(),
            Wanted::List(_) => Value::Array(Vec::new()),
            Wanted::Object(fields) => {
                let needed = fields.required.iter().map(|name| ((*name).to_string(), self.placeholder(&fields.known[*name])));
                Value::Object(needed.collect())
            }
            Wanted::Table(_) | Wanted::Any => Value::Object(Map::new()),
        }
    }
}

/// The words that an enumeration allows, in the order of the schema.
fn words(schema: &Value) -> Vec<&str> {
    let listed = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let described = schema["oneOf"].as_array().into_iter().flatten().flat_map(|o| o["const"].as_str().into_iter().chain(words(o)));
    listed.chain(described).collect()
}

/// The type of a schema. If a schema allows several types, it is the first one that is not `null`.
fn type_name(schema: &Value) -> &str {
    match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).find(|t| *t != "null").unwrap_or_default(),
        one => one.as_str().unwrap_or_default(),
    }
}
