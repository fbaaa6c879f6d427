//! Logs in by public key: with key files, with their certificates, and with the keys of an ssh-agent.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::MethodKind;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::ssh_encoding::Encode;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{Certificate, HashAlg, PrivateKey, PublicKey, signature};
use tokio::net::UnixStream;

use super::client::Client;
use super::config::{Endpoint, IdentitySource};
use super::host_key::fingerprint;
use super::keyring::{Key, KeyRing};
use crate::host::HostError;

/// Why the log-in failed.
pub enum AuthFault {
    /// The key in this file is needed, and must be unlocked with its passphrase first.
    Locked(PathBuf),
    Failed(HostError),
}

impl From<HostError> for AuthFault {
    fn from(e: HostError) -> Self {
        AuthFault::Failed(e)
    }
}

/// A key or certificate that is offered to the host.
struct Candidate {
    /// The name of the key in messages.
    label: String,
    shown: AgentIdentity,
    prover: Prover,
}

#[derive(Clone)]
enum Prover {
    Key(Arc<PrivateKey>),
    Agent,
    /// The key in this file is locked: the host can be asked whether it would accept the key, but nothing can be signed.
    Nobody(PathBuf),
}

type Agent = AgentClient<UnixStream>;

/// Offers one key after another until the host accepts one. The host is asked about each key before anything is signed or unlocked.
pub async fn log_in(handle: &mut Handle<Client>, endpoint: &Endpoint, keys: &KeyRing) -> Result<(), AuthFault> {
    let mut tried = Vec::new();
    let (mut agent, held) = open_agent(handle, endpoint, &mut tried).await;
    for candidate in candidates(endpoint, keys, &held, &mut tried).await? {
        let hash = match is_rsa(&candidate.shown) {
            false => None,
            true => match handle.best_supported_rsa_hash().await {
                Ok(Some(None)) => {
                    tried.push(format!("{} (not offered: the host takes RSA with SHA-1 only)", candidate.label));
                    continue;
                }
                Ok(Some(hash)) => hash,
                // The host does not report which hashes it supports (`server-sig-algs`), because it is too old or configured not to. SHA-512 is tried
                // then.
                Ok(None) | Err(_) => Some(HashAlg::Sha512),
            },
        };
        tried.push(candidate.label);
        match offer(handle, endpoint, candidate.shown, hash, &candidate.prover, agent.as_mut()).await {
            Ok(AuthResult::Success) => return Ok(()),
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                if partial_success {
                    let more: Vec<&str> = remaining_methods.iter().map(Into::into).collect();
                    tried.push(format!("accepted, but the host wants {} as well", more.join(" or ")));
                }
                if handle.is_closed() {
                    tried.push("then the host hung up".into());
                    break;
                }
                if !remaining_methods.contains(&MethodKind::PublicKey) {
                    break;
                }
            }
            Err(SignFault::Locked(path)) => return Err(AuthFault::Locked(path)),
            Err(SignFault::Other(e)) => tried.push(format!("could not sign: {e}")),
        }
    }
    let tried = if tried.is_empty() { "no key found".to_string() } else { tried.join(", ") };
    Err(HostError::Authentication { user: endpoint.user.clone(), address: endpoint.address.clone(), tried }.into())
}

async fn offer(
    handle: &mut Handle<Client>,
    endpoint: &Endpoint,
    shown: AgentIdentity,
    hash: Option<HashAlg>,
    prover: &Prover,
    agent: Option<&mut Agent>,
) -> Result<AuthResult, SignFault> {
    let mut signer = Signer { prover, agent };
    match shown {
        AgentIdentity::PublicKey { key, .. } => handle.authenticate_publickey_with(&endpoint.user, key, hash, &mut signer).await,
        AgentIdentity::Certificate { certificate, .. } => {
            handle.authenticate_certificate_with(&endpoint.user, certificate, hash, &mut signer).await
        }
    }
}

