//! A Kubernetes version as it is written: `vX.Y.Z`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `vX.Y.Z` of Kubernetes, ordered as a semantic version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KubeVersion(pub semver::Version);

impl KubeVersion {
    /// The minor number: 34 of `v1.34.2`.
    pub fn minor(&self) -> u64 {
        self.0.minor
    }
}

impl fmt::Display for KubeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl FromStr for KubeVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix('v').ok_or_else(|| format!("`{text}` is not a version such as `v1.34.2`"))?;
        semver::Version::parse(bare).map(KubeVersion).map_err(|_| format!("`{text}` is not a version such as `v1.34.2`"))
    }
}

impl Serialize for KubeVersion {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KubeVersion {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}
