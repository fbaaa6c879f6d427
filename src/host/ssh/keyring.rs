//! The private keys of a run. Each key is read once and unlocked once, with the operator's passphrase or the passphrase in a file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::{PrivateKey, PublicKey, decode_secret_key};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::{Ask, Question};
use crate::host::{HostError, Secret};

/// The private keys that have been read, each under the path of its file.
pub struct KeyRing {
    secrets: Secrets,
    keys: Mutex<HashMap<PathBuf, Key>>,
}

/// A private key file.
#[derive(Clone)]
pub enum Key {
    Open(Arc<PrivateKey>),
    /// The key needs a passphrase. Its public half is known if the format contains it or a `.pub` file exists beside the key.
    Locked(Option<PublicKey>),
    /// There was no passphrase to unlock the key, so the key is not offered to any host.
    Closed,
}

impl KeyRing {
    pub fn new(secrets: Secrets) -> Self {
        KeyRing { secrets, keys: Mutex::default() }
    }

    /// Reads a key; `None` if there is no such file.
    pub async fn read(&self, path: &Path) -> Result<Option<Key>, HostError> {
        let mut keys = self.keys.lock().await;
        if let Some(key) = keys.get(path) {
            return Ok(Some(key.clone()));
        }
        let text = match read_text(path).await {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(HostError::local(format!("cannot read the key `{}`", path.display()), e)),
        };
        let key = match decode_secret_key(&text, None) {
            Ok(key) => Key::Open(Arc::new(key)),
            Err(_) if is_locked(&text) => Key::Locked(public_half(path, &text).await),
            Err(e) => return Err(HostError::local(format!("cannot use the key `{}`", path.display()), e)),
        };
        keys.insert(path.to_path_buf(), key.clone());
        Ok(Some(key))
    }

    /// Unlocks a locked key. If several hosts need the same key at the same time, the operator is asked once, and the other hosts wait for the
    /// answer.
    pub async fn unlock(&self, path: &Path) -> Result<(), HostError> {
        let mut keys = self.keys.lock().await;
        if !matches!(keys.get(path), Some(Key::Locked(_))) {
            return Ok(());
        }
        let text = read_text(path).await.map_err(|e| HostError::local(format!("cannot read the key `{}`", path.display()), e))?;
        let Some(passphrase) = self.secrets.answer(Question::Passphrase { key: path.to_path_buf() }).await? else {
            keys.insert(path.to_path_buf(), Key::Closed);
            return Ok(());
        };
        // Deriving the key from the passphrase is slow on purpose, so it runs on a thread for blocking work.
        let decoded = blocking(move || decode_secret_key(&text, std::str::from_utf8(passphrase.expose()).ok())).await?;
        let key =
            decoded.map_err(|_| HostError::Local { what: format!("wrong passphrase for the key `{}`", path.display()), source: None })?;
        keys.insert(path.to_path_buf(), Key::Open(Arc::new(key)));
        Ok(())
    }
}

/// Where a secret comes from: the file if there is one, or else the operator.
pub struct Secrets {
    pub ask: Ask,
    pub file: Option<PathBuf>,
}

impl Secrets {
    pub async fn answer(&self, question: Question) -> Result<Option<Secret>, HostError> {
        if let Some(path) = &self.file {
            let text = read_text(path).await.map_err(|e| HostError::local(format!("cannot read the secret in `{}`", path.display()), e))?;
            return Ok(Some(text.trim_end_matches(['\r', '\n']).into()));
        }
        let ask = Arc::clone(&self.ask);
        blocking(move || ask(&question)).await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, HostError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| HostError::local("an internal task broke off", e))
}

async fn read_text(path: &Path) -> std::io::Result<Zeroizing<String>> {
    let bytes = Zeroizing::new(tokio::fs::read(path).await?);
    Ok(Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()))
}

fn is_locked(text: &str) -> bool {
    let openssh = PrivateKey::from_openssh(text).is_ok_and(|key| key.is_encrypted());
    openssh || text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
}

async fn public_half(path: &Path, text: &str) -> Option<PublicKey> {
    if let Ok(key) = PrivateKey::from_openssh(text) {
        return Some(key.public_key().clone());
    }
    let mut beside = path.as_os_str().to_os_string();
    beside.push(".pub");
    PublicKey::from_openssh(&tokio::fs::read_to_string(beside).await.ok()?).ok()
}