/// The keys in the order in which they are offered: key files that the inventory names come before the agent's keys, other key files after them.
async fn candidates(
    endpoint: &Endpoint,
    keys: &KeyRing,
    held: &[AgentIdentity],
    tried: &mut Vec<String>,
) -> Result<Vec<Candidate>, AuthFault> {
    let mut files = Vec::new();
    let mut publics = Vec::new();
    for identity in &endpoint.keys.identities {
        let path = &identity.path;
        let label = path.display().to_string();
        let (public, own) = match keys.read(path).await? {
            Some(Key::Open(key)) => (key.public_key().clone(), Prover::Key(key)),
            Some(Key::Locked(Some(public))) => (public, Prover::Nobody(path.clone())),
            // Not even the public half of this key is known, so the key must be unlocked first.
            Some(Key::Locked(None)) => return Err(AuthFault::Locked(path.clone())),
            Some(Key::Closed) => {
                tried.push(format!("{label} (not offered: no passphrase)"));
                continue;
            }
            None if identity.source == IdentitySource::Config => continue,
            None => return Err(HostError::Local { what: format!("there is no key `{label}`"), source: None }.into()),
        };
        // The agent may hold the same key, already unlocked. Then the agent signs, and no passphrase is needed.
        let in_agent = held.iter().any(|h| h.public_key().key_data() == public.key_data());
        let prover = if in_agent && matches!(own, Prover::Nobody(_)) { Prover::Agent } else { own };
        for (file, certificate) in certificates(endpoint, path, &public).await {
            files.push(Candidate { label: file.display().to_string(), shown: certificate.into(), prover: prover.clone() });
        }
        files.push(Candidate { label: format!("{label} {}", fingerprint(public.key_data())), shown: public.clone().into(), prover });
        publics.push(public);
    }
    let of_agent = held.iter().filter(|h| {
        let listed = publics.iter().any(|p| p.key_data() == h.public_key().key_data());
        let is_key = matches!(h, AgentIdentity::PublicKey { .. });
        if listed { !is_key } else { !endpoint.keys.identities_only }
    });
    let of_agent: Vec<_> = of_agent
        .map(|h| Candidate {
            label: format!("agent key {} {}", h.comment(), fingerprint(h.public_key().key_data())),
            shown: h.clone(),
            prover: Prover::Agent,
        })
        .collect();
    let by_inventory = endpoint.keys.identities.iter().any(|i| i.source == IdentitySource::Inventory);
    let (mut first, then) = if by_inventory { (files, of_agent) } else { (of_agent, files) };
    first.extend(then);
    Ok(first)
}

/// The certificates for a key, among `<key>-cert.pub` next to the key file and the certificate files that ssh_config names. A file that cannot be
/// read or is for another key is skipped.
async fn certificates(endpoint: &Endpoint, path: &Path, public: &PublicKey) -> Vec<(PathBuf, Certificate)> {
    let mut beside = path.as_os_str().to_os_string();
    beside.push("-cert.pub");
    let mut found = Vec::new();
    for file in endpoint.keys.certificates.iter().cloned().chain([PathBuf::from(beside)]) {
        let Ok(text) = tokio::fs::read_to_string(&file).await else { continue };
        match Certificate::from_openssh(text.trim()) {
            Ok(certificate) if certificate.public_key() == public.key_data() => found.push((file, certificate)),
            _ => {}
        }
    }
    found
}

async fn open_agent(handle: &Handle<Client>, endpoint: &Endpoint, tried: &mut Vec<String>) -> (Option<Agent>, Vec<AgentIdentity>) {
    let Some(socket) = &endpoint.keys.agent else { return (None, Vec::new()) };
    let opened = async {
        let mut agent = AgentClient::connect_uds(socket).await?;
        if let Some(binding) = handle.agent_session_binding() {
            // Lets the agent restrict keys to certain hosts. An agent that does not know this request answers with an error, which is ignored.
            let _ = agent.bind_session(binding, false).await;
        }
        let held = agent.request_identities().await?;
        Ok::<_, russh::keys::Error>((agent, held))
    };
    match opened.await {
        Ok((agent, held)) => (Some(agent), held),
        Err(e) => {
            tried.push(format!("agent `{}`: {e}", socket.display()));
            (None, Vec::new())
        }
    }
}

fn is_rsa(shown: &AgentIdentity) -> bool {
    shown.public_key().algorithm().is_rsa()
}

/// Signs with the candidate's key or with the agent.
struct Signer<'a> {
    prover: &'a Prover,
    agent: Option<&'a mut Agent>,
}

enum SignFault {
    Locked(PathBuf),
    Other(String),
}

impl From<russh::SendError> for SignFault {
    fn from(_: russh::SendError) -> Self {
        SignFault::Other("the connection is gone".into())
    }
}

impl russh::Signer for Signer<'_> {
    type Error = SignFault;

    /// Appends the signature to the data that is signed.
    async fn auth_sign(&mut self, shown: &AgentIdentity, hash: Option<HashAlg>, mut data: Vec<u8>) -> Result<Vec<u8>, SignFault> {
        let other = |e: &dyn std::fmt::Display| SignFault::Other(e.to_string());
        match (self.prover, &mut self.agent) {
            (Prover::Nobody(path), _) => Err(SignFault::Locked(path.clone())),
            (Prover::Agent, Some(agent)) => agent.sign_request(shown, hash, data).await.map_err(|e| other(&e)),
            (Prover::Agent, None) => Err(SignFault::Other("no agent".into())),
            (Prover::Key(key), _) => {
                let signature = match key.key_data() {
                    KeypairData::Rsa(pair) => signature::Signer::try_sign(&(pair, hash), &data),
                    pair => signature::Signer::try_sign(pair, &data),
                };
                signature.map_err(|e| other(&e))?.encode_prefixed(&mut data).map_err(|e| other(&e))?;
                Ok(data)
            }
        }
    }
}
