//! The only place where arguments become shell text: SSH transfers one string, which the user's login shell splits into arguments again.

use super::HostError;

/// The text that a POSIX shell splits into exactly these arguments. Fails if an argument contains a NUL character.
///
/// Everything is in single quotes except single quotes and backslashes, which are escaped between the quoted parts: `sh`, `bash`, `dash`, `zsh`,
/// `ksh` and `fish` read this form in the same way.
pub fn quote<S: AsRef<str>>(argv: &[S]) -> Result<String, HostError> {
    let mut line = String::new();
    for argument in argv {
        if argument.as_ref().contains('\0') {
            return Err(HostError::Local { what: "a command's argument contains a NUL character".into(), source: None });
        }
        if !line.is_empty() {
            line.push(' ');
        }
        push_quoted(&mut line, argument.as_ref());
    }
    Ok(line)
}

fn push_quoted(line: &mut String, argument: &str) {
    line.push('\'');
    for c in argument.chars() {
        match c {
            '\'' => line.push_str(r"'\''"),
            '\\' => line.push_str(r"'\\'"),
            c => line.push(c),
        }
    }
    line.push('\'');
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// Arguments composed of text that is known to break quoting functions.
    fn nasty() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("$(touch canary)".to_string()),
            Just("`touch canary`".to_string()),
            Just("; touch canary;".to_string()),
            Just("\ntouch canary\n".to_string()),
            Just("\r\n\t ".to_string()),
            Just("-n".to_string()),
            Just("../".to_string()),
            Just("'".to_string()),
            Just("\"".to_string()),
            Just("\\".to_string()),
            Just("\\n\\0\\'".to_string()),
            Just("*?[a-z]~{a,b}".to_string()),
            Just("!!$HOME${IFS}%s#&|<>()=".to_string()),
            Just("\u{7f}\u{1}\u{1b}[31m".to_string()),
            Just("żółć 日本 🦀\u{202e}\u{feff}".to_string()),
            "[^\0]{0,8}",
        ];
        prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
    }

    /// Quotes about ten thousand values, many of them for one call of the shell: `sh` and `bash` split the text into exactly these values and execute
    /// nothing in them.
    #[test]
    fn a_real_shell_reads_back_the_arguments() {
        let folder = tempfile::tempdir().unwrap();
        let config = ProptestConfig { cases: 250, ..ProptestConfig::default() };
        proptest!(config, |(values in prop::collection::vec(nasty(), 40..60))| {
            let script = format!("printf '%s\\0' {}", quote(&values).unwrap());
            for shell in ["/bin/sh", "/bin/bash"] {
                let out = Command::new(shell).arg("-c").arg(&script).current_dir(folder.path()).output().unwrap();
                let expected: Vec<u8> = values.iter().flat_map(|v| v.bytes().chain([0])).collect();
                prop_assert!(out.status.success());
                prop_assert_eq!(&out.stdout, &expected);
                prop_assert!(out.stderr.is_empty());
            }
            prop_assert!(!folder.path().join("canary").exists());
        });
    }

    #[test]
    fn nul_is_refused() {
        assert!(matches!(quote(&["a\0b"]), Err(HostError::Local { .. })));
    }

    #[test]
    fn empty_arguments_stay() {
        assert_eq!(quote(&["a", "", "b"]).unwrap(), "'a' '' 'b'");
    }
}
