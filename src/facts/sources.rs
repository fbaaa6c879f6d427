//! Asks a host, before a plan is carried out, whether it can download the programs and images that the plan requires.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;

use crate::host::{Cmd, Secret};
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

/// A place where the container runtime looks for the images of a registry.
#[derive(Clone, Debug)]
pub struct Place {
    /// The URL below which the API of the registry is.
    pub api: String,
    /// Whether the place is a mirror, to which the container runtime names the registry.
    pub is_mirror: bool,
    pub headers: Vec<(String, Secret)>,
    /// The certificates of the authorities that may have signed the certificate of the server, as PEM.
    pub ca: Option<String>,
    /// Whether the inventory has only a URL, so that the certificate of the server is not checked by the question.
    pub is_plain: bool,
    /// Whether the headers have a password, so that an answer that demands one means that the password is refused.
    pub has_password: bool,
}

/// The places of each registry that is not asked directly, in order. Those under the empty name are the places of all other registries.
pub type Places = BTreeMap<String, Vec<Place>>;

impl Place {
    /// The registry itself, which answers at this host and port.
    pub fn of_registry(server: &str) -> Place {
        let api = format!("https://{server}/v2");
        Place { api, is_mirror: false, headers: vec![], ca: None, is_plain: true, has_password: false }
    }
}

/// The command that checks whether the host can download all of these. `binaries` are URLs, and `images` are references. Passwords and certificates are
/// sent as input, because other users of the host can see arguments.
pub fn request(binaries: &[&str], images: &[&str], places: &Places) -> Cmd {
    let mut args: Vec<String> = Vec::new();
    // The script would split an argument with whitespace into several words. Such an argument is no valid URL and is left out.
    let pair = |id: &str, url: String| if url.contains(char::is_whitespace) { vec![] } else { vec![id.to_string(), url] };
    for url in binaries {
        args.extend(["binary", url].map(String::from));
        args.extend([(*url).to_string(), format!("{url}.sha256")].into_iter().flat_map(|url| pair("-", url)));
        args.push(",".into());
    }
    let mut ids: Vec<(&Place, String)> = Vec::new();
    for place in places.values().flatten().filter(|p| !p.is_plain) {
        let name = if place.has_password { "password" } else { "open" };
        ids.push((place, format!("{name}-{}", ids.len())));
    }
    let id_of = |place: &Place| ids.iter().find(|(p, _)| std::ptr::eq(*p, place)).map_or("-", |(_, id)| id);
    for reference in images {
        args.extend(["image", reference].map(String::from));
        for (place, url) in manifests(reference, places) {
            args.extend(pair(place.map_or("-", id_of), url));
        }
        args.push(",".into());
    }
    let input: Vec<u8> = ids.iter().flat_map(|(place, id)| options(place, id)).collect();
    Cmd::script(SOURCES).words(args).stdin(input).timeout(Duration::from_secs(120)).with_proxies()
}

/// The lines of input about a place: each has the ID of the place, and a line of a configuration of curl, or `ca` and certificates in Base64.
fn options(place: &Place, id: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in &place.headers {
        let escaped = |c: u8| if matches!(c, b'"' | b'\\') { vec![b'\\', c] } else { vec![c] };
        let header = [name.as_bytes(), b": ", value.expose()].concat().into_iter().flat_map(escaped);
        out.extend(format!("{id} header = \"").bytes().chain(header).chain(*b"\"\n"));
    }
    if let Some(ca) = &place.ca {
        out.extend(format!("{id} ca {}\n", base64::engine::general_purpose::STANDARD.encode(ca)).bytes());
    }
    out
}

