//! Makes a certificate from a specification, or reads a certificate and compares it with a specification.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;
use rcgen::string::PrintableString;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, Issuer};
use rcgen::{KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm, SigningKey};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::der;
use super::fault::Reason;
use super::key::{self, Key};

/// The validity of a certificate begins this many seconds before the certificate is made, for hosts whose clocks are behind (kubeadm's value).
pub(super) const BACKDATED_SECONDS: i64 = 5 * 60;

/// The wanted content of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    pub cn: String,
    /// Organizations, which are the groups of a client.
    pub orgs: Vec<String>,
    pub usage: Usage,
    /// Subject alternative names in the order in which they are written.
    pub sans: Vec<San>,
}

/// The purpose of a certificate: its extended key usages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    Server,
    Client,
    Peer,
}

/// A subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum San {
    Dns(String),
    Ip(IpAddr),
}

/// A certificate that was read.
#[derive(Clone, Debug)]
pub(super) struct Cert {
    der: Vec<u8>,
    pub cn: String,
    pub issuer_cn: String,
    pub orgs: Vec<String>,
    pub is_ca: bool,
    usages: (bool, bool),
    sans: BTreeSet<San>,
    subject: Vec<u8>,
    issuer: Vec<u8>,
    /// Bits of the public key.
    pub public: Vec<u8>,
    key_id: Option<Vec<u8>>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

impl Usage {
    /// Two flags: whether the certificate is for servers, and whether it is for clients.
    fn flags(self) -> (bool, bool) {
        match self {
            Usage::Server => (true, false),
            Usage::Client => (false, true),
            Usage::Peer => (true, true),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Usage::Server => "a server's certificate",
            Usage::Client => "a client's certificate",
            Usage::Peer => "a server's and client's certificate",
        }
    }
}

impl std::fmt::Display for San {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            San::Dns(name) => f.write_str(name),
            San::Ip(ip) => write!(f, "{ip}"),
        }
    }
}

impl Cert {
    /// Every certificate in a PEM file, in order. A file without certificates is an error.
    pub fn read_all(pem: &[u8]) -> Result<Vec<Cert>, String> {
        let blocks = pem::parse_many(pem).map_err(|e| e.to_string())?;
        let ders = blocks.into_iter().filter(|b| b.tag() == "CERTIFICATE").map(pem::Pem::into_contents);
        let certs = ders.map(Cert::from_der).collect::<Result<Vec<_>, _>>()?;
        if certs.is_empty() { Err("no certificate in it".into()) } else { Ok(certs) }
    }

    fn from_der(der: Vec<u8>) -> Result<Cert, String> {
        let (_, x) = X509Certificate::from_der(&der).map_err(|e| e.to_string())?;
        let text = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| attribute.as_str().unwrap_or_default().to_owned();
        let usage = x.extended_key_usage().ok().flatten().map(|e| e.value);
        let names = x.subject_alternative_name().ok().flatten();
        let seconds = |t: x509_parser::time::ASN1Time| Timestamp::from_second(t.timestamp()).map_err(|e| e.to_string());
        let cert = Cert {
            cn: x.subject().iter_common_name().next().map(text).unwrap_or_default(),
            issuer_cn: x.issuer().iter_common_name().next().map(text).unwrap_or_default(),
            orgs: x.subject().iter_organization().map(text).collect(),
            is_ca: x.is_ca(),
            usages: usage.map_or((false, false), |u| (u.server_auth || u.any, u.client_auth || u.any)),
            sans: names.map(|n| n.value.general_names.iter().filter_map(san).collect()).unwrap_or_default(),
            subject: x.subject().as_raw().to_vec(),
            issuer: x.issuer().as_raw().to_vec(),
            public: x.public_key().subject_public_key.data.to_vec(),
            key_id: x.iter_extensions().find_map(|e| match e.parsed_extension() {
                x509_parser::extensions::ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
                _ => None,
            }),
            not_before: seconds(x.validity().not_before)?,
            not_after: seconds(x.validity().not_after)?,
            der: Vec::new(),
        };
        Ok(Cert { der, ..cert })
    }

    /// SHA-256 of the public key's DER in hexadecimal, which is the value for `kubeadm join --discovery-token-ca-cert-hash`.
    pub fn public_key_pin(&self) -> Option<String> {
        use sha2::Digest;
        let (_, x) = X509Certificate::from_der(&self.der).ok()?;
        Some(sha2::Sha256::digest(x.public_key().raw).iter().map(|b| format!("{b:02x}")).collect())
    }

