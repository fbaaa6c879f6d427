//! Checks whether a host shows the key or certificate that known_hosts expects, and selects the algorithms to request from the host.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, EcdsaCurve, HashAlg, PublicKeyOrCertificate};
use russh::{Preferred, cipher, kex, mac};

use super::config::Endpoint;
use super::known_hosts::{Entry, KnownHosts, Marker, matches};
use crate::host::HostError;

/// What known_hosts contains about one host, and the names by which the host is looked up.
#[derive(Debug)]
pub struct Expectation {
    known: KnownHosts,
    /// The address as the operator wrote it, for messages.
    address: String,
    port: u16,
    /// The host name or the HostKeyAlias in lower case, as host certificates contain it.
    host: String,
    /// The name of the host in known_hosts: `host`, or `[host]:port` if the port is not 22 and there is no HostKeyAlias.
    name: String,
}

impl Expectation {
    pub fn new(known: KnownHosts, endpoint: &Endpoint) -> Self {
        let host = endpoint.host_key_alias.as_ref().unwrap_or(&endpoint.hostname).to_ascii_lowercase();
        let name = match (&endpoint.host_key_alias, endpoint.port) {
            (Some(_), _) | (None, 22) => host.clone(),
            (None, port) => format!("[{host}]:{port}"),
        };
        Expectation { known, address: endpoint.address.clone(), port: endpoint.port, host, name }
    }

    /// The algorithms that are offered. The algorithms of known host keys come first, so that a host with several keys shows a key that can be
    /// checked. SHA-1 is not offered; AES-GCM comes before ChaCha20, because it is twice as fast; sntrup761 is not offered, because it takes
    /// seven times the CPU time of curve25519.
    pub fn preferred(&self) -> Preferred {
        let all = key_algorithms();
        let held = |a: &Algorithm| self.all(Marker::Key).any(|e| same_family(&e.key.algorithm(), a));
        let (mut key, unknown): (Vec<_>, Vec<_>) = all.iter().cloned().partition(held);
        key.extend(unknown);
        let certificates = if self.all(Marker::Authority).next().is_some() { all } else { Vec::new() };
        Preferred {
            kex: Cow::Borrowed(&[
                kex::MLKEM768X25519_SHA256,
                kex::CURVE25519,
                kex::CURVE25519_PRE_RFC_8731,
                kex::ECDH_SHA2_NISTP256,
                kex::ECDH_SHA2_NISTP384,
                kex::ECDH_SHA2_NISTP521,
                kex::DH_GEX_SHA256,
                kex::DH_G16_SHA512,
                kex::DH_G18_SHA512,
                kex::DH_G14_SHA256,
                kex::EXTENSION_SUPPORT_AS_CLIENT,
                kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
            ]),
            key: Cow::Owned(key),
            host_key_certificates: Cow::Owned(certificates),
            cipher: Cow::Borrowed(&[
                cipher::AES_256_GCM,
                cipher::AES_128_GCM,
                cipher::CHACHA20_POLY1305,
                cipher::AES_256_CTR,
                cipher::AES_192_CTR,
                cipher::AES_128_CTR,
            ]),
            mac: Cow::Borrowed(&[mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM, mac::HMAC_SHA512, mac::HMAC_SHA256]),
            compression: Cow::Borrowed(&[russh::compression::NONE]),
        }
    }

    /// Checks the key or certificate that the host shows, and returns the reason if it is not accepted.
    pub fn check(&self, shown: &PublicKeyOrCertificate) -> Result<(), HostError> {
        match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.check_key(key.key_data()),
            PublicKeyOrCertificate::Certificate(certificate) => self.check_certificate(certificate, SystemTime::now()),
        }
    }

    fn check_key(&self, key: &KeyData) -> Result<(), HostError> {
        self.refuse_revoked(key)?;
        if self.entries(Marker::Key).any(|e| e.holds(key)) {
            return Ok(());
        }
        // Of several entries, the error names one with a key of the same algorithm, because it shows best what has changed.
        let same = self.entries(Marker::Key).find(|e| e.key.algorithm() == key.algorithm());
        if let Some(entry) = same.or_else(|| self.entries(Marker::Key).next()) {
            return Err(HostError::ChangedHostKey {
                address: self.address.clone(),
                port: self.port,
                algorithm: key.algorithm().to_string(),
                fingerprint: fingerprint(key),
                expected: format!("{} {}", entry.key.algorithm(), fingerprint(entry.key.key_data())),
                location: entry.location.clone(),
                revoked: false,
            });
        }
        // A key that is known under the bare host name is accepted for another port of that host.
        if self.all(Marker::Key).any(|e| e.holds(key)) {
            return Ok(());
        }
        Err(HostError::UnknownHostKey {
            address: self.address.clone(),
            port: self.port,
            algorithm: key.algorithm().to_string(),
            fingerprint: fingerprint(key),
            known_hosts: self.known.files.first().map(|f| f.display().to_string()).unwrap_or_default(),
        })
    }

    fn check_certificate(&self, certificate: &Certificate, now: SystemTime) -> Result<(), HostError> {
        self.refuse_revoked(certificate.public_key())?;
        self.refuse_revoked(certificate.signature_key())?;
        let Some(authority) = self.all(Marker::Authority).find(|e| e.holds(certificate.signature_key())) else {
            // The certificate is signed by another authority, so its key is checked like a plain key, as OpenSSH does.
            return self.check_key(certificate.public_key());
        };
        match certificate_fault(certificate, &self.host, now) {
            None => Ok(()),
            Some(reason) => {
                let signer = fingerprint(certificate.signature_key());
                let what =
                    format!("host certificate of `{}`, signed by {signer} ({}), is refused: {reason}", self.address, authority.location);
                Err(HostError::Local { what, source: None })
            }
        }
    }

    fn refuse_revoked(&self, key: &KeyData) -> Result<(), HostError> {
        match self.all(Marker::Revoked).find(|e| e.holds(key)) {
            None => Ok(()),
            Some(entry) => Err(HostError::ChangedHostKey {
                address: self.address.clone(),
                port: self.port,
                algorithm: key.algorithm().to_string(),
                fingerprint: fingerprint(key),
                expected: "this key as revoked".into(),
                location: entry.location.clone(),
                revoked: true,
            }),
        }
    }

    fn entries(&self, marker: Marker) -> impl Iterator<Item = &Entry> {
        self.known.about(&self.name).filter(move |e| e.marker == marker)
    }

    /// The entries under `name`, and those under the host name without the port, which OpenSSH tries second.
    fn all(&self, marker: Marker) -> impl Iterator<Item = &Entry> {
        self.entries(marker).chain(self.known.about(&self.host).filter(move |e| e.marker == marker))
    }
}

