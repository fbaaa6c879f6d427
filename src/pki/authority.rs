//! The three certificate authorities and the service-account key: found on the hosts, given by the operator, or made new.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::cert::{self, Cert};
use super::fault::{PkiFault, Whose};
use super::key::Key;
use super::table::Ca;
use super::{Observed, Opts};
use crate::host::{HostName, Secret};
use crate::layout;

/// The authorities of a cluster and its service-account key.
pub struct Authorities {
    pub(super) kubernetes: Authority,
    pub(super) front_proxy: Authority,
    /// `None` if etcd is external, which means that clusterctl does not manage it.
    pub(super) etcd: Option<Authority>,
    pub(super) service_accounts: ServiceAccounts,
}

/// A certificate authority. Without a key it is external: the certificates that it signs must exist already.
pub(super) struct Authority {
    pub cert: Cert,
    pub pem: Secret,
    pub key: Option<Key>,
}

/// The key that signs service-account tokens.
pub(super) struct ServiceAccounts {
    pub key: Key,
    pub public_pem: Secret,
}

impl Authorities {
    /// The content of ca.crt.
    pub fn ca_pem(&self) -> String {
        String::from_utf8_lossy(self.kubernetes.pem.expose()).into_owned()
    }

    /// Whether ca.key was found neither on a host nor in the operator's folder. Without it, clusterctl cannot make kubeconfigs and certificates
    /// of the cluster, and the controller manager cannot sign the certificates of kubelets.
    pub fn is_external(&self) -> bool {
        self.kubernetes.key.is_none()
    }

    pub(super) fn get(&self, ca: Ca) -> Option<&Authority> {
        match ca {
            Ca::Kubernetes => Some(&self.kubernetes),
            Ca::FrontProxy => Some(&self.front_proxy),
            Ca::Etcd => self.etcd.as_ref(),
        }
    }
}

/// Finds the authorities and the service-account key on the hosts, or else in the operator's files `given` (names relative to the PKI folder:
/// `ca.crt`, `etcd/ca.key`, `sa.pub`...). If they are nowhere, they are made if [`Opts::allow_new`] is true; otherwise this is a fault.
pub fn authorities(
    observed: &BTreeMap<HostName, Observed>,
    given: &BTreeMap<String, Secret>,
    opts: &Opts<'_>,
    now: Timestamp,
) -> Result<Authorities, Vec<PkiFault>> {
    let search = Search { observed, given, opts, now };
    opts.keys.ahead(search.missing_keys());
    let mut faults = Vec::new();
    let mut keep = |found: Result<Authority, Vec<PkiFault>>| found.map_err(|f| faults.extend(f)).ok();
    let kubernetes = keep(search.authority(Ca::Kubernetes));
    let front_proxy = keep(search.authority(Ca::FrontProxy));
    let etcd = if opts.external_etcd.is_some() { Some(None) } else { keep(search.authority(Ca::Etcd)).map(Some) };
    let service_accounts = search.service_accounts().map_err(|f| faults.extend(f)).ok();
    match (kubernetes, front_proxy, etcd, service_accounts) {
        (Some(kubernetes), Some(front_proxy), Some(etcd), Some(service_accounts)) => {
            Ok(Authorities { kubernetes, front_proxy, etcd, service_accounts })
        }
        _ => Err(faults),
    }
}

struct Search<'a> {
    observed: &'a BTreeMap<HostName, Observed>,
    given: &'a BTreeMap<String, Secret>,
    opts: &'a Opts<'a>,
    now: Timestamp,
}