    pub fn pem(&self) -> String {
        key::encode("CERTIFICATE", &self.der)
    }

    /// Whether two certificates are the same, byte by byte.
    pub fn same(&self, other: &Cert) -> bool {
        self.der == other.der
    }

    /// SHA-256 of the whole certificate, shortened for messages.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.der)
    }

    /// Whether the issuer of this certificate has the name of the authority, and the key of the authority made the signature.
    pub fn signed_by(&self, authority: &Cert) -> bool {
        let parsed = (X509Certificate::from_der(&self.der), X509Certificate::from_der(&authority.der));
        let (Ok((_, me)), Ok((_, ca))) = parsed else { return false };
        self.issuer == authority.subject && me.verify_signature(Some(ca.public_key())).is_ok()
    }

    /// The difference between this certificate and the specification. `None` if they agree. The signature and the lifetime are not compared.
    pub fn differs(&self, spec: &Spec) -> Option<Reason> {
        let subject = |cn: &str, orgs: &[String]| orgs.iter().map(|o| format!("O={o}, ")).collect::<String>() + &format!("CN={cn}");
        if self.cn != spec.cn || self.orgs != spec.orgs {
            return Some(Reason::OtherSubject { found: subject(&self.cn, &self.orgs), wanted: subject(&spec.cn, &spec.orgs) });
        }
        if self.usages != spec.usage.flags() || self.is_ca {
            return Some(Reason::OtherUsage { wanted: spec.usage.name() });
        }
        let wanted: BTreeSet<San> = spec.sans.iter().cloned().collect();
        if self.sans != wanted {
            let names = |a: &BTreeSet<San>, b: &BTreeSet<San>| a.difference(b).map(San::to_string).collect();
            return Some(Reason::OtherNames { lacking: names(&wanted, &self.sans), surplus: names(&self.sans, &wanted) });
        }
        None
    }
}

/// SHA-256, shortened for messages.
pub(super) fn fingerprint(bytes: &[u8]) -> String {
    Sha256::digest(bytes)[..6].iter().map(|b| format!("{b:02x}")).collect()
}

fn san(name: &GeneralName<'_>) -> Option<San> {
    match name {
        GeneralName::DNSName(name) => Some(San::Dns((*name).to_owned())),
        GeneralName::IPAddress(b) if b.len() == 4 => <[u8; 4]>::try_from(*b).ok().map(|b| San::Ip(b.into())),
        GeneralName::IPAddress(b) => <[u8; 16]>::try_from(*b).ok().map(|b| San::Ip(b.into())),
        _ => None,
    }
}

/// Makes a self-signed authority with this name. `validity` is in seconds.
pub(super) fn mint_authority(name: &str, key: &Key, now: Timestamp, validity: i64) -> Result<Cert, String> {
    let mut params = params(name, now, now.as_second() + validity)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    params.subject_alt_names = vec![SanType::DnsName(name.try_into().map_err(text)?)];
    let cert = Cert::from_der(params.self_signed(&key.pair).map_err(text)?.der().to_vec())?;
    check(cert.clone(), key, &cert)
}

/// Makes a certificate with this specification for this key, signed by an authority. `not_after` is in seconds since 1970.
pub(super) fn mint(spec: &Spec, key: &Key, authority: (&Cert, &Key), now: Timestamp, not_after: i64) -> Result<Cert, String> {
    let (ca, ca_key) = authority;
    let mut params = params(&spec.cn, now, not_after)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    let (server, client) = spec.usage.flags();
    let usages = [(server, ExtendedKeyUsagePurpose::ServerAuth), (client, ExtendedKeyUsagePurpose::ClientAuth)];
    params.extended_key_usages = usages.into_iter().filter(|(on, _)| *on).map(|(_, usage)| usage).collect();
    params.subject_alt_names = spec
        .sans
        .iter()
        .map(|san| match san {
            San::Dns(name) => Ok(SanType::DnsName(name.as_str().try_into().map_err(text)?)),
            San::Ip(ip) => Ok(SanType::IpAddress(*ip)),
        })
        .collect::<Result<_, String>>()?;

    let mut issuer = CertificateParams::default();
    issuer.distinguished_name = DistinguishedName::new();
    if let Some(id) = &ca.key_id {
        issuer.key_identifier_method = KeyIdMethod::PreSpecified(id.clone());
    }
    let draft = params.signed_by(&key.pair, &Issuer::new(issuer, Unsigned(&ca_key.pair))).map_err(text)?;
    let der = sign(draft.der(), &ca.subject, &subject(spec), &ca_key.pair).ok_or("the draft has an unexpected form")??;
    check(Cert::from_der(der)?, key, ca)
}