/// What is wrong with a host certificate whose authority is trusted for the host. `None` if the certificate is valid.
fn certificate_fault(certificate: &Certificate, host: &str, now: SystemTime) -> Option<String> {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let principals = certificate.valid_principals();
    if certificate.cert_type() != CertType::Host {
        Some("it is a user's certificate, not a host's".into())
    } else if matches!(certificate.signature().algorithm(), Algorithm::Rsa { hash: None } | Algorithm::Dsa) {
        Some("it is signed with SHA-1".into())
    } else if certificate.verify_signature().is_err() {
        Some("its signature is wrong".into())
    } else if now < certificate.valid_after() {
        Some("it is not valid yet".into())
    } else if now >= certificate.valid_before() {
        Some("it has expired".into())
    } else if let Some((name, _)) = certificate.critical_options().iter().next() {
        Some(format!("it has the critical option `{name}`, which is not understood"))
    } else if principals.is_empty() {
        Some("it names no host".into())
    } else if !principals.iter().any(|p| matches(&p.to_ascii_lowercase(), host)) {
        Some(format!("it is for `{}`, not for `{host}`", principals.join("`, `")))
    } else {
        None
    }
}

/// The fingerprint as `ssh-keygen -l` shows it.
pub fn fingerprint(key: &KeyData) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// The algorithms of host keys in order of preference. `ssh-rsa` is not among them, because it signs with SHA-1.
fn key_algorithms() -> Vec<Algorithm> {
    let curves = [EcdsaCurve::NistP256, EcdsaCurve::NistP384, EcdsaCurve::NistP521];
    let hashes = [HashAlg::Sha512, HashAlg::Sha256];
    [Algorithm::Ed25519]
        .into_iter()
        .chain(curves.map(|curve| Algorithm::Ecdsa { curve }))
        .chain(hashes.map(|hash| Algorithm::Rsa { hash: Some(hash) }))
        .collect()
}

/// Whether the same key can be used with both algorithms: an RSA key can sign with several hashes.
fn same_family(a: &Algorithm, b: &Algorithm) -> bool {
    a == b || matches!((a, b), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    /// A certificate that `ssh-keygen` makes with these options.
    fn certificate(options: &[&str]) -> Certificate {
        let folder = tempfile::tempdir().unwrap();
        for name in ["ca", "host"] {
            let make = ["-q", "-t", "ed25519", "-N", "", "-f", name];
            assert!(Command::new("ssh-keygen").args(make).current_dir(folder.path()).status().unwrap().success());
        }
        let sign = ["-q", "-I", "test", "-s", "ca", "-V", "-1m:+1h"];
        let mut command = Command::new("ssh-keygen");
        command.args(sign).args(options).arg("host.pub").current_dir(folder.path());
        assert!(command.status().unwrap().success());
        Certificate::from_openssh(std::fs::read_to_string(folder.path().join("host-cert.pub")).unwrap().trim()).unwrap()
    }

    #[test]
    fn faults_of_certificates() {
        let now = SystemTime::now();
        let hour = Duration::from_secs(3600);
        let fault = |options: &[&str], host, now| certificate_fault(&certificate(options), host, now).unwrap_or_default();
        assert_eq!(fault(&["-h", "-n", "a.example"], "a.example", now), "");
        assert_eq!(fault(&["-h", "-n", "*.example"], "a.example", now), "");
        assert_eq!(fault(&["-h", "-n", "a.example"], "b.example", now), "it is for `a.example`, not for `b.example`");
        assert_eq!(fault(&["-h"], "a.example", now), "it names no host");
        assert_eq!(fault(&["-n", "a.example"], "a.example", now), "it is a user's certificate, not a host's");
        assert_eq!(fault(&["-h", "-n", "a.example"], "a.example", now + 2 * hour), "it has expired");
        assert_eq!(fault(&["-h", "-n", "a.example"], "a.example", now - hour), "it is not valid yet");
        let critical = fault(&["-h", "-n", "a.example", "-O", "critical:new-rule@example=x"], "a.example", now);
        assert_eq!(critical, "it has the critical option `new-rule@example`, which is not understood");
    }

    #[test]
    fn a_changed_certificate_has_a_wrong_signature() {
        let mut bytes = certificate(&["-h", "-n", "a.example"]).to_bytes().unwrap();
        let at = bytes.windows(9).position(|w| w == b"a.example").unwrap();
        bytes[at] = b'b';
        let forged = Certificate::from_bytes(&bytes).unwrap();
        assert_eq!(certificate_fault(&forged, "b.example", SystemTime::now()).unwrap(), "its signature is wrong");
    }
}
