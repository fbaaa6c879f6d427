//! Parsers of arguments that several verbs share.

use std::time::Duration;

use crate::inventory::parse_duration;

/// Parses a duration with a unit, such as `90s`. The error is the message that the operator reads.
pub fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a duration such as 90s, 15m or 24h".into())
}

/// Parses a duration as kubectl does: `0` needs no unit.
pub fn duration_or_zero(text: &str) -> Result<Duration, String> {
    if text == "0" { Ok(Duration::ZERO) } else { duration(text) }
}
