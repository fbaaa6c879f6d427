//! Files that the operator provides in addition to the inventory: an existing PKI, the certificates for an external etcd, files for control planes, and
//! manifests of Kubernetes objects from files or the web.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use serde_json::Value;

use super::kubernetes_yaml;
use super::stop::Stop;
use crate::error::{Exit, chain};
use crate::host::Secret;
use crate::inventory::{self, Inventory};
use crate::pki::ExternalEtcdFiles;
use crate::plan::files::ControlPlaneFile;

/// The files that are read from the operator's PKI folder, by their paths below it. Other files in the folder are ignored.
const PKI_FILES: [&str; 8] =
    ["ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "etcd/ca.crt", "etcd/ca.key", "sa.key", "sa.pub"];

/// The largest size of a file of `controlPlane.files` in bytes. Each observation of a host reads these files.
const MAX_FILE: u64 = 1 << 20;

/// How long a web server may take to deliver a manifest.
const LIMIT: Duration = Duration::from_secs(30);

/// Why a file that the operator named cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    #[error("cannot read `{path}`")]
    Read {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot get `{url}`")]
    Get {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("`{from}` is not YAML that Kubernetes can read: {cause}")]
    Yaml { from: String, cause: String },
    #[error("`{from}` has an object without apiVersion, kind or metadata.name")]
    Object { from: String },
    #[error("`{path}` has {size} bytes; a file for control planes has at most {MAX_FILE}")]
    TooLarge { path: String, size: u64 },
    #[error("there is nothing to use in the PKI folder `{path}`")]
    EmptyPki { path: String },
    #[error("`{path}` has no certificate that can be used: {cause}")]
    NoCertificate { path: String, cause: String },
    #[error("`{path}` is empty, and must have a password on one line")]
    NoPassword { path: String },
    #[error("`{path}` has more than a password on one line: the character at byte {at} is a control character, or the file is not UTF-8")]
    NotOneLine { path: String, at: usize },
}

/// The reason to stop because of a file that cannot be used.
pub fn unusable(fault: FileFault) -> Stop {
    Stop::with(Exit::Inventory).error(chain(&fault), "mend the file or its path in the inventory")
}

/// Reads the operator's PKI from the folder `pki.existing` of the inventory. Returns the files by their paths below this folder, or nothing if the
/// inventory names no folder. If the folder's path is relative, it starts at the folder of the inventory.
pub fn pki(inv: &Inventory, inventory_file: &Path) -> Result<BTreeMap<String, Secret>, FileFault> {
    let Some(folder) = &inv.pki.existing else { return Ok(BTreeMap::new()) };
    let folder = beside(inventory_file, folder);
    let mut out = BTreeMap::new();
    for name in PKI_FILES {
        let path = folder.join(name);
        match std::fs::read(&path) {
            Ok(bytes) => drop(out.insert(name.to_string(), Secret::from(bytes))),
            // A missing file is no error: the key of a CA may be kept elsewhere, and a CA whose certificate and key are both missing is taken from
            // the hosts or generated.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(FileFault::Read { path: path.display().to_string(), source }),
        }
    }
    if out.is_empty() { Err(FileFault::EmptyPki { path: folder.display().to_string() }) } else { Ok(out) }
}

/// Reads the CA certificate, the client certificate and the client key for an external etcd. `None` if the inventory names no external etcd.
pub fn external_etcd(inv: &Inventory, inventory_file: &Path) -> Result<Option<ExternalEtcdFiles>, FileFault> {
    let Some(external) = &inv.etcd.external else { return Ok(None) };
    let read = |file: &str| {
        let path = beside(inventory_file, file);
        std::fs::read(&path).map(Secret::from).map_err(|source| FileFault::Read { path: path.display().to_string(), source })
    };
    Ok(Some(ExternalEtcdFiles { ca: read(&external.ca_file)?, cert: read(&external.cert_file)?, key: read(&external.key_file)? }))
}

/// Reads the files of `controlPlane.files`. A relative path starts at the folder of the inventory.
pub fn control_plane(inv: &Inventory, inventory_file: &Path) -> Result<Vec<ControlPlaneFile>, FileFault> {
    let read = |file: &inventory::ControlPlaneFile| {
        let content = match &file.file {
            Some(name) => {
                let path = beside(inventory_file, name);
                let failed = |source| FileFault::Read { path: path.display().to_string(), source };
                let size = std::fs::metadata(&path).map_err(failed)?.len();
                if size > MAX_FILE {
                    return Err(FileFault::TooLarge { path: path.display().to_string(), size });
                }
                Secret::from(std::fs::read(&path).map_err(failed)?)
            }
            None => Secret::from(file.content.clone().unwrap_or_default()),
        };
        Ok(ControlPlaneFile::new(file, content))
    };
    inv.control_plane.files.iter().map(read).collect()
}

/// Reads the objects in the operator's manifests: first those of `network.cni.manifests`, then those of `addons.manifests`.
pub async fn manifests(inv: &Inventory, inventory_file: &Path) -> Result<Vec<Value>, FileFault> {
    let mut out = Vec::new();
    for from in inv.network.cni.manifests.iter().chain(&inv.addons.manifests) {
        let text = if from.starts_with("http://") || from.starts_with("https://") {
            get(from).await.map_err(|source| FileFault::Get { url: from.clone(), source })?
        } else {
            let path = beside(inventory_file, from);
            std::fs::read_to_string(&path).map_err(|source| FileFault::Read { path: path.display().to_string(), source })?
        };
        out.extend(objects(from, &text)?);
    }
    Ok(out)
}

async fn get(url: &str) -> Result<String, reqwest::Error> {
    let client = reqwest::Client::builder().timeout(LIMIT).build()?;
    client.get(url).send().await?.error_for_status()?.text().await
}

fn objects(from: &str, text: &str) -> Result<Vec<Value>, FileFault> {
    let mut out = Vec::new();
    for value in kubernetes_yaml::documents(text).map_err(|cause| FileFault::Yaml { from: from.into(), cause })? {
        match value["kind"].as_str() {
            // An empty document, as between two `---` lines, is skipped.
            None if value.is_null() => {}
            Some("List") => out.extend(value["items"].as_array().cloned().unwrap_or_default()),
            _ => out.push(value),
        }
    }
    out.iter_mut().for_each(encode_string_data);
    let named = |o: &Value| o["apiVersion"].is_string() && o["kind"].is_string() && o["metadata"]["name"].is_string();
    if out.iter().all(named) { Ok(out) } else { Err(FileFault::Object { from: from.into() }) }
}

/// Moves a Secret's `stringData` into its `data`, as the API server does. The API server never returns `stringData`, so a Secret that has it would
/// differ from every observation.
fn encode_string_data(object: &mut Value) {
    let Some(text) = object.as_object_mut().filter(|o| o.get("kind").is_some_and(|k| k == "Secret")).and_then(|o| o.remove("stringData"))
    else {
        return;
    };
    for (key, value) in text.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_string);
        object["data"][key] = base64::engine::general_purpose::STANDARD.encode(value).into();
    }
}

