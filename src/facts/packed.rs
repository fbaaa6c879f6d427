//! Reads the output of scripts that compress it with gzip and end it with the line `@done`.

use std::io::Read;

/// The lines of the output without the last one. `None` if the output was cut short.
pub(super) fn unpacked(stdout: &[u8]) -> Option<String> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(stdout).read_to_string(&mut text).ok()?;
    let whole = text.strip_suffix("@done\n")?;
    let ends_a_line = whole.is_empty() || whole.ends_with('\n');
    ends_a_line.then(|| whole.to_string())
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::*;

    /// The text as a script prints it.
    pub fn packed(text: &str) -> Vec<u8> {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(text.as_bytes()).expect("memory takes everything");
        gz.finish().expect("memory takes everything")
    }

    #[test]
    fn an_output_without_its_last_line_is_none() {
        for (text, wanted) in [("@done\n", Some("")), ("a\nb\n@done\n", Some("a\nb\n")), ("a\nb\n", None), ("a @done\n", None), ("", None)]
        {
            assert_eq!(unpacked(&packed(text)).as_deref(), wanted, "{text:?}");
        }
        assert_eq!(unpacked(b""), None);
    }
}
