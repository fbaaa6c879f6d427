//! Tests of client certificates for people.

use std::time::Duration;

use clusterctl::host::Secret;
use clusterctl::inventory::KeyAlgorithm;
use clusterctl::pki::*;

use super::fixture::*;
use crate::needs::needs;

/// ca.crt and ca.key of a cluster.
fn ca(algorithm: KeyAlgorithm) -> (Secret, Secret) {
    let files = placed(&mint(&inventory("v1.36.2"), &pki_options(algorithm), &Observed::new(), now()).unwrap());
    (files["/etc/kubernetes/pki/ca.crt"].clone(), files["/etc/kubernetes/pki/ca.key"].clone())
}

fn made(cert: &Secret, key: &Secret, user: &str, groups: &[&str], ttl: Duration) -> Result<ClientCertificate, PkiFault> {
    let host = "m1".to_string();
    let authority = ClusterAuthority { host: &host, cert, key };
    let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
    client_certificate(&authority, user, &groups, ttl, &Keys::new(KeyAlgorithm::EcdsaP256), now())
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_certificate_has_the_name_the_groups_and_a_short_life() {
    needs!(Openssl);
    let (cert, key) = ca(KeyAlgorithm::Rsa2048);
    for (user, groups, subject) in [
        ("jane", &[][..], "subject=CN = jane"),
        (
            "jane@example.org",
            &["dev", "Ops Team", "entwicklung-\u{e4}"],
            "subject=O = dev, O = Ops Team, O = entwicklung-\u{e4}, CN = jane@example.org",
        ),
    ] {
        let person = made(&cert, &key, user, groups, HOUR).unwrap();
        assert_eq!(person.not_after, now() + HOUR);
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(at("ca.crt"), cert.expose()).unwrap();
        std::fs::write(at("crt"), &person.cert_pem).unwrap();
        std::fs::write(at("key"), person.key_pem.expose()).unwrap();
        openssl(&["verify", "-no_check_time", "-x509_strict", "-purpose", "sslclient", "-CAfile", &at("ca.crt"), &at("crt")]);
        assert_eq!(openssl(&["pkey", "-in", &at("key"), "-pubout"]), openssl(&["x509", "-in", &at("crt"), "-noout", "-pubkey"]));
        let read =
            openssl(&["x509", "-in", &at("crt"), "-noout", "-subject", "-enddate", "-nameopt", "utf8,sep_comma_plus_space,space_eq"]);
        assert_eq!(read.lines().collect::<Vec<_>>(), [subject, "notAfter=Nov 21 21:11:39 2026 GMT"]);
        let text = openssl(&["x509", "-in", &at("crt"), "-noout", "-text"]);
        assert!(
            text.contains("TLS Web Client Authentication") && !text.contains("Server Authentication") && text.contains("CA:FALSE"),
            "{text}"
        );
        assert!(person.key_pem != key);
    }
}

#[test]
fn a_certificate_is_not_valid_longer_than_its_authority() {
    let (cert, key) = ca(KeyAlgorithm::EcdsaP256);
    let until = made(&cert, &key, "jane", &[], HOUR * 24 * 365 * 100).unwrap().not_after;
    let ca_until = expiry(&Observed::from([("/etc/kubernetes/pki/ca.crt".to_string(), cert)]))[0].not_after;
    assert_eq!(until, ca_until);
}

/// While a CA is replaced, ca.crt holds the old certificate and the new one. The one that belongs to the key signs.
#[test]
fn the_authority_that_belongs_to_the_key_signs() {
    let (old, _) = ca(KeyAlgorithm::EcdsaP256);
    let (new, key) = ca(KeyAlgorithm::EcdsaP384);
    let bundle: Secret = [old.expose(), new.expose()].concat().into();
    let made_by = |cert: &Secret| made(cert, &key, "jane", &[], HOUR).map(|_| ());
    assert_eq!(made_by(&bundle), Ok(()));
    assert!(matches!(made_by(&old), Err(PkiFault::KeyMismatch { .. })));
    assert!(matches!(made(&new, &old, "jane", &[], HOUR).map(|_| ()), Err(PkiFault::Unreadable { file, .. }) if file == "ca.key"));
}