/// The URLs at which the container runtime would look for an image's manifest, in the order in which it tries them, each with its place. A registry
/// without places is asked itself, and has none.
fn manifests<'p>(reference: &str, places: &'p Places) -> Vec<(Option<&'p Place>, String)> {
    let (registry, rest) = match reference.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest.to_string()),
        Some(_) => ("docker.io", reference.to_string()),
        None => ("docker.io", format!("library/{reference}")),
    };
    let (path, version) = match rest.split_once('@').or_else(|| rest.rsplit_once(':')) {
        Some((path, version)) => (path, version),
        None => (rest.as_str(), "latest"),
    };
    let url = |place: &Place| {
        let registry = if place.is_mirror { format!("?ns={registry}") } else { String::new() };
        format!("{}/{path}/manifests/{version}{registry}", place.api)
    };
    let known = places.get(registry);
    let listed = known.or_else(|| places.get("")).into_iter().flatten().map(|place| (Some(place), url(place)));
    let server = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
    let own = known.is_none().then(|| (None, url(&Place::of_registry(server))));
    listed.chain(own).collect()
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
            "tls" => "the certificate of the server is signed neither by an authority that the host trusts nor by one in `caFile`".into(),
            code @ ("401" | "403") => format!("the registry refuses the user or the password (HTTP status {code})"),
            code => format!("HTTP status {code}"),
        };
        Some(Missing { kind, what, why })
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(api: &str, is_mirror: bool) -> Place {
        Place { api: api.into(), is_mirror, ..Place::of_registry("") }
    }

    #[test]
    fn where_images_are_looked_for() {
        let registry = vec![place("http://mirror:5000/v2", true), place("https://registry.k8s.io/v2", false)];
        let places = Places::from([("registry.k8s.io".into(), registry), (String::new(), vec![place("https://all/api", true)])]);
        let urls = |reference: &str, places: &Places| manifests(reference, places).into_iter().map(|(_, url)| url).collect::<Vec<_>>();
        assert_eq!(
            urls("registry.k8s.io/coredns/coredns:v1.11.1", &places),
            [
                "http://mirror:5000/v2/coredns/coredns/manifests/v1.11.1?ns=registry.k8s.io",
                "https://registry.k8s.io/v2/coredns/coredns/manifests/v1.11.1"
            ]
        );
        let default = "https://all/api/pause/manifests/3.2?ns=10.0.0.2:5000";
        assert_eq!(urls("10.0.0.2:5000/pause:3.2", &places), [default, "https://10.0.0.2:5000/v2/pause/manifests/3.2"]);
        let none = Places::new();
        assert_eq!(urls("busybox", &none), ["https://registry-1.docker.io/v2/library/busybox/manifests/latest"]);
        assert_eq!(urls("a/b@sha256:12", &none), ["https://registry-1.docker.io/v2/a/b/manifests/sha256:12"]);
    }

    #[test]
    fn a_password_is_input_and_no_argument() {
        let secret = Place {
            headers: vec![("Authorization".into(), "Basic \"x\\".into())],
            ca: Some("PEM".into()),
            is_plain: false,
            has_password: true,
            ..place("https://r/v2", false)
        };
        let cmd = request(&[], &["r.example/pause:1"], &Places::from([("r.example".into(), vec![secret])]));
        assert!(cmd.argv.iter().any(|a| a == "password-0") && !cmd.argv.iter().any(|a| a.contains("Basic")));
        let crate::host::Stdin::Bytes(input) = cmd.stdin else { panic!("there is input") };
        assert_eq!(input.expose(), b"password-0 header = \"Authorization: Basic \\\"x\\\\\"\npassword-0 ca UEVN\n");
    }

    #[test]
    fn what_is_missing_and_why() {
        let said = parse(b"missing binary http://x/kubelet 404\nmissing image r/pause:1 000\nmissing image r/pause:1 401\n");
        assert_eq!(
            said[0],
            Missing { kind: Kind::Binary, what: "http://x/kubelet".into(), why: "it is not there (HTTP status 404)".into() }
        );
        assert_eq!(said[1].why, "nobody answers");
        assert_eq!(said[2].why, "the registry refuses the user or the password (HTTP status 401)");
    }
}
