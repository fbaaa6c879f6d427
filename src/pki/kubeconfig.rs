//! Writes kubeconfigs as kubeadm does, and reads existing ones.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use super::cert::Cert;
use super::fault::Reason;
use crate::host::Secret;
use crate::yaml;

/// The credential of the user in a kubeconfig.
pub enum Credential<'a> {
    /// The certificate and the key are in the kubeconfig.
    Inline {
        cert_pem: &'a str,
        key_pem: &'a Secret,
    },
    /// The certificate and the key are both in another file, which has this path.
    File(&'a str),
    Token(&'a Secret),
}

/// A kubeconfig with one cluster, one user and one context, `<user>@<cluster>`. `server` is a URL.
pub fn kubeconfig(cluster: &str, user: &str, server: &str, ca_pem: &str, credential: &Credential<'_>) -> Secret {
    let [name, who, at] = [cluster, user, &format!("{user}@{cluster}")].map(yaml::scalar);
    let ca = STANDARD.encode(ca_pem);
    let head = format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {ca}\n    server: {}\n  name: {name}\n\
         contexts:\n- context:\n    cluster: {name}\n    user: {who}\n  name: {at}\ncurrent-context: {at}\nkind: Config\n\
         users:\n- name: {who}\n  user:\n",
        yaml::scalar(server)
    );
    let tail = Zeroizing::new(match credential {
        Credential::Inline { cert_pem, key_pem } => {
            let key = Zeroizing::new(STANDARD.encode(key_pem.expose()));
            format!("    client-certificate-data: {}\n    client-key-data: {}\n", STANDARD.encode(cert_pem), key.as_str())
        }
        Credential::File(path) => {
            let path = yaml::scalar(path);
            format!("    client-certificate: {path}\n    client-key: {path}\n")
        }
        Credential::Token(token) => {
            format!("    token: {}\n", Zeroizing::new(yaml::scalar(&String::from_utf8_lossy(token.expose()))).as_str())
        }
    });
    // The text is allocated once with its final size, because a growing vector would leave copies of the secret in memory.
    let mut out = Vec::with_capacity(head.len() + tail.len());
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(tail.as_bytes());
    out.into()
}

/// The current context of a kubeconfig, with the cluster and the user that it refers to.
pub(super) struct Current {
    pub context: String,
    pub cluster: String,
    pub user: String,
    pub server: String,
    /// Certificates of `certificate-authority-data`.
    pub trust: Vec<Cert>,
    pub cert: Option<Secret>,
    pub key: Option<Secret>,
    /// The path in `client-certificate` and `client-key`. `None` if they do not have the same path.
    pub file: Option<String>,
}

impl Current {
    pub fn read(file: &Secret) -> Result<Current, Reason> {
        let unreadable = |what: &str| Reason::Unreadable(what.into());
        let config: Value = serde_yaml::from_slice(file.expose()).map_err(|_| unreadable("no YAML"))?;
        let context = text(&config["current-context"]);
        let entry = named(&config["contexts"], &context).ok_or_else(|| unreadable("no such current context"))?;
        let [cluster, user] = ["cluster", "user"].map(|key| text(&entry["context"][key]));
        let there = named(&config["clusters"], &cluster).map(|c| &c["cluster"]).ok_or_else(|| unreadable("no such cluster"))?;
        let who = named(&config["users"], &user).map(|u| &u["user"]).ok_or_else(|| unreadable("no such user"))?;
        let data = |value: &Value| value.as_str().and_then(|v| STANDARD.decode(v).ok()).map(Secret::from);
        let trust = data(&there["certificate-authority-data"]).and_then(|pem| Cert::read_all(pem.expose()).ok());
        let paths = ["client-certificate", "client-key"].map(|key| text(&who[key]));
        Ok(Current {
            server: text(&there["server"]),
            trust: trust.unwrap_or_default(),
            cert: data(&who["client-certificate-data"]),
            key: data(&who["client-key-data"]),
            file: (paths[0] == paths[1] && !paths[0].is_empty()).then(|| paths[0].clone()),
            context,
            cluster,
            user,
        })
    }
}

fn named<'a>(list: &'a Value, name: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|entry| entry["name"].as_str() == Some(name))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
