//! The inventory's setting for the encryption of what API servers store in etcd.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// Encryption of what API servers store in etcd. clusterctl makes the keys, which stay on control-plane hosts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Encryption {
    /// How values are stored. `identity` stores them in clear again, and removes the keys.
    pub provider: EncryptionProvider,
    /// The resources that are encrypted: `secrets`, `configmaps`, `serviceaccounts` and `persistentvolumeclaims` are possible.
    #[serde(default = "secrets")]
    #[schemars(example = schema::list("secrets"))]
    pub resources: Vec<String>,
}

/// How values are stored, by the names of the providers of Kubernetes.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub enum EncryptionProvider {
    /// XSalsa20 and Poly1305.
    Secretbox,
    /// AES in CBC mode.
    Aescbc,
    /// In clear.
    Identity,
}

/// The resources that can be encrypted. All of them are in the API at `/api/v1/NAME`, and in etcd below `/registry/NAME/`, where their values are
/// counted before a key is removed.
pub const ENCRYPTABLE: [&str; 4] = ["secrets", "configmaps", "serviceaccounts", "persistentvolumeclaims"];

fn secrets() -> Vec<String> {
    vec!["secrets".into()]
}
