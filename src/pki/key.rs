//! Makes private keys, reads them, and writes them as kubeadm does.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize};
use zeroize::Zeroizing;

use super::der;
use crate::host::Secret;
use crate::inventory::KeyAlgorithm;

/// A private key and the content of its file.
pub(super) struct Key {
    pub pair: KeyPair,
    pub pem: Secret,
}

impl Key {
    /// A new key.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Key, String> {
        let made = match algorithm {
            KeyAlgorithm::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
            KeyAlgorithm::Rsa3072 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072),
            KeyAlgorithm::Rsa4096 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_4096),
            KeyAlgorithm::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            KeyAlgorithm::EcdsaP384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
        };
        let pair = made.map_err(|e| e.to_string())?;
        let pem = traditional(&pair).ok_or("the new key has an unexpected form")?;
        Ok(Key { pair, pem })
    }

    /// Reads the private key in a PEM file (PKCS#1, SEC1 or PKCS#8), whatever else the file contains.
    pub fn read(file: &Secret) -> Result<Key, String> {
        let blocks = pem::parse_many(file.expose()).map_err(|e| e.to_string())?;
        let block = blocks.into_iter().find(|b| b.tag().ends_with("PRIVATE KEY")).ok_or("no private key in it")?;
        let der = Zeroizing::new(block.into_contents());
        let pair = KeyPair::try_from(der.as_slice()).map_err(|e| e.to_string())?;
        Ok(Key { pair, pem: file.clone() })
    }

    /// Whether `public` is the public half of this key.
    pub fn has_public(&self, public: &[u8]) -> bool {
        self.public_bits() == public
    }

    /// The public half in the form of the key bits in a certificate.
    pub fn public_bits(&self) -> &[u8] {
        self.pair.der_bytes()
    }

    /// The public half as SubjectPublicKeyInfo.
    pub fn public_der(&self) -> Vec<u8> {
        self.pair.subject_public_key_info()
    }

    /// The public half as a `PUBLIC KEY` file.
    pub fn public_pem(&self) -> String {
        encode("PUBLIC KEY", &self.public_der())
    }
}

/// PEM as Go writes it: lines of 64 characters and a newline at the end.
pub(super) fn encode(tag: &str, der: &[u8]) -> String {
    let body = Zeroizing::new(STANDARD.encode(der));
    let mut out = String::with_capacity(body.len() + body.len() / 64 + 64 + 2 * tag.len());
    out.push_str(&format!("-----BEGIN {tag}-----\n"));
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    out.push_str(&format!("-----END {tag}-----\n"));
    out
}

/// Converts rcgen's PKCS#8 to `RSA PRIVATE KEY` (PKCS#1) or `EC PRIVATE KEY` (SEC1, with curve and public key). `None` if the key has an
/// unexpected form.
fn traditional(pair: &KeyPair) -> Option<Secret> {
    let pkcs8 = Zeroizing::new(pair.serialize_der());
    let mut outer = der::expect(&mut pkcs8.as_slice(), der::SEQUENCE)?;
    der::expect(&mut outer, der::INTEGER)?;
    let mut algorithm = der::expect(&mut outer, der::SEQUENCE)?;
    let mut inner = der::expect(&mut outer, der::OCTET_STRING)?;
    der::take(&mut algorithm)?;
    if pair.algorithm() == &PKCS_RSA_SHA256 {
        return Some(encode("RSA PRIVATE KEY", inner).into());
    }
    let curve = der::take(&mut algorithm)?.whole;
    let mut fields = der::expect(&mut inner, der::SEQUENCE)?;
    let version = der::take(&mut fields)?.whole;
    let secret = der::take(&mut fields)?.whole;
    let public = der::element(der::BIT_STRING, &[&[0], pair.der_bytes()]);
    let fields = [version, secret, &der::element(0xa0, &[curve]), &der::element(0xa1, &[&public])];
    let sec1 = Zeroizing::new(der::element(der::SEQUENCE, &fields));
    Some(encode("EC PRIVATE KEY", &sec1).into())
}
