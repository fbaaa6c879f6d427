//! Asks a host, before a plan is carried out, whether it can download the programs and images that the plan requires.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::host::Cmd;
use crate::script;

const SOURCES: &str = script!("observe/sources.sh");

/// The kind of a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Binary,
    Image,
}

/// A program or an image that a host cannot download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    pub kind: Kind,
    pub what: String,
    pub why: String,
}

/// The command that checks whether the host can download all of these. `binaries` are URLs, and `images` are references; `mirrors` are the
/// inventory's, by registry.
pub fn request(binaries: &[&str], images: &[&str], mirrors: &BTreeMap<String, Vec<String>>) -> Cmd {
    let mut args: Vec<String> = Vec::new();
    for url in binaries {
        args.extend(["binary", url, url].map(String::from));
        args.extend([format!("{url}.sha256"), ",".into()]);
    }
    for reference in images {
        args.extend(["image", reference].map(String::from));
        args.extend(manifests(reference, mirrors));
        args.push(",".into());
    }
    // The script would split an argument with whitespace into several words. Such an argument is no valid URL and is left out.
    args.retain(|a| !a.contains(char::is_whitespace));
    Cmd::script(SOURCES).words(args).timeout(Duration::from_secs(120)).with_proxies()
}

/// The URLs at which the container runtime would look for an image's manifest, in the order in which it tries them: the mirrors, then the registry
/// itself.
fn manifests(reference: &str, mirrors: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let (registry, rest) = match reference.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest.to_string()),
        Some(_) => ("docker.io", reference.to_string()),
        None => ("docker.io", format!("library/{reference}")),
    };
    let (path, version) = match rest.split_once('@').or_else(|| rest.rsplit_once(':')) {
        Some((path, version)) => (path, version),
        None => (rest.as_str(), "latest"),
    };
    let own = if registry == "docker.io" { "https://registry-1.docker.io".into() } else { format!("https://{registry}") };
    let bases = mirrors.get(registry).into_iter().flatten().cloned().chain([own]);
    bases.map(|base| format!("{}/v2/{path}/manifests/{version}", base.trim_end_matches('/'))).collect()
}

/// Reads the output of `sources.sh`: the downloads that are not available.
pub fn parse(stdout: &[u8]) -> Vec<Missing> {
    let text = String::from_utf8_lossy(stdout);
    let line = |l: &str| {
        let mut words = l.strip_prefix("missing ")?.split(' ');
        let kind = match words.next()? {
            "binary" => Kind::Binary,
            _ => Kind::Image,
        };
        let what = words.next()?.to_string();
        let why = match words.next()? {
            "000" => "nobody answers".into(),
            "404" => "it is not there (HTTP status 404)".into(),
            code => format!("HTTP status {code}"),
        };
        Some(Missing { kind, what, why })
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_images_are_looked_for() {
        let mirrors = BTreeMap::from([("registry.k8s.io".to_string(), vec!["http://mirror:5000/".to_string()])]);
        assert_eq!(
            manifests("registry.k8s.io/coredns/coredns:v1.11.1", &mirrors),
            ["http://mirror:5000/v2/coredns/coredns/manifests/v1.11.1", "https://registry.k8s.io/v2/coredns/coredns/manifests/v1.11.1"]
        );
        assert_eq!(manifests("10.0.0.2:5000/pause:3.2", &BTreeMap::new()), ["https://10.0.0.2:5000/v2/pause/manifests/3.2"]);
        assert_eq!(manifests("busybox", &BTreeMap::new()), ["https://registry-1.docker.io/v2/library/busybox/manifests/latest"]);
        assert_eq!(manifests("a/b@sha256:12", &BTreeMap::new()), ["https://registry-1.docker.io/v2/a/b/manifests/sha256:12"]);
    }

    #[test]
    fn what_is_missing_and_why() {
        let said = parse(b"missing binary http://x/kubelet 404\nmissing image r/pause:1 000\n");
        assert_eq!(
            said[0],
            Missing { kind: Kind::Binary, what: "http://x/kubelet".into(), why: "it is not there (HTTP status 404)".into() }
        );
        assert_eq!(said[1].why, "nobody answers");
    }
}
