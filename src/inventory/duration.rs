//! Durations as they are written in an inventory: `500ms`, `90s`, `5m`, `24h`, `365d`.

use std::time::Duration;

/// The units of a duration, each with its length in milliseconds, longest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Parses a whole number with a unit, such as `90s`. `None` if the text has another form or the number of milliseconds does not fit into a `u64`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..split].parse().ok()?;
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == &text[split..])?;
    number.checked_mul(*millis).map(Duration::from_millis)
}

/// Formats a duration as a whole number with the longest unit that makes this possible: 120 s become `2m`, and 90 s become `90s`. Fractions of a
/// millisecond are dropped.
pub fn show_duration(value: Duration) -> String {
    let total = u64::try_from(value.as_millis()).unwrap_or(u64::MAX);
    let whole = UNITS.iter().find(|(_, millis)| total > 0 && total % millis == 0);
    match whole {
        Some((name, millis)) => format!("{}{name}", total / millis),
        None => "0s".into(),
    }
}

/// Functions for `#[serde(with)]` on a field of the type `Duration`, which is written as text such as `90s`.
pub(super) mod text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(d)?;
        super::parse_duration(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a duration")))
    }

    pub fn serialize<S: Serializer>(value: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&super::show_duration(*value))
    }
}

/// Functions for `#[serde(with)]` on a field of the type `Option<Duration>`: text such as `90s`, or null for `None`.
pub(super) mod optional {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
        let Some(text) = Option::<String>::deserialize(d)? else { return Ok(None) };
        super::parse_duration(&text).map(Some).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a duration")))
    }

    pub fn serialize<S: Serializer>(value: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(v) => super::text::serialize(v, s),
            None => s.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_the_longest_whole_unit() {
        for (text, shown) in [("90s", "90s"), ("60s", "1m"), ("48h", "2d"), ("1500ms", "1500ms"), ("2000ms", "2s"), ("0s", "0s")] {
            assert_eq!(show_duration(parse_duration(text).expect(text)), shown);
        }
        for bad in ["", "5", "s", "1.5h", "-1s", "5 s", "5S", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }
}