/// The file that a path in the inventory means: `~/` is the operator's home folder, and a relative path starts at the folder of the inventory.
pub(super) fn beside(inventory_file: &Path, path: &str) -> PathBuf {
    match path.strip_prefix("~/").zip(etcetera::home_dir().ok()) {
        Some((rest, home)) => home.join(rest),
        None => inventory_file.parent().unwrap_or(Path::new("")).join(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_lists_and_empty_documents_are_read() {
        let text = "---\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: A, metadata: {name: x}}\n---\napiVersion: v1\nkind: B\nmetadata: {name: z}\n";
        let kinds: Vec<String> = objects("f", text).expect("it is readable").iter().map(|o| o["kind"].to_string()).collect();
        assert_eq!(kinds, ["\"A\"", "\"B\""]);
    }

    #[test]
    fn the_text_of_a_secret_is_encoded_as_the_api_server_does_it() {
        let text = "{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {a: YQ==, b: Yg==}, stringData: {b: c}}";
        let secret = objects("f", text).expect("it is readable").remove(0);
        assert_eq!(secret["data"], serde_json::json!({"a": "YQ==", "b": "Yw=="}));
        assert!(secret.get("stringData").is_none());
    }

    #[test]
    fn an_object_without_a_name_is_refused() {
        assert!(matches!(objects("f", "apiVersion: v1\nkind: B\n"), Err(FileFault::Object { .. })));
    }
}