impl Search<'_> {
    /// Every copy of a file of the PKI folder on the hosts, in the order of the host names.
    fn copies(&self, file: &str) -> Vec<(Whose, &Secret)> {
        let path = format!("{}/{file}", layout::PKI_DIR);
        self.observed.iter().filter_map(|(host, files)| Some((Whose::Host(host.clone()), files.get(&path)?))).collect()
    }

    fn given(&self, file: &str) -> Vec<(Whose, &Secret)> {
        self.given.get(file).map(|bytes| (Whose::Given, bytes)).into_iter().collect()
    }

    /// The number of private keys that the authorities and the service accounts still lack. The caller requests them all in advance, so that they are
    /// made in parallel.
    fn missing_keys(&self) -> usize {
        let nowhere = |file: &str| self.copies(file).is_empty() && self.given(file).is_empty();
        let missing = |base: &&str| nowhere(&format!("{base}.key")) && nowhere(&format!("{base}.crt"));
        if self.opts.allow_new { Ca::ALL.map(Ca::base).iter().chain(&["sa"]).filter(|base| missing(base)).count() } else { 0 }
    }

    fn authority(&self, ca: Ca) -> Result<Authority, Vec<PkiFault>> {
        let [crt, key] = [".crt", ".key"].map(|suffix| format!("{}{suffix}", ca.base()));
        let on_hosts = self.copies(&crt);
        let given = self.given(&crt);
        let found = if on_hosts.is_empty() { &given } else { &on_hosts };
        let Some((whose, pem)) = found.first() else { return self.new_authority(ca, &crt, &key) };

        let certs = read_certs(&crt, found)?;
        agree(&crt, certs.iter().map(|(whose, bundle)| (whose, bundle[0].fingerprint())))?;
        if let (false, Ok([(_, other), ..])) = (on_hosts.is_empty(), read_certs(&crt, &given).as_deref())
            && !other[0].same(&certs[0].1[0])
        {
            return Err(vec![PkiFault::GivenDiffers { file: crt }]);
        }

        let keys = self.copies(&key).into_iter().chain(self.given(&key));
        let mut faults = Vec::new();
        let mut matching = None;
        for (whose, bytes) in keys {
            match Key::read(bytes) {
                Err(cause) => faults.push(PkiFault::Unreadable { file: key.clone(), whose, cause }),
                Ok(k) => match certs[0].1.iter().find(|cert| k.has_public(&cert.public)) {
                    Some(cert) => matching = matching.or(Some((cert.clone(), k))),
                    None => faults.push(PkiFault::KeyMismatch { cert: crt.clone(), key: key.clone(), whose }),
                },
            }
        }
        let (cert, key) = matching.map_or_else(|| (certs[0].1[0].clone(), None), |(cert, key)| (cert, Some(key)));
        if !cert.is_ca {
            faults.push(PkiFault::NotAuthority { file: crt.clone(), whose: whose.clone() });
        }
        if cert.not_after <= self.now {
            faults.push(PkiFault::AuthorityExpired { file: crt, on: cert.not_after });
        }
        if faults.is_empty() { Ok(Authority { cert, pem: (*pem).clone(), key }) } else { Err(faults) }
    }

    /// Makes a new authority. If a host has a key without its certificate, an earlier run was interrupted (keys are written before
    /// certificates), and this key is used.
    fn new_authority(&self, ca: Ca, crt: &str, key: &str) -> Result<Authority, Vec<PkiFault>> {
        let left = self.copies(key);
        if let Some((whose, _)) = self.given(key).into_iter().chain(left.clone()).next()
            && (left.is_empty() || !self.opts.allow_new)
        {
            return Err(vec![PkiFault::Incomplete { present: key.into(), missing: crt.into(), whose }]);
        }
        if !self.opts.allow_new {
            return Err(vec![PkiFault::Lost { file: crt.into() }]);
        }
        let keys = read_keys(key, &left)?;
        agree(key, keys.iter().map(|(whose, k)| (whose, cert::fingerprint(&k.public_der()))))?;
        let validity = self.opts.pki.ca_validity.as_secs() as i64;
        let made = keys.into_iter().next().map_or_else(|| self.opts.keys.take(), |(_, key)| Ok(key));
        match made.and_then(|key| Ok((cert::mint_authority(ca.cn(), &key, self.now, validity)?, key))) {
            Ok((cert, key)) => Ok(Authority { pem: cert.pem().into(), cert, key: Some(key) }),
            Err(cause) => Err(vec![PkiFault::Mint { path: crt.into(), cause }]),
        }
    }

    fn service_accounts(&self) -> Result<ServiceAccounts, Vec<PkiFault>> {
        let [key, public] = ["sa.key", "sa.pub"];
        let on_hosts = self.copies(key);
        let given = self.given(key);
        let found = if on_hosts.is_empty() { &given } else { &on_hosts };
        let keys = read_keys(key, found)?;
        agree(key, keys.iter().map(|(whose, k)| (whose, cert::fingerprint(&k.public_der()))))?;
        if let (false, [(_, given), ..]) = (on_hosts.is_empty(), given.as_slice()) {
            let same = Key::read(given).is_ok_and(|g| keys.iter().all(|(_, k)| k.public_pem() == g.public_pem()));
            if !same {
                return Err(vec![PkiFault::GivenDiffers { file: key.into() }]);
            }
        }
        let publics = if on_hosts.is_empty() { self.given(public) } else { self.copies(public) };
        let Some((_, found)) = keys.into_iter().next() else { return self.new_service_accounts(key, &publics) };
        // A sa.pub that contains other public keys as well is kept: the operator needs such a file to change the key without invalidating tokens in
        // use.
        let fits = publics.iter().find(|(_, bytes)| holds_public(bytes, &found));
        let public_pem = fits.map_or_else(|| found.public_pem().into(), |(_, bytes)| (*bytes).clone());
        match publics.first() {
            Some((whose, _)) if fits.is_none() && on_hosts.is_empty() => {
                Err(vec![PkiFault::KeyMismatch { cert: public.into(), key: key.into(), whose: whose.clone() }])
            }
            _ => Ok(ServiceAccounts { key: found, public_pem }),
        }
    }

    fn new_service_accounts(&self, key: &str, publics: &[(Whose, &Secret)]) -> Result<ServiceAccounts, Vec<PkiFault>> {
        if let Some((whose, _)) = publics.first() {
            return Err(vec![PkiFault::Incomplete { present: "sa.pub".into(), missing: key.into(), whose: whose.clone() }]);
        }
        if !self.opts.allow_new {
            return Err(vec![PkiFault::Lost { file: key.into() }]);
        }
        let key = self.opts.keys.take().map_err(|cause| vec![PkiFault::Mint { path: key.into(), cause }])?;
        Ok(ServiceAccounts { public_pem: key.public_pem().into(), key })
    }
}

