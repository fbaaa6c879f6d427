//! Bootstrap tokens: the Secret that makes a token known to the API server, and the kubeconfig with which a joining kubelet presents the token.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::host::Secret;
use crate::render::{Credential, Ctx, kubeconfig};

/// The Secret of a bootstrap token for joining nodes. `expiry` is an RFC 3339 time in UTC.
pub fn bootstrap_token(id: &str, secret: &str, expiry: &str, description: &str) -> Value {
    bootstrap_token_for(id, secret, expiry, description, &["authentication", "signing"], &[DEFAULT_GROUP])
}

/// kubeadm's group for joining nodes. Its members may request the client certificate of a kubelet.
pub const DEFAULT_GROUP: &str = "system:bootstrappers:kubeadm:default-node-token";

/// The Secret of a bootstrap token with these usages (`authentication`, `signing`) and groups. If `expiry` is empty, the token never expires.
pub fn bootstrap_token_for(id: &str, secret: &str, expiry: &str, description: &str, usages: &[&str], groups: &[&str]) -> Value {
    let groups = groups.join(",");
    let used = usages.iter().map(|u| (format!("usage-bootstrap-{u}"), "true"));
    let data: Map<String, Value> = [
        ("auth-extra-groups", groups.as_str()),
        ("description", description),
        ("expiration", expiry),
        ("token-id", id),
        ("token-secret", secret),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .chain(used)
    .filter(|(_, value)| !value.is_empty())
    .map(|(key, value)| (key, STANDARD.encode(value).into()))
    .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": format!("bootstrap-token-{id}"), "namespace": "kube-system" },
        "type": "bootstrap.kubernetes.io/token",
        "data": data,
    })
}

/// The content of bootstrap-kubelet.conf. `token` has the form `id.secret`.
pub fn bootstrap_kubeconfig(ctx: &Ctx<'_>, ca_pem: &str, token: &Secret) -> Secret {
    let server = format!("https://{}", ctx.endpoint);
    kubeconfig(&ctx.inv.cluster.name, "tls-bootstrap-token-user", &server, ca_pem, &Credential::Token(token))
}
