//! Asks for the facts that only an upgrade needs: which versions are available, and which deprecated APIs that a later version removes are still
//! requested.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::url_host;
use crate::host::Cmd;
use crate::script;

const RELEASES: &str = script!("observe/releases.sh");
const DEPRECATED: &str = script!("observe/deprecated.sh");

/// A deprecated API that clients still request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct DeprecatedApi {
    /// The group and version, such as `policy/v1beta1`; `v1` for the core group.
    pub group_version: String,
    pub resource: String,
    /// The minor version that removes the API: 25 for `1.25`.
    pub removed_in: u64,
}

/// The command with which a host asks the artifact source for the newest patch version of these minor versions.
pub fn releases(source: &str, minors: &[u64]) -> Cmd {
    let minors = minors.iter().map(u64::to_string);
    Cmd::script(RELEASES).arg("root", source.trim_end_matches('/')).words(minors).timeout(Duration::from_secs(60)).with_proxies()
}

/// Reads the output of `releases.sh`: the newest patch version, as text, by minor version.
pub fn parse_releases(stdout: &[u8]) -> BTreeMap<u64, String> {
    let text = String::from_utf8_lossy(stdout);
    let line = |l: &str| {
        let (minor, version) = l.strip_prefix("release ")?.split_once(' ')?;
        Some((minor.parse().ok()?, version.to_string()))
    };
    text.lines().filter_map(line).collect()
}

/// The command with which a control-plane host asks its own API server which deprecated APIs clients have requested.
pub fn deprecated(address: IpAddr) -> Cmd {
    Cmd::script(DEPRECATED).arg("address", url_host(address)).timeout(Duration::from_secs(30))
}

/// Reads the output of `deprecated.sh`, which are the lines of the metric `apiserver_requested_deprecated_apis`.
pub fn parse_deprecated(stdout: &[u8]) -> BTreeSet<DeprecatedApi> {
    let text = String::from_utf8_lossy(stdout);
    text.lines().filter_map(metric).collect()
}

fn metric(line: &str) -> Option<DeprecatedApi> {
    let labels = line.split_once('{')?.1.split_once('}')?.0;
    let label = |name: &str| {
        let at = labels.split(',').find_map(|l| l.strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"'));
        at.unwrap_or_default()
    };
    let removed_in = label("removed_release").strip_prefix("1.")?.parse().ok()?;
    let (group, version) = (label("group"), label("version"));
    let group_version = if group.is_empty() { version.to_string() } else { format!("{group}/{version}") };
    Some(DeprecatedApi { group_version, resource: label("resource").to_string(), removed_in })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_offer() {
        let said = parse_releases(b"release 34 v1.34.9\nrelease 35 v1.35.5\nnoise\n");
        assert_eq!(said, BTreeMap::from([(34, "v1.34.9".to_string()), (35, "v1.35.5".to_string())]));
    }

    #[test]
    fn what_will_be_gone() {
        let said = parse_deprecated(
            b"apiserver_requested_deprecated_apis{group=\"policy\",removed_release=\"1.25\",resource=\"poddisruptionbudgets\",subresource=\"\",version=\"v1beta1\"} 1\n\
              apiserver_requested_deprecated_apis{group=\"\",removed_release=\"\",resource=\"componentstatuses\",subresource=\"\",version=\"v1\"} 1\n",
        );
        let api = DeprecatedApi { group_version: "policy/v1beta1".into(), resource: "poddisruptionbudgets".into(), removed_in: 25 };
        assert_eq!(said, BTreeSet::from([api]));
    }
}
