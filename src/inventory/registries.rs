//! The inventory's places of images: where containerd looks for the images of a registry, and how it identifies itself there.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The key of `artifacts.registryMirrors` for all registries that have no entry of their own. containerd gives the name this meaning.
pub const DEFAULT_REGISTRY: &str = "_default";

/// The entries of `artifacts.registryMirrors`, by registry.
pub type RegistryMirrors = BTreeMap<String, Vec<RegistryMirror>>;

/// A place where containerd looks for the images of a registry: a mirror, or the registry itself.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegistryMirror {
    /// URL of the mirror, or of the registry itself.
    #[schemars(example = &"https://registry.example.org:5000")]
    pub url: String,
    /// Certificates of the authorities that may have signed the certificate of the server, in addition to those that the host trusts: a PEM file on
    /// this machine, relative to the inventory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"registry-ca.crt")]
    pub ca_file: Option<String>,
    /// User for HTTP basic authentication; it needs `passwordFile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"puller")]
    pub username: Option<String>,
    /// A file on this machine, relative to the inventory, that has the password of `username` on one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"registry-password")]
    pub password_file: Option<String>,
    /// Additional headers of each request. They are not secret: the plan shows them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Whether the URL contains the whole path of the API, so that containerd does not append `/v2` to it.
    #[serde(default)]
    pub override_path: bool,
}

impl RegistryMirror {
    /// Whether the entry has only a URL.
    pub fn is_plain(&self) -> bool {
        *self == RegistryMirror::from(self.url.as_str())
    }

    /// Whether the entry is the registry of this name itself, and no mirror of it.
    pub fn is_registry(&self, name: &str) -> bool {
        let host = self.url.split_once("://").map_or("", |(_, rest)| rest.strip_suffix('/').unwrap_or(rest));
        host == server_name(name)
    }
}

impl From<&str> for RegistryMirror {
    fn from(url: &str) -> Self {
        RegistryMirror { url: url.into(), ..RegistryMirror::default() }
    }
}

/// The host and port at which a registry answers. Only for Docker Hub do they differ from the name of the registry.
pub fn server_name(registry: &str) -> &str {
    if registry == "docker.io" { "registry-1.docker.io" } else { registry }
}

/// An entry as the operator writes it: a URL alone, or a mapping.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Written {
    /// The URL alone.
    Url(String),
    Mirror(RegistryMirror),
}

/// Reads and writes the entries; an entry that has only a URL is written as text.
pub(super) mod written {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{RegistryMirror, RegistryMirrors, Written};
    use std::collections::BTreeMap;

    pub fn serialize<S: Serializer>(mirrors: &RegistryMirrors, to: S) -> Result<S::Ok, S::Error> {
        let one = |m: &RegistryMirror| if m.is_plain() { Written::Url(m.url.clone()) } else { Written::Mirror(m.clone()) };
        let all: BTreeMap<&String, Vec<Written>> = mirrors.iter().map(|(name, list)| (name, list.iter().map(one).collect())).collect();
        all.serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<RegistryMirrors, D::Error> {
        let all = BTreeMap::<String, Vec<Written>>::deserialize(from)?;
        let one = |written| match written {
            Written::Url(url) => RegistryMirror::from(url.as_str()),
            Written::Mirror(mirror) => mirror,
        };
        Ok(all.into_iter().map(|(name, list)| (name, list.into_iter().map(one).collect())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_entry_is_the_registry_itself() {
        let is = |url: &str, name| RegistryMirror::from(url).is_registry(name);
        assert!(is("https://r:5000", "r:5000") && is("http://r:5000/", "r:5000") && is("https://registry-1.docker.io", "docker.io"));
        assert!(!is("https://r:5000/proxy", "r:5000") && !is("https://r", "r:5000") && !is("https://docker.io", "docker.io"));
    }
}
