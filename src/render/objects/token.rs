//! Bootstrap tokens: the Secret the API server knows one by, and the kubeconfig a joining kubelet shows one with.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::host::Secret;
use crate::render::{Credential, Ctx, kubeconfig};

/// The Secret of a bootstrap token; `expiry` as RFC 3339 in UTC.
pub fn bootstrap_token(id: &str, secret: &str, expiry: &str, description: &str) -> Value {
    let data: Map<String, Value> = [
        ("auth-extra-groups", "system:bootstrappers:kubeadm:default-node-token"),
        ("description", description),
        ("expiration", expiry),
        ("token-id", id),
        ("token-secret", secret),
        ("usage-bootstrap-authentication", "true"),
        ("usage-bootstrap-signing", "true"),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(key, value)| (key.to_owned(), STANDARD.encode(value).into()))
    .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": format!("bootstrap-token-{id}"), "namespace": "kube-system" },
        "type": "bootstrap.kubernetes.io/token",
        "data": data,
    })
}

/// bootstrap-kubelet.conf for this token, `id.secret`.
pub fn bootstrap_kubeconfig(ctx: &Ctx<'_>, ca_pem: &str, token: &Secret) -> Secret {
    let server = format!("https://{}", ctx.endpoint);
    kubeconfig(&ctx.inv.cluster.name, "tls-bootstrap-token-user", &server, ca_pem, &Credential::Token(token))
}
