//! The operator's files about registries: the certificates and the passwords that `artifacts.registryMirrors` names.

use std::path::Path;

use super::operator_files::{FileFault, beside};
use super::stop::Stop;
use crate::error::{Exit, chain};
use crate::host::Secret;
use crate::inventory::{Inventory, RegistryMirror};
use crate::pki;
use crate::plan::registries::{Mirror, Registry};

/// Reads the files of all registries. The error has every file that cannot be used, with the field of the inventory that names it.
pub fn read(inv: &Inventory, inventory_file: &Path) -> Result<Vec<Registry>, Stop> {
    let mut faults: Vec<(String, FileFault)> = Vec::new();
    let mut registries = Vec::new();
    for (name, mirrors) in &inv.artifacts.registry_mirrors {
        let mut of_registry = Vec::new();
        for (i, mirror) in mirrors.iter().enumerate() {
            let field = |key: &str| format!("artifacts.registryMirrors.{name}[{i}].{key}");
            let ca = certificates(mirror, inventory_file).unwrap_or_else(|fault| {
                faults.push((field("caFile"), fault));
                None
            });
            let password = password(mirror, inventory_file).unwrap_or_else(|fault| {
                faults.push((field("passwordFile"), fault));
                None
            });
            of_registry.push(Mirror { written: mirror.clone(), ca, password });
        }
        registries.push(Registry { name: name.clone(), mirrors: of_registry });
    }
    if faults.is_empty() {
        return Ok(registries);
    }
    let add = |stop: Stop, (field, fault): (String, FileFault)| {
        stop.error(format!("{field}: {}", chain(&fault)), "mend the file or its path in the inventory")
    };
    Err(faults.into_iter().fold(Stop::with(Exit::Inventory), add))
}

fn file(name: &str, inventory_file: &Path) -> Result<(String, Vec<u8>), FileFault> {
    let path = beside(inventory_file, name);
    let shown = path.display().to_string();
    match std::fs::read(&path) {
        Ok(bytes) => Ok((shown, bytes)),
        Err(source) => Err(FileFault::Read { path: shown, source }),
    }
}

/// The certificates in `caFile`. Anything else in the file, such as a private key, is left out, because every user of a host can read the result.
fn certificates(mirror: &RegistryMirror, inventory_file: &Path) -> Result<Option<String>, FileFault> {
    let Some(name) = &mirror.ca_file else { return Ok(None) };
    let (path, bytes) = file(name, inventory_file)?;
    pki::certificates(&bytes).map(Some).map_err(|cause| FileFault::NoCertificate { path, cause })
}

/// The password in `passwordFile`, without the end of the line.
fn password(mirror: &RegistryMirror, inventory_file: &Path) -> Result<Option<Secret>, FileFault> {
    let Some(name) = &mirror.password_file else { return Ok(None) };
    let (path, bytes) = file(name, inventory_file)?;
    let whole = Secret::from(bytes);
    let line = whole.expose().strip_suffix(b"\n").unwrap_or(whole.expose());
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(FileFault::NoPassword { path });
    }
    match std::str::from_utf8(line) {
        Err(e) => Err(FileFault::NotOneLine { path, at: e.valid_up_to() }),
        Ok(text) => match text.find(char::is_control) {
            Some(at) => Err(FileFault::NotOneLine { path, at }),
            None => Ok(Some(Secret::from(line.to_vec()))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::stop::Reason;

    /// The registry with these two files of this content, or the messages of the faults.
    fn read_with(ca: Option<&str>, password: Option<&[u8]>) -> Result<Vec<Registry>, Vec<String>> {
        let folder = tempfile::tempdir().expect("a folder can be made");
        if let Some(ca) = ca {
            std::fs::write(folder.path().join("ca.crt"), ca).expect("it can be written");
        }
        if let Some(password) = password {
            std::fs::write(folder.path().join("password"), password).expect("it can be written");
        }
        let text = "{cluster: {name: a, version: v1.36.2}, hosts: [], artifacts: {registryMirrors: {\"r:5000\": [\
            {url: \"https://r:5000\", caFile: ca.crt, username: u, passwordFile: password}]}}}";
        let inv: Inventory = serde_yaml::from_str(text).expect("it is valid");
        read(&inv, &folder.path().join("inventory.yaml")).map_err(|stop| {
            let message = |reason| match reason {
                Reason::Error { message, .. } => message,
                other => format!("{other:?}"),
            };
            stop.reasons.into_iter().map(message).collect()
        })
    }

    #[test]
    fn all_faults_of_files_are_told_at_once() {
        let faults = |ca, password| read_with(ca, password).err().unwrap_or_default();
        let missing = faults(None, None);
        assert!(missing.len() == 2 && missing[0].starts_with("artifacts.registryMirrors.r:5000[0].caFile: cannot read `"), "{missing:?}");
        assert!(missing[1].starts_with("artifacts.registryMirrors.r:5000[0].passwordFile: cannot read `"), "{missing:?}");
        let empty = faults(Some(""), Some(b"\n"));
        assert!(empty[0].contains("has no certificate that can be used") && empty[1].contains("is empty"), "{empty:?}");
        let bad = faults(Some("hello"), Some(b"CANARY\nand more"));
        assert!(bad[0].contains("has no certificate") && bad[1].contains("has more than a password on one line"), "{bad:?}");
        assert!(!bad.concat().contains("CANARY"), "{bad:?}");
    }

    #[test]
    fn a_certificate_without_its_key_and_a_password_without_the_end_of_its_line_are_read() {
        let key = rcgen::KeyPair::generate().expect("a key can be made");
        let ca =
            rcgen::CertificateParams::new(vec!["r".into()]).and_then(|p| p.self_signed(&key)).expect("a certificate can be made").pem();
        let read = read_with(Some(&(key.serialize_pem() + &ca)), Some(b"s3cret \r\n")).expect("both can be used");
        let mirror = &read[0].mirrors[0];
        assert_eq!(mirror.password, Some(Secret::from("s3cret ")));
        let pem = mirror.ca.as_deref().expect("there is a certificate");
        assert!(pem.contains("BEGIN CERTIFICATE") && !pem.contains("KEY"), "{pem}");
    }
}
