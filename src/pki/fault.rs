//! What is wrong with a PKI: reasons to make a file again, and faults that only the operator can correct.

use crate::host::HostName;

/// Why a file is made again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("missing")]
    Missing,
    #[error("unreadable: {0}")]
    Unreadable(String),
    #[error("key and certificate do not belong together")]
    KeyMismatch,
    #[error("signed by another authority")]
    OtherAuthority,
    #[error("made out to `{found}` in place of `{wanted}`")]
    OtherSubject { found: String, wanted: String },
    #[error("not usable as {wanted}")]
    OtherUsage { wanted: &'static str },
    #[error("names differ: lacks {}, has {} too many", list(lacking), list(surplus))]
    OtherNames { lacking: Vec<String>, surplus: Vec<String> },
    #[error("expired")]
    Expired,
    #[error("expires in {days} days")]
    Expires { days: i64 },
    #[error("its renewal was asked for")]
    Asked,
    #[error("other content")]
    OtherContent,
    #[error("{what} is `{found}` in place of `{wanted}`")]
    OtherKubeconfig { what: &'static str, found: String, wanted: String },
    #[error("trusts another authority")]
    OtherTrust,
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// A fault with which a PKI can neither be used nor made. The fields `file`, `cert`, `key`, `present` and `missing` are names relative to the PKI
/// folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PkiFault {
    #[error("hosts have different `{file}`: {}", groups(.hosts))]
    Disagree {
        file: String,
        /// Groups of hosts that have the same content, each with the fingerprint of this content.
        hosts: Vec<(String, Vec<HostName>)>,
    },
    #[error("`{file}` {whose} cannot be read: {cause}", whose = .whose)]
    Unreadable { file: String, whose: Whose, cause: String },
    #[error("`{key}` {whose} does not belong to `{cert}`", whose = .whose)]
    KeyMismatch { cert: String, key: String, whose: Whose },
    #[error("`{file}` {whose} is not a certificate authority", whose = .whose)]
    NotAuthority { file: String, whose: Whose },
    #[error("the authority `{file}` expired on {on}")]
    AuthorityExpired { file: String, on: jiff::Timestamp },
    #[error("there is a `{present}` {whose}, but `{missing}` is nowhere", whose = .whose)]
    Incomplete { present: String, missing: String, whose: Whose },
    #[error("the given `{file}` is not the one the cluster has")]
    GivenDiffers { file: String },
    #[error("no host has `{file}`, and a running cluster must not get a second one")]
    Lost { file: String },
    #[error("`{path}` on `{host}` cannot be made because its authority's key is not here ({reason})")]
    ExternalAuthority { host: HostName, path: String, reason: Reason },
    #[error("`{name}` cannot be a name in a certificate")]
    BadName { name: String },
    #[error("cannot make `{path}`: {cause}")]
    Mint { path: String, cause: String },
}

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    Host(HostName),
    /// The file is in the operator's folder.
    Given,
}

impl std::fmt::Display for Whose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Whose::Host(host) => write!(f, "on `{host}`"),
            Whose::Given => write!(f, "in the given folder"),
        }
    }
}

fn groups(hosts: &[(String, Vec<HostName>)]) -> String {
    hosts.iter().map(|(print, hosts)| format!("{} on {}", print, hosts.join(", "))).collect::<Vec<_>>().join("; ")
}
