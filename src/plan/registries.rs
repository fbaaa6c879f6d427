//! The registries of the inventory with the operator's files about them: the files by which containerd on a host finds and opens each registry, and the
//! places where a host is asked for images before a run.

use std::collections::BTreeMap;

use base64::Engine;

use crate::facts::{FileFact, HostFacts, sources};
use crate::host::Secret;
use crate::inventory::{DEFAULT_REGISTRY, RegistryMirror, server_name};
use crate::layout;
use crate::render::{self, containerd::Place};
use crate::step::{Content, File};

/// The HTTP header that has the user and the password.
const AUTHORIZATION: &str = "Authorization";

/// A registry of `artifacts.registryMirrors`.
pub struct Registry {
    pub name: String,
    pub mirrors: Vec<Mirror>,
}

/// An entry of a registry, with the contents of its files.
pub struct Mirror {
    pub written: RegistryMirror,
    /// The certificates in `caFile`, as PEM.
    pub ca: Option<String>,
    /// The password in `passwordFile`.
    pub password: Option<Secret>,
}

impl Mirror {
    /// The value of the header [`AUTHORIZATION`] for HTTP basic authentication; `None` without a user.
    fn authorization(&self) -> Option<String> {
        let (user, password) = (self.written.username.as_ref()?, self.password.as_ref()?);
        let pair = Secret::from([user.as_bytes(), b":", password.expose()].concat());
        Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair.expose())))
    }

    fn headers(&self) -> BTreeMap<String, String> {
        let own = self.authorization().map(|value| (AUTHORIZATION.to_string(), value));
        self.written.headers.clone().into_iter().chain(own).collect()
    }

    /// The URL below which the API of the registry is, as containerd derives it.
    fn api(&self) -> String {
        let url = self.written.url.trim_end_matches('/');
        if self.written.override_path || url.ends_with("/v2") { url.into() } else { format!("{url}/v2") }
    }
}

impl Registry {
    fn folder(&self) -> String {
        format!("{}/{}", layout::CONTAINERD_CERTS_DIR, self.name)
    }

    /// The path on a host of the certificates for the entry at this index.
    fn ca_path(&self, index: usize) -> String {
        format!("{}/ca-{}.crt", self.folder(), index + 1)
    }

    /// The entry that is the registry itself.
    fn own(&self) -> Option<usize> {
        self.mirrors.iter().position(|m| m.written.is_registry(&self.name))
    }

    /// The paths of all files of the registry on a host.
    pub(super) fn paths(&self) -> Vec<String> {
        let authorities = self.mirrors.iter().enumerate().filter(|(_, m)| m.ca.is_some()).map(|(i, _)| self.ca_path(i));
        authorities.chain([format!("{}/hosts.toml", self.folder())]).collect()
    }

    /// The files of the registry as they should be on a host. The certificates come before the file that names them. A file with a password is secret;
    /// so is one that replaces a file with a password, because the plan would show the password as a line that goes.
    pub(super) fn files(&self, f: &HostFacts) -> Vec<File> {
        let authority = |(i, m): (usize, &Mirror)| {
            let content = format!("# Written by clusterctl; changes are lost.\n{}", m.ca.as_ref()?);
            Some(File::text(self.ca_path(i), content))
        };
        let place = |(i, m): (usize, &Mirror)| Place {
            url: m.written.url.clone(),
            ca: m.ca.as_ref().map(|_| self.ca_path(i)),
            headers: m.headers(),
            override_path: m.written.override_path,
        };
        let places: Vec<Place> = self.mirrors.iter().enumerate().map(place).collect();
        let content = render::containerd::hosts_toml(&self.name, &places, self.own().map(|i| &places[i]));
        let path = format!("{}/hosts.toml", self.folder());
        let has_password = self.mirrors.iter().any(|m| m.authorization().is_some());
        let secret = has_password || f.files.get(&path).is_some_and(|now| is_private(now) || f.text(&path).is_some_and(has_credentials));
        let hosts = File {
            path,
            content: Content::Bytes(Secret::from(content)),
            mode: if has_password { 0o600 } else { 0o644 },
            secret,
            unit: None,
            check: None,
        };
        self.mirrors.iter().enumerate().filter_map(authority).chain([hosts]).collect()
    }

    /// The places where containerd looks for the images of the registry, in this order.
    fn places(&self) -> Vec<sources::Place> {
        let place = |m: &Mirror| sources::Place {
            api: m.api(),
            // containerd tells a mirror which registry is meant.
            is_mirror: !m.written.is_registry(&self.name),
            headers: m.headers().into_iter().map(|(name, value)| (name, Secret::from(value))).collect(),
            ca: m.ca.clone(),
            is_plain: m.written.is_plain(),
            has_password: m.authorization().is_some(),
        };
        self.mirrors.iter().map(place).collect()
    }
}

/// Whether only root can read a file.
fn is_private(file: &FileFact) -> bool {
    file.mode & 0o077 == 0
}

/// Whether a file for containerd has a user's password or token in it.
fn has_credentials(hosts_toml: &str) -> bool {
    hosts_toml.to_ascii_lowercase().contains("authorization")
}

/// The places where containerd looks for the images of each registry, the registry itself included. The places under the empty name are those of the
/// registries that have no entry.
pub fn places(registries: &[Registry]) -> sources::Places {
    let all = registries.iter().map(|r| {
        let name = if r.name == DEFAULT_REGISTRY { String::new() } else { r.name.clone() };
        let last = (r.own().is_none() && !name.is_empty()).then(|| sources::Place::of_registry(server_name(&name)));
        (name, r.places().into_iter().chain(last).collect())
    });
    all.collect()
}
