//! The configuration of an API server's encryption: which providers it has for each resource, in which order, and the file with the keys.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::host::Secret;
use crate::inventory::EncryptionProvider;
use crate::layout;
use crate::step::digest;

/// A way in which an API server can read and write values. The order is that of their age: `Identity` is the oldest, and a key with a higher number
/// is newer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Provider {
    /// Values in clear.
    Identity,
    Key(KeyId),
}

/// The identity of a key. It contains a digest of the key, so that two keys never have the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId {
    /// The number of the key: each new key gets a higher one than all keys that any control plane has.
    pub number: u32,
    digest: String,
    pub provider: EncryptionProvider,
}

/// The beginning of a value that is stored in clear, in the counts of stored values.
pub const PLAIN: &str = "plain";

/// The size of a key in bytes.
pub const KEY_BYTES: usize = 32;

impl KeyId {
    pub fn of(number: u32, provider: EncryptionProvider, key: &Secret) -> KeyId {
        KeyId { number, digest: digest(key.expose())[..8].into(), provider }
    }

    /// The name of the key in the configuration and in each value that is encrypted with it.
    pub fn name(&self) -> String {
        format!("key{}-{}", self.number, self.digest)
    }
}

/// The name of the provider in the configuration.
fn name_of(provider: EncryptionProvider) -> &'static str {
    match provider {
        EncryptionProvider::Secretbox => "secretbox",
        EncryptionProvider::Aescbc => "aescbc",
        EncryptionProvider::Identity => "identity",
    }
}

impl Provider {
    /// The beginning of the values that this provider writes, up to the last colon; [`PLAIN`] for values in clear.
    pub fn prefix(&self) -> String {
        match self {
            Provider::Identity => PLAIN.into(),
            Provider::Key(key) => format!("k8s:enc:{}:v1:{}:", name_of(key.provider), key.name()),
        }
    }

    /// The provider as an operator sees it: `identity`, or the name of the provider with the name of its key.
    pub fn shown(&self) -> String {
        match self {
            Provider::Identity => name_of(EncryptionProvider::Identity).into(),
            Provider::Key(key) => format!("{} {}", name_of(key.provider), key.name()),
        }
    }

    /// The kind of provider: two keys with the same kind stand side by side in a configuration.
    pub fn kind(&self) -> EncryptionProvider {
        match self {
            Provider::Identity => EncryptionProvider::Identity,
            Provider::Key(key) => key.provider,
        }
    }
}

/// The providers of an API server, by resource: it writes with the first one, and reads with each. A resource that is absent is stored in clear.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Config {
    lists: BTreeMap<String, Vec<Provider>>,
}

impl Config {
    /// The configuration with these providers. A resource that is only stored in clear is left out.
    pub fn new(lists: BTreeMap<String, Vec<Provider>>) -> Config {
        Config { lists: lists.into_iter().filter(|(_, list)| list[..] != [Provider::Identity]).collect() }
    }

    /// The providers for a resource; never empty.
    pub fn list(&self, resource: &str) -> Vec<Provider> {
        self.lists.get(resource).cloned().unwrap_or_else(|| vec![Provider::Identity])
    }

    pub fn resources(&self) -> impl Iterator<Item = &String> {
        self.lists.keys()
    }
}

/// Keys with their content.
pub type Ring = BTreeMap<KeyId, Secret>;

/// The file of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    pub path: String,
    pub content: Secret,
}

/// The file of this configuration, whose name has a digest of its content. `None` if nothing is encrypted, or if a key is not in the ring.
pub fn file(config: &Config, ring: &Ring) -> Option<KeyFile> {
    let content: Secret = text(config, ring)?.into();
    Some(KeyFile { path: path_of(&content), content })
}

/// The path of a file with this content.
pub fn path_of(content: &Secret) -> String {
    format!("{}/{}.yaml", layout::ENCRYPTION_DIR, &digest(content.expose())[..16])
}