/// The parameters that all certificates have in common.
fn params(cn: &str, now: Timestamp, not_after: i64) -> Result<CertificateParams, String> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let printable = PrintableString::try_from(cn).map(DnValue::PrintableString);
    params.distinguished_name.push(DnType::CommonName, printable.unwrap_or_else(|_| DnValue::Utf8String(cn.to_owned())));
    let mut serial: [u8; 16] = rand::random();
    serial[0] = serial[0] & 0x3f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = OffsetDateTime::from_unix_timestamp(now.as_second() - BACKDATED_SECONDS).map_err(text)?;
    params.not_after = OffsetDateTime::from_unix_timestamp(not_after).map_err(text)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    Ok(params)
}

/// A signer that has the public key of an authority and makes empty signatures. rcgen drafts a certificate with it, and the function `sign` then
/// signs the complete draft with the real key.
struct Unsigned<'a>(&'a KeyPair);

impl PublicKeyData for Unsigned<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.0.algorithm()
    }
}

impl SigningKey for Unsigned<'_> {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(Vec::new())
    }
}

/// The subject of a certificate in DER: the organizations, and then the common name.
fn subject(spec: &Spec) -> Vec<u8> {
    const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
    const ORGANIZATION: [u8; 3] = [0x55, 0x04, 0x0a];
    let part = |kind: [u8; 3], value: &str| {
        let text = if PrintableString::try_from(value).is_ok() { der::PRINTABLE_STRING } else { der::UTF8_STRING };
        let pair = [der::element(der::OBJECT_IDENTIFIER, &[&kind]), der::element(text, &[value.as_bytes()])].concat();
        der::element(der::SET, &[&der::element(der::SEQUENCE, &[&pair])])
    };
    let orgs = spec.orgs.iter().map(|org| part(ORGANIZATION, org));
    let parts: Vec<Vec<u8>> = orgs.chain([part(COMMON_NAME, &spec.cn)]).collect();
    der::element(der::SEQUENCE, &parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// Signs a draft after it has replaced the issuer by the authority's own name, byte by byte, and the subject. rcgen can keep only one value of each
/// kind in a name, which breaks the chain to an authority with a name such as `DC=example, DC=com`, and allows a client only one group. `None` if the
/// draft has an unexpected form.
fn sign(draft: &[u8], issuer: &[u8], subject: &[u8], key: &KeyPair) -> Option<Result<Vec<u8>, String>> {
    const ISSUER: usize = 3;
    const SUBJECT: usize = 5;
    let mut outer = der::expect(&mut &draft[..], der::SEQUENCE)?;
    let mut body = der::expect(&mut outer, der::SEQUENCE)?;
    let algorithm = der::take(&mut outer)?.whole;
    let mut fields = Vec::new();
    while let Some(field) = der::take(&mut body) {
        fields.push(field.whole);
    }
    *fields.get_mut(ISSUER)? = issuer;
    *fields.get_mut(SUBJECT)? = subject;
    let body = der::element(der::SEQUENCE, &fields);
    let signed = key.sign(&body).map(|signature| {
        let signature = der::element(der::BIT_STRING, &[&[0], &signature]);
        der::element(der::SEQUENCE, &[&body, algorithm, &signature])
    });
    Some(signed.map_err(text))
}

/// Checks a certificate that was just signed: the signature, the key, and whether the issuer is an authority.
fn check(cert: Cert, key: &Key, authority: &Cert) -> Result<Cert, String> {
    if !authority.is_ca {
        return Err("the issuer is not an authority".into());
    }
    if !cert.signed_by(authority) {
        return Err("the new signature does not verify".into());
    }
    if !key.has_public(&cert.public) {
        return Err("the new certificate holds another key".into());
    }
    Ok(cert)
}

fn text(e: impl std::fmt::Display) -> String {
    e.to_string()
}
