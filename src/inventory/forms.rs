//! Checks texts of a fixed form (durations, networks, addresses, versions), and refuses characters that no text may contain.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde_json::Value;

use super::duration::parse_duration;
use super::kinds::Form;
use super::version::KubeVersion;
use super::words::quoted;

/// A message about what is wrong, and a hint about what to write instead.
pub(super) type Complaint = (String, Option<String>);

/// Names that other tools use for fields of the inventory, each with the name of the field in the inventory. They are used for the hint about an
/// unknown field.
pub(super) const SYNONYMS: [(&str, &str); 17] = [
    ("podSubnet", "podCidr"),
    ("clusterCIDR", "podCidr"),
    ("serviceSubnet", "serviceCidr"),
    ("clusterDomain", "dnsDomain"),
    ("kubernetesVersion", "version"),
    ("clusterName", "name"),
    ("hostname", "name"),
    ("controlPlaneEndpoint", "endpoint"),
    ("ip", "address"),
    ("host", "address"),
    ("internalIP", "privateAddress"),
    ("internalAddress", "privateAddress"),
    ("role", "roles"),
    ("nodes", "hosts"),
    ("machines", "hosts"),
    ("keyPath", "identityFiles"),
    ("type", "pathType"),
];

/// Checks that a text has the given form.
pub(super) fn check(form: Form, text: &str) -> Result<(), Complaint> {
    let shown = quoted(text);
    match form {
        Form::Duration if parse_duration(text).is_some() => Ok(()),
        Form::Duration => {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let hint = if digits {
                format!("did you mean {}?", quoted(&format!("{text}s")))
            } else {
                "write a whole number with one of the units ms, s, m, h, d".into()
            };
            Err((format!("{shown} is not a duration such as `90s`, `5m`, `24h` or `365d`"), Some(hint)))
        }
        Form::KubeVersion if KubeVersion::from_str(text).is_ok() => Ok(()),
        Form::KubeVersion => {
            let full = if text.split('.').count() == 2 { format!("v{text}.0") } else { format!("v{text}") };
            let hint = KubeVersion::from_str(&full).ok().map(|_| format!("did you mean {}?", quoted(&full)));
            Err((format!("{shown} is not a version such as `v1.34.2`"), hint))
        }
        // A file may have several lines and tabs. The message does not show the text, which may be long.
        Form::FileContent => match text.chars().find(|c| is_hostile(*c) && !matches!(c, '\n' | '\t')) {
            None => Ok(()),
            Some(c) => {
                let message = format!("the content has the control character U+{:04X} in it", u32::from(c));
                Err((message, Some("remove it, or put the content into a file and name that as `file`".into())))
            }
        },
        Form::IpAddress if text.parse::<IpAddr>().is_ok() => Ok(()),
        Form::IpAddress => {
            let hint = text.parse::<IpNet>().ok().map(|net| format!("did you mean `{}`?", net.addr()));
            Err((format!("{shown} is not an IP address"), hint.or(Some("write an address such as `192.0.2.11` or `2001:db8::11`".into()))))
        }
        Form::Cidr => match text.parse::<IpNet>() {
            Ok(net) if net.trunc() == net => Ok(()),
            Ok(net) => Err((format!("{shown} has host bits set"), Some(format!("did you mean `{}`?", net.trunc())))),
            Err(_) => {
                let hint = match text.parse::<IpAddr>() {
                    Ok(_) => "a prefix length is missing, as in `10.244.0.0/16`",
                    Err(_) => "write one such as `10.244.0.0/16` or `fd00:10:244::/56`",
                };
                Err((format!("{shown} is not a network in CIDR notation"), Some(hint.into())))
            }
        },
    }
}

/// Returns the text as a JSON string. Fails if the text contains a control character or a character that makes a terminal show something else than
/// the text.
pub(super) fn text(text: &str) -> Result<Value, Complaint> {
    match text.chars().find(|c| is_hostile(*c)) {
        None => Ok(text.into()),
        Some('\n' | '\r') => Err((format!("{} has a line break in it", quoted(text)), Some("write it on one line".into()))),
        Some(c) => Err((format!("{} has the control character U+{:04X} in it", quoted(text), u32::from(c)), Some("remove it".into()))),
    }
}

fn is_hostile(c: char) -> bool {
    // `is_control` does not include the characters in this list: line and paragraph separators, directional marks, overrides and isolates, and the
    // byte-order mark.
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
