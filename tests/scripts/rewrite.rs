//! Absolute paths of a script, moved below a temporary root.

/// What scripts read or write on a host. Programs (`/bin/sh`, `/usr/bin`) and devices stay as they are.
const PREFIXES: [&str; 8] = ["/var/", "/etc/", "/run/", "/proc/", "/sys/", "/usr/local/", "/opt/", "/dev/shm/"];

/// The text with every absolute path of a host below `root`.
pub fn rewrite(text: &str, root: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        // Inside a longer path it is no beginning: `$dir/etc/`, `/usr/local/etc/`.
        let inside = before.is_ascii_alphanumeric() || matches!(before, '_' | '.' | '}' | ')' | '*' | '-');
        if c == '/' && !inside && PREFIXES.iter().any(|p| text[at..].starts_with(p)) {
            out.push_str(root);
        }
        out.push(c);
        before = c;
    }
    out
}
