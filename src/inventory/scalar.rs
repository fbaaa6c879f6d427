//! Decides what an unquoted YAML scalar means, and detects scalars that have different meanings in YAML 1.1 and YAML 1.2.

/// The meaning of an unquoted scalar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Plain {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Some YAML readers read the scalar as text, others as the kind of value that this noun names, such as `a boolean`.
    Trap(&'static str),
    Text,
}

impl Plain {
    /// The kind of value as a noun for messages.
    pub fn noun(self) -> &'static str {
        match self {
            Plain::Null => "nothing",
            Plain::Bool(_) => "a boolean",
            Plain::Int(_) | Plain::Float(_) => "a number",
            Plain::Trap(noun) => noun,
            Plain::Text => "text",
        }
    }
}

/// The meaning of `text` without quotes by the core schema of YAML 1.2. [`Plain::Trap`] if YAML readers do not agree, such as on `yes`, which is a
/// boolean in YAML 1.1 only.
pub(super) fn meaning(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Null,
        "true" | "True" | "TRUE" => return Plain::Bool(true),
        "false" | "False" | "FALSE" => return Plain::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Plain::Trap("a number"),
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Plain::Trap("a boolean"),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Plain::Trap("a boolean"),
        _ => {}
    }
    number(text)
}

fn number(text: &str) -> Plain {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Plain::Trap("a number");
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Plain::Text;
    }
    let all = |digits: &str, ok: fn(&char) -> bool| !digits.is_empty() && digits.chars().all(|c| ok(&c));
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = unsigned.strip_prefix(prefix) {
            let fits = i64::from_str_radix(digits, radix).is_ok() && !digits.starts_with(['-', '+']);
            return if fits { Plain::Trap("a number") } else { Plain::Text };
        }
    }
    if all(unsigned, |c| c.is_ascii_digit() || *c == '_') && (unsigned.contains('_') || (unsigned.len() > 1 && unsigned.starts_with('0'))) {
        return Plain::Trap("a number");
    }
    if all(unsigned, char::is_ascii_digit)
        && let Ok(int) = text.parse()
    {
        return Plain::Int(int);
    }
    if !unsigned.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+')) {
        return Plain::Text;
    }
    match text.parse::<f64>() {
        Ok(float) if float.is_finite() => Plain::Float(float),
        Ok(_) => Plain::Trap("a number"),
        Err(_) => Plain::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_yaml_does() {
        for text in ["yes", "No", "ON", "off", "y", "N"] {
            assert_eq!(meaning(text), Plain::Trap("a boolean"), "{text}");
        }
        for text in ["0755", "1_000", "0x1f", "0o17", "0b11", ".inf", "-.Inf", ".nan", "1e999"] {
            assert_eq!(meaning(text), Plain::Trap("a number"), "{text}");
        }
        for text in [
            "v1.34.2",
            "172.30.0.11",
            "2026-01-01",
            "10.244.0.0/16",
            "90s",
            "1.2.3",
            "yES",
            "nO",
            "0xyz",
            "-",
            ".",
            "..",
            "e5",
            "é",
            "0x-1",
        ] {
            assert_eq!(meaning(text), Plain::Text, "{text}");
        }
        assert_eq!(meaning("-5"), Plain::Int(-5));
        assert_eq!(meaning("0"), Plain::Int(0));
        assert_eq!(meaning("1.20"), Plain::Float(1.2));
        assert_eq!(meaning("1e3"), Plain::Float(1000.0));
        assert_eq!(meaning("99999999999999999999"), Plain::Float(1e20));
        assert_eq!(meaning("~"), Plain::Null);
        assert_eq!(meaning("True"), Plain::Bool(true));
    }
}
