//! The inventory's JSON Schema, for editors, for the reference documentation, and for clusterctl's own structural check.

use std::sync::OnceLock;

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

use super::types::Inventory;

/// The JSON Schema of an inventory (draft 2020-12).
pub fn schema() -> Value {
    cached().clone()
}

/// The JSON Schema of an inventory, which is generated on the first call only.
pub(super) fn cached() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let generator: SchemaGenerator = SchemaSettings::draft2020_12().into_generator();
        let mut schema = generator.into_root_schema_for::<Inventory>();
        schema.insert("title".into(), json!("clusterctl inventory"));
        schema.to_value()
    })
}