/// Whether a file of public keys contains the public half of this key.
pub(super) fn holds_public(file: &Secret, key: &Key) -> bool {
    let wanted = key.public_der();
    pem::parse_many(file.expose()).is_ok_and(|blocks| blocks.iter().any(|b| b.tag() == "PUBLIC KEY" && b.contents() == wanted))
}

type Bundle = Vec<Cert>;

fn read_certs(file: &str, copies: &[(Whose, &Secret)]) -> Result<Vec<(Whose, Bundle)>, Vec<PkiFault>> {
    let mut faults = Vec::new();
    let mut out = Vec::new();
    for (whose, bytes) in copies {
        match Cert::read_all(bytes.expose()) {
            Ok(bundle) => out.push((whose.clone(), bundle)),
            Err(cause) => faults.push(PkiFault::Unreadable { file: file.into(), whose: whose.clone(), cause }),
        }
    }
    if faults.is_empty() { Ok(out) } else { Err(faults) }
}

fn read_keys(file: &str, copies: &[(Whose, &Secret)]) -> Result<Vec<(Whose, Key)>, Vec<PkiFault>> {
    let read = |(whose, bytes): &(Whose, &Secret)| match Key::read(bytes) {
        Ok(key) => Ok((whose.clone(), key)),
        Err(cause) => Err(vec![PkiFault::Unreadable { file: file.into(), whose: whose.clone(), cause }]),
    };
    copies.iter().map(read).collect()
}

/// Fails if the hosts have different copies of a file. `prints` are the fingerprints of the copies.
fn agree<'a>(file: &str, prints: impl Iterator<Item = (&'a Whose, String)>) -> Result<(), Vec<PkiFault>> {
    let mut groups: BTreeMap<String, Vec<HostName>> = BTreeMap::new();
    for (whose, print) in prints {
        let host = if let Whose::Host(host) = whose { host.clone() } else { HostName::new() };
        groups.entry(print).or_default().push(host);
    }
    if groups.len() < 2 {
        return Ok(());
    }
    Err(vec![PkiFault::Disagree { file: file.into(), hosts: groups.into_iter().collect() }])
}
