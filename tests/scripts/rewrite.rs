//! Moves the absolute paths of a script below a temporary root.

/// The beginnings of paths that are moved: the folders that scripts read or write on a host. Programs (`/bin/sh`, `/usr/bin`) and devices keep their
/// paths.
const PREFIXES: [&str; 8] = ["/var/", "/etc/", "/run/", "/proc/", "/sys/", "/usr/local/", "/opt/", "/dev/shm/"];

/// The text with `root` inserted before every absolute path that begins with one of [`PREFIXES`].
pub fn rewrite(text: &str, root: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        // A prefix inside a longer path, such as `$dir/etc/` or `/usr/local/etc/`, is not the beginning of an absolute path, so it stays as it is.
        let inside = before.is_ascii_alphanumeric() || matches!(before, '_' | '.' | '}' | ')' | '*' | '-');
        if c == '/' && !inside && PREFIXES.iter().any(|p| text[at..].starts_with(p)) {
            out.push_str(root);
        }
        out.push(c);
        before = c;
    }
    out
}
