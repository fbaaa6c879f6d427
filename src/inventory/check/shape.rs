//! Checks the forms of names, addresses, URLs and image references. The result of each function depends on its text only.

use std::net::{IpAddr, Ipv6Addr};

/// Whether the text is an RFC 1123 label, as the name of a cluster must be.
pub(super) fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    bytes.len() <= 63 && bytes.iter().all(inner) && !matches!(bytes.first(), None | Some(b'-')) && bytes.last() != Some(&b'-')
}

/// Whether the text is an RFC 1123 subdomain: labels with dots between them, 253 characters at most.
pub(super) fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

/// The most similar RFC 1123 name: in lower case, with dashes for characters that are not allowed. `None` if the result is not an RFC 1123 name
/// either, or if the text is one already.
pub(super) fn as_subdomain(text: &str) -> Option<String> {
    let fixed: String = text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' }).collect();
    let fixed = fixed.trim_matches(['-', '.']).to_string();
    (is_subdomain(&fixed) && fixed != text).then_some(fixed)
}

/// Whether the text can be a DNS name or a `Host` of `~/.ssh/config`: letters, digits, dots, dashes and underscores, without a leading dash or
/// dot.
pub(super) fn is_host_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    !text.is_empty() && text.len() <= 253 && text.bytes().all(allowed) && !text.starts_with(['-', '.'])
}

/// Whether the text has only digits and dots but is not a valid IPv4 address.
pub(super) fn is_broken_ipv4(text: &str) -> bool {
    text.contains('.') && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') && text.parse::<IpAddr>().is_err()
}

/// Whether the text is an IP address or a DNS name.
pub(super) fn is_address_or_name(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || (is_host_name(text) && !is_broken_ipv4(text))
}

/// Whether the text is the name part of a label key: letters, digits, dashes, underscores and dots, with letters or digits at both ends, 63
/// characters at most.
fn is_name_part(text: &str) -> bool {
    let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Whether the text is a key of a label, annotation or taint: `name` or `prefix.example.org/name`.
pub(super) fn is_qualified_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_name_part(name),
        None => is_name_part(text),
    }
}

/// Whether the text is a value of a label or taint, which may be empty.
pub(super) fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_name_part(text)
}

/// Whether a text that names a file is a URL and not a path.
pub(super) fn looks_like_url(text: &str) -> bool {
    text.contains("://")
}

/// Whether the text is `host`, `host:port` or `[ipv6]:port`.
pub(super) fn is_authority(text: &str) -> bool {
    let port_ok = |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p > 0);
    if let Some(rest) = text.strip_prefix('[') {
        let Some((host, rest)) = rest.split_once(']') else { return false };
        return host.parse::<Ipv6Addr>().is_ok() && (rest.is_empty() || rest.strip_prefix(':').is_some_and(port_ok));
    }
    match text.split_once(':') {
        Some((host, port)) => is_address_or_name(host) && port_ok(port),
        None => is_address_or_name(text),
    }
}

/// What is wrong with an http(s) URL, as the rest of a sentence that begins with the URL. `None` if the URL is valid.
pub(super) fn url_fault(text: &str) -> Option<&'static str> {
    let Some((scheme, rest)) = text.split_once("://") else { return Some("has no `http://` or `https://` before it") };
    if scheme != "http" && scheme != "https" {
        return Some("is not an http or https URL");
    }
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    if has_user(text) {
        return Some("has a user or password in it");
    }
    if !is_authority(authority) {
        return Some("has no valid host and port");
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%:+,=&?!*()@".contains(&b);
    if !path.bytes().all(allowed) {
        return Some("has characters that a URL cannot have");
    }
    if path.split('/').any(|part| part == ".." || part == ".") {
        return Some("has `..` or `.` in its path");
    }
    None
}

/// Whether a URL has a user or a password before its host.
pub(super) fn has_user(url: &str) -> bool {
    url.split_once("://").is_some_and(|(_, rest)| rest.split('/').next().is_some_and(|authority| authority.contains('@')))
}

/// Whether the text is the name of an HTTP header: a token of RFC 9110.
pub(super) fn is_header_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Whether the text is the name of a registry: `host` or `host:port` in lower case.
pub(super) fn is_registry(text: &str) -> bool {
    is_authority(text) && !text.bytes().any(|b| b.is_ascii_uppercase() || b == b'_')
}

/// Whether the text is a registry with an optional path: the part of an image reference before `/kube-apiserver:v1.34.2`.
pub(super) fn is_repository(text: &str) -> bool {
    let mut parts = text.split('/');
    let component = |part: &str| {
        let ends = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let bytes = part.as_bytes();
        let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
        ends(bytes.first()) && ends(bytes.last()) && bytes.iter().all(inner)
    };
    parts.next().is_some_and(is_registry) && parts.all(component)
}

