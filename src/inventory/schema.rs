//! The patterns, descriptions and examples that the JSON Schema has for the texts in an inventory.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::version::KubeVersion;

/// The pattern of an RFC 1123 label.
pub(super) const LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// The pattern of an RFC 1123 subdomain: labels with dots between them.
pub(super) const SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// The pattern of permission bits in octal.
pub(super) const MODE: &str = "^0?[0-7]{3}$";

/// Defines types for texts that have their own parser, such as durations. Each type gets a definition of the same name in the JSON Schema, and
/// `Form::ALL` maps this name to the parser.
macro_rules! text_type {
    ($(#[doc = $doc:literal] $name:ident: $pattern:literal, $examples:tt;)*) => { $(
        #[doc = $doc]
        pub(super) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": $doc.trim(), "pattern": $pattern, "examples": $examples })
            }
        }
    )* };
}

text_type! {
    /// A number with a unit: `500ms`, `90s`, `5m`, `24h`, `365d`.
    Duration: "^[0-9]+(ms|s|m|h|d)$", ["90s", "5m", "24h", "365d"];
    /// A network in CIDR notation, its host bits zero.
    Cidr: "^[0-9a-fA-F.:]+/[0-9]{1,3}$", ["10.244.0.0/16", "fd00:10:244::/56"];
    /// The content of a file, which may have several lines.
    FileContent: "^", ["apiVersion: audit.k8s.io/v1"];
    /// An IPv4 or IPv6 address.
    IpAddress: "^[0-9a-fA-F.:]+$", ["192.0.2.11", "2001:db8::11"];
}

impl JsonSchema for KubeVersion {
    fn schema_name() -> Cow<'static, str> {
        "KubeVersion".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A Kubernetes version, `vX.Y.Z`.",
            "pattern": r"^v[0-9]+\.[0-9]+\.[0-9]+",
            "examples": ["v1.36.2"],
        })
    }
}

/// Adds `master` as an alias of `control-plane`, because serde accepts it too.
pub(super) fn add_master_alias(schema: &mut Schema) {
    if let Some(choices) = schema.get_mut("oneOf").and_then(Value::as_array_mut) {
        choices.push(json!({ "type": "string", "const": "master", "description": "Alias of `control-plane`." }));
    }
}

/// A list with one item, as an example in the JSON Schema. It is a function, because schemars accepts array literals only if syn has its feature
/// `full`.
pub(super) fn list(item: &str) -> Value {
    json!([item])
}

pub(super) fn flags_example() -> Value {
    json!({ "v": "4" })
}

pub(super) fn mirrors_example() -> Value {
    json!({ "docker.io": ["https://mirror.example.org"] })
}