fn text(config: &Config, ring: &Ring) -> Option<String> {
    if config.lists.is_empty() {
        return None;
    }
    let mut text = String::from(
        "# Written by clusterctl: the keys with which the API server encrypts what it stores in etcd.\n\
         apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n",
    );
    for (resource, list) in &config.lists {
        text += &format!("- resources:\n  - {resource}\n  providers:\n");
        for together in list.chunk_by(|a, b| a.kind() == b.kind()) {
            let kind = name_of(together[0].kind());
            if together[0] == Provider::Identity {
                text += "  - identity: {}\n";
                continue;
            }
            text += &format!("  - {kind}:\n      keys:\n");
            for provider in together {
                let Provider::Key(key) = provider else { continue };
                let secret = STANDARD.encode(ring.get(key)?.expose());
                text += &format!("      - name: {}\n        secret: {secret}\n", key.name());
            }
        }
    }
    Some(text)
}

/// Reads a file that clusterctl wrote. `None` if it is another one; the reason is not told, because it could have a part of a key.
pub fn read(content: &Secret) -> Option<(Config, Ring)> {
    let value: Value = serde_yaml::from_slice(content.expose()).ok()?;
    let (mut lists, mut ring) = (BTreeMap::new(), Ring::new());
    for group in value["resources"].as_array()? {
        let mut list = Vec::new();
        for provider in group["providers"].as_array()? {
            let (kind, about) = provider.as_object()?.iter().next()?;
            let kind = [EncryptionProvider::Secretbox, EncryptionProvider::Aescbc, EncryptionProvider::Identity]
                .into_iter()
                .find(|k| name_of(*k) == kind)?;
            if kind == EncryptionProvider::Identity {
                list.push(Provider::Identity);
                continue;
            }
            for key in about["keys"].as_array()? {
                let secret = Secret::from(STANDARD.decode(key["secret"].as_str()?).ok()?);
                let number = key["name"].as_str()?.strip_prefix("key")?.split_once('-')?.0.parse().ok()?;
                let id = KeyId::of(number, kind, &secret);
                (key["name"] == *id.name()).then_some(())?;
                ring.insert(id.clone(), secret);
                list.push(Provider::Key(id));
            }
        }
        for resource in group["resources"].as_array()? {
            lists.insert(resource.as_str()?.to_string(), list.clone());
        }
    }
    lists.values().all(|list: &Vec<Provider>| !list.is_empty()).then(|| (Config::new(lists), ring))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32, provider: EncryptionProvider) -> (Provider, KeyId, Secret) {
        let secret = Secret::from(vec![u8::try_from(number).expect("it is small"); KEY_BYTES]);
        let id = KeyId::of(number, provider, &secret);
        (Provider::Key(id.clone()), id, secret)
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let (new, new_id, new_secret) = key(2, EncryptionProvider::Secretbox);
        let (old, old_id, old_secret) = key(1, EncryptionProvider::Secretbox);
        let (other, other_id, other_secret) = key(3, EncryptionProvider::Aescbc);
        let ring = Ring::from([(new_id, new_secret), (old_id, old_secret), (other_id, other_secret)]);
        let secrets = vec![new, old, other.clone(), Provider::Identity];
        let config = Config::new([("secrets".to_string(), secrets), ("configmaps".to_string(), vec![Provider::Identity, other])].into());
        let file = file(&config, &ring).expect("all keys are there");
        assert_eq!(read(&file.content), Some((config, ring)));
        let text = std::str::from_utf8(file.content.expose()).expect("it is text");
        assert_eq!(text.matches("- secretbox:").count(), 1, "old API servers try only the first provider whose prefix fits: {text}");
        let changed = Secret::from(text.replace("secret: AQ", "secret: AA"));
        assert_eq!(read(&changed), None, "the name of a key has its digest");
        assert_ne!(path_of(&changed), file.path);
    }

    #[test]
    fn a_configuration_that_encrypts_nothing_has_no_file() {
        let config = Config::new([("secrets".to_string(), vec![Provider::Identity])].into());
        assert_eq!((file(&config, &Ring::new()), config.list("secrets")), (None, vec![Provider::Identity]));
    }

    #[test]
    fn other_files_are_not_read() {
        for text in ["", "- 1", "resources: []", "resources: [{resources: [secrets], providers: [{kms: {name: a}}]}]"] {
            assert!(read(&Secret::from(text)).is_none_or(|(config, _)| config == Config::default()), "{text}");
        }
    }
}