/// Whether the text is an image tag.
pub(super) fn is_tag(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !text.is_empty() && text.len() <= 128 && text.bytes().all(allowed) && !text.starts_with(['.', '-'])
}

/// Whether the text is the name of a flag, without the leading dashes.
pub(super) fn is_flag(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    text.bytes().all(allowed) && text.starts_with(|c: char| c.is_ascii_lowercase()) && !text.ends_with('-')
}

/// Whether the text is a login name: no spaces, no leading dash, and no characters that ssh would not read as part of the name.
pub(super) fn is_user(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'$' | b'\\' | b'+');
    !text.is_empty() && text.len() <= 128 && text.bytes().all(allowed) && !text.starts_with('-')
}

/// What is wrong with the path of a file or folder on a host, as the rest of a sentence that begins with the path. `None` if it is absolute, has no
/// empty part, no `.` and no `..`, and only has characters that need no quotes.
pub(super) fn path_fault(text: &str) -> Option<&'static str> {
    let Some(rest) = text.strip_prefix('/') else { return Some("is not absolute") };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/');
    if !text.bytes().all(allowed) {
        return Some("has other characters than letters, digits, dots, dashes and underscores");
    }
    if rest.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Some("has an empty part, `.` or `..` in it");
    }
    (text.len() > 1000 || rest.split('/').any(|part| part.len() > 200)).then_some("is too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name of a form, the function that checks it, texts that have the form, and texts that do not.
    type Row = (&'static str, fn(&str) -> bool, &'static [&'static str], &'static [&'static str]);

    const ROWS: [Row; 11] = [
        ("label", is_label, &["a", "m1", "a-b"], &["", "-a", "a-", "A", "a.b", "a_b", "ü"]),
        ("subdomain", is_subdomain, &["a.b", "m1.example.org"], &["a..b", ".a", "a.", "A.b", ""]),
        ("host name", is_host_name, &["m1", "M1.example.org", "my_alias"], &["", "-oProxyCommand=x", "a b", "a;b", "u@h", "h:22", "$(id)"]),
        ("key", is_qualified_key, &["rack", "example.org/rack", "a_B.c"], &["", "/a", "a/", "a/b/c", "-a", "Example.org/a", "a b"]),
        ("value", is_label_value, &["", "r12", "a.b_c"], &["-a", "a b", "a/b"]),
        (
            "authority",
            is_authority,
            &["h", "h:1", "[::1]:5", "[::1]", "1.2.3.4:80"],
            &["", ":1", "h:", "h:0", "h:99999", "1.2.3", "::1", "h:1:2"],
        ),
        ("registry", is_registry, &["docker.io", "r:5000"], &["Docker.io", "https://r", "../x", "r/x", ""]),
        ("repository", is_repository, &["r:5000/k8s", "registry.k8s.io"], &["r/", "r//a", "r/../a", "r/A", "https://r/a", "r/a:v1"]),
        ("tag", is_tag, &["3.6.8-0", "v1.14.2"], &["", "-a", "a b", "a:b", ".a"]),
        ("header", is_header_name, &["X-Meta", "a"], &["", "a b", "a:b", "a\n", "ä"]),
        ("flag", is_flag, &["v", "audit-log-path"], &["", "-v", "--v", "v-", "V", "a_b", "a=b", "a b", "1a"]),
    ];

    #[test]
    fn shapes() {
        for (name, is, yes, no) in ROWS {
            yes.iter().for_each(|text| assert!(is(text), "`{text}` is a {name}"));
            no.iter().for_each(|text| assert!(!is(text), "`{text}` is no {name}"));
        }
    }

    #[test]
    fn paths() {
        for good in ["/a", "/srv/a_b/c-d.yaml"] {
            assert_eq!(path_fault(good), None, "{good}");
        }
        let long = format!("/{}", "a".repeat(201));
        for bad in ["", "a", "/", "//a", "/a/", "/a//b", "/a/./b", "/a/../b", "/a b", "/a:b", "/ä", "/$x", &long] {
            assert!(path_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn urls() {
        for good in ["https://dl.k8s.io", "http://172.30.0.2:5000/a/b?c=d", "http://[::1]:80/x"] {
            assert_eq!(url_fault(good), None, "{good}");
        }
        for bad in [
            "dl.k8s.io",
            "ftp://x",
            "https://",
            "https://u:p@x",
            "https://x y",
            "https://x/a b",
            "https://x/../y",
            "https://x/$(id)",
            "https://x/'",
        ] {
            assert!(url_fault(bad).is_some(), "{bad}");
        }
    }
}
