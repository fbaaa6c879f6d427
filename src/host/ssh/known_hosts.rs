//! Parses known_hosts files and finds the entries about a host: plain and hashed names, ports, patterns, revocations, authorities.

use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use russh::keys::PublicKey;
use russh::keys::ssh_key::public::KeyData;

use crate::host::HostError;

/// The entries of all known_hosts files, in the order of the files and of their lines.
#[derive(Debug, Default)]
pub struct KnownHosts {
    pub files: Vec<PathBuf>,
    entries: Vec<Entry>,
}

/// One line of a known_hosts file.
#[derive(Debug)]
pub struct Entry {
    pub marker: Marker,
    pub key: PublicKey,
    /// The place of the entry, for messages: `file:line`.
    pub location: String,
    names: Names,
}

/// What a line states about its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// The host has this key.
    Key,
    /// This key signs host certificates.
    Authority,
    /// This key must never be accepted, neither as a host's nor as an authority's.
    Revoked,
}

#[derive(Debug)]
enum Names {
    /// The HMAC-SHA1 of the name with a salt.
    Hashed { salt: Vec<u8>, digest: Vec<u8> },
    /// Patterns separated by commas: `*` and `?` are wildcards, and `!` excludes names.
    Patterns(Vec<String>),
}

impl KnownHosts {
    /// Reads the files that exist. Lines that cannot be parsed are skipped, as OpenSSH does. A `@revoked` line that cannot be parsed is an error,
    /// because a revoked key could be accepted otherwise.
    pub async fn read(files: &[PathBuf]) -> Result<Self, HostError> {
        let mut all = KnownHosts { files: files.to_vec(), entries: Vec::new() };
        for file in files {
            match tokio::fs::read(file).await {
                Ok(bytes) => all.parse(file, &String::from_utf8_lossy(&bytes))?,
                Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {}
                Err(e) => return Err(HostError::local(format!("cannot read `{}`", file.display()), e)),
            }
        }
        Ok(all)
    }

    /// The entries about a host. `name` is written as in the file: `host`, or `[host]:port` if the port is not 22.
    pub fn about<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |e| e.names.cover(name))
    }

    fn parse(&mut self, file: &Path, text: &str) -> Result<(), HostError> {
        for (index, line) in text.lines().enumerate() {
            let location = format!("{}:{}", file.display(), index + 1);
            let mut words = line.split_ascii_whitespace().peekable();
            let marker = match words.peek() {
                None => continue,
                Some(w) if w.starts_with('#') => continue,
                Some(w) if w.starts_with('@') => words.next(),
                Some(_) => None,
            };
            let marker = match marker {
                None => Marker::Key,
                Some("@cert-authority") => Marker::Authority,
                Some("@revoked") => Marker::Revoked,
                Some(_) => continue,
            };
            let entry = words.next().zip(words.nth(1)).and_then(|(names, key)| {
                let key = russh::keys::parse_public_key_base64(key).ok()?;
                Some(Entry { marker, key, location: location.clone(), names: Names::parse(names)? })
            });
            match entry {
                Some(entry) => self.entries.push(entry),
                None if marker == Marker::Revoked => {
                    return Err(HostError::Local { what: format!("{location}: this revocation cannot be understood"), source: None });
                }
                None => {}
            }
        }
        Ok(())
    }
}

impl Entry {
    pub fn holds(&self, key: &KeyData) -> bool {
        self.key.key_data() == key
    }
}

impl Names {
    fn parse(text: &str) -> Option<Names> {
        let Some(hashed) = text.strip_prefix("|1|") else {
            return Some(Names::Patterns(text.split(',').map(str::to_ascii_lowercase).collect()));
        };
        let (salt, digest) = hashed.split_once('|')?;
        Some(Names::Hashed { salt: BASE64.decode(salt).ok()?, digest: BASE64.decode(digest).ok()? })
    }

    /// Whether the names cover a host. `name` is in lower case.
    fn cover(&self, name: &str) -> bool {
        match self {
            Names::Hashed { salt, digest } => {
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
                hmac::verify(&key, name.as_bytes(), digest).is_ok()
            }
            Names::Patterns(patterns) => {
                let excluded = patterns.iter().filter_map(|p| p.strip_prefix('!')).any(|p| matches(p, name));
                !excluded && patterns.iter().any(|p| !p.starts_with('!') && matches(p, name))
            }
        }
    }
}

/// Whether a name matches a pattern: `*` stands for any run of characters, `?` for one character.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // The index of the last `*` in the pattern, and the index in the name at which the text after the `*` begins. On a mismatch, the `*` takes one
    // character more.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    p = star + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK2pr+Bfus1hvPof4Wb/plZCzSbqadHH0u+/f4ODtKnE";

    fn known(text: &str) -> KnownHosts {
        let mut known = KnownHosts::default();
        known.parse(Path::new("kh"), text).unwrap();
        known
    }

    fn covers(names: &str, name: &str) -> bool {
        known(&format!("{names} {KEY} a comment\n")).about(name).count() == 1
    }

    #[test]
    fn names_cover_hosts() {
        for (names, name, expected) in [
            ("a.example", "a.example", true),
            ("A.Example", "a.example", true),
            ("a.example,10.0.0.1", "10.0.0.1", true),
            ("a.example", "b.example", false),
            ("a.example", "[a.example]:2222", false),
            ("[a.example]:2222", "[a.example]:2222", true),
            ("[*.example]:*", "[a.example]:2222", true),
            ("*.example,!a.example", "a.example", false),
            ("!a.example,*.example", "b.example", true),
            ("!a.example", "b.example", false),
            ("10.0.0.?", "10.0.0.12", false),
            ("10.0.*.?", "10.0.0.12.3", true),
            ("*", "anything", true),
            ("**a*", "bab", true),
        ] {
            assert_eq!(covers(names, name), expected, "{names} {name}");
        }
    }

    #[test]
    fn hashed_names_cover_hosts() {
        // The form that `ssh-keygen -H` gives the name `a.example`.
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"salt");
        let digest = BASE64.encode(hmac::sign(&key, b"a.example"));
        let names = format!("|1|{}|{digest}", BASE64.encode(b"salt"));
        assert!(covers(&names, "a.example"));
        assert!(!covers(&names, "b.example"));
    }

    #[test]
    fn markers_comments_and_rubbish() {
        let known =
            known(&format!("# a {KEY}\n\n@cert-authority * {KEY}\n@revoked * {KEY}\n@other * {KEY}\na rubbish\n|1|x a b\na {KEY}\n"));
        let all: Vec<_> = known.about("a").map(|e| (e.marker, e.location.as_str())).collect();
        assert_eq!(all, [(Marker::Authority, "kh:3"), (Marker::Revoked, "kh:4"), (Marker::Key, "kh:8")]);
    }

    #[test]
    fn a_revocation_must_not_get_lost() {
        let error = KnownHosts::default().parse(Path::new("kh"), "@revoked * ssh-ed25519 AAAA\n").unwrap_err();
        assert_eq!(error.to_string(), "kh:1: this revocation cannot be understood");
    }
}
