//! The reference of the inventory (`docs/reference/inventory.md`): the part below the line [`MARK`] is written from the schema, so that it cannot
//! differ from the schema. `UPDATE_GOLDENS=1 cargo test --test it reference` writes that part anew.

use std::fmt::Write;

use clusterctl::inventory;
use serde_json::Value;

use crate::documents;

const PAGE: &str = "docs/reference/inventory.md";
const MARK: &str = "<!-- What follows is written from the schema of the program; see tests/it/inventory/reference.rs. -->\n";

#[test]
fn the_reference_of_the_inventory_is_the_schema() {
    documents::compare(PAGE, MARK, &written(&inventory::schema()));
}

/// The text below the mark: a section for each top-level field of the inventory, with a table of the fields inside it.
fn written(schema: &Value) -> String {
    let mut out = String::new();
    for (name, field) in object(&schema["properties"]) {
        let list = &field["items"];
        let (path, definition) =
            if list.is_object() { (format!("{name}[]"), resolved(schema, list)) } else { (name.clone(), resolved(schema, field)) };
        let about = sentence(&definition["description"]);
        write!(out, "\n## `{name}`\n\n{about}\n\n| Field | Type | Default | |\n|---|---|---|---|\n").expect("text can be written");
        rows(&mut out, schema, &path, definition, &field["default"]);
    }
    out
}

/// Writes a row for each field of a definition. `defaults` is the default value of the whole definition, which takes precedence over the defaults of
/// its fields. The fields of a nested definition get rows, too, unless that definition has a section of its own.
fn rows(out: &mut String, schema: &Value, path: &str, definition: &Value, defaults: &Value) {
    let required: Vec<&str> = definition["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let sections: Vec<&Value> = object(&schema["properties"]).map(|(_, field)| resolved(schema, field)).collect();
    for (name, field) in object(&definition["properties"]) {
        let (path, list) = (format!("{path}.{name}"), &field["items"]);
        let nested = resolved(schema, if list.is_object() { list } else { field });
        let default = if defaults[name].is_null() { &field["default"] } else { &defaults[name] };
        if nested["properties"].is_object() && !sections.contains(&nested) {
            rows(out, schema, &format!("{path}{}", if list.is_object() { "[]" } else { "" }), nested, default);
            continue;
        }
        let described = if field["description"].is_string() { &field["description"] } else { &nested["description"] };
        let default = match default {
            Value::Null if required.contains(&name.as_str()) => "required".into(),
            Value::Null => String::new(),
            Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        let text = format!("{}{}", sentence(described), choices(nested));
        writeln!(out, "| `{path}` | {} | {default} | {} |", kind(schema, field), text.replace('|', "\\|")).expect("text can be written");
        // The fields of a mapping that can be an item of a list in a map.
        let item = resolved(schema, resolved(schema, &field["additionalProperties"]["items"]));
        if item["properties"].is_object() {
            rows(out, schema, &format!("{path}.*[]"), item, &Value::Null);
        }
    }
}

/// The values that the schema allows for a field, each with its description if there is one; empty if the schema allows any value.
fn choices(definition: &Value) -> String {
    let each = definition["oneOf"].as_array().into_iter().flatten();
    let described = each.filter_map(|c| Some(format!("<br>`{}`: {}", c["const"].as_str()?, sentence(&c["description"]))));
    let plain: Vec<String> =
        definition["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
    let plain = if plain.is_empty() { String::new() } else { format!(" One of {}.", plain.join(", ")) };
    described.collect::<String>() + &plain
}

/// The type of a field in the table, such as `list of text`.
fn kind(schema: &Value, field: &Value) -> String {
    if field["items"].is_object() {
        return format!("list of {}", kind(schema, &field["items"]));
    }
    let known = reference(field).or_else(|| field["anyOf"].as_array()?.iter().find_map(reference));
    match known {
        Some("Duration") => return "duration".into(),
        Some("Cidr") => return "network".into(),
        Some("IpAddress") => return "IP address".into(),
        Some("KubeVersion") => return "version".into(),
        Some(_) if resolved(schema, field)["properties"].is_object() => return "map".into(),
        Some(_) => return "word".into(),
        None => {}
    }
    let types = &field["type"];
    let name = types.as_str().or_else(|| types.as_array()?.iter().filter_map(Value::as_str).find(|t| *t != "null"));
    match name {
        Some("boolean") => "boolean".into(),
        Some("integer") => format!("number from {} to {}", field["minimum"], field["maximum"]),
        Some("object") => "map".into(),
        _ => "text".into(),
    }
}

/// The definition in the schema to which the `$ref` of a field leads, or the field itself if it has no `$ref`.
fn resolved<'s>(schema: &'s Value, field: &'s Value) -> &'s Value {
    let name = reference(field).or_else(|| field["anyOf"].as_array()?.iter().find_map(reference));
    name.map_or(field, |name| &schema["$defs"][name])
}

fn reference(field: &Value) -> Option<&str> {
    field["$ref"].as_str()?.strip_prefix("#/$defs/")
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// A description on one line, with a full stop.
fn sentence(description: &Value) -> String {
    let text = description.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() || text.ends_with('.') { text } else { text + "." }
}
