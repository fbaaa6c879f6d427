//! The place of a value in an inventory: `hosts[2].labels["example.org/rack"]`.

use std::fmt;

/// One step of a path: a key of a mapping or an index of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seg {
    Key(String),
    Index(usize),
}

/// Steps from the top of the file. A path without steps means the whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Path(pub Vec<Seg>);

/// Makes a path, as in `at!["hosts", i, "name"]`.
macro_rules! at {
    ($($seg:expr),* $(,)?) => { $crate::inventory::path::Path(vec![$($crate::inventory::path::Seg::from($seg)),*]) };
}
pub(super) use at;

impl Path {
    /// This path and one more step.
    pub fn join(&self, seg: impl Into<Seg>) -> Path {
        let mut path = self.clone();
        path.0.push(seg.into());
        path
    }

    /// Whether the two paths are equal, or one of them is the beginning of the other.
    pub fn touches(&self, other: &Path) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a == b)
    }
}

impl From<&str> for Seg {
    fn from(key: &str) -> Seg {
        Seg::Key(key.into())
    }
}

impl From<&String> for Seg {
    fn from(key: &String) -> Seg {
        Seg::Key(key.clone())
    }
}

impl From<usize> for Seg {
    fn from(index: usize) -> Seg {
        Seg::Index(index)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, seg) in self.0.iter().enumerate() {
            match seg {
                Seg::Index(index) => write!(f, "[{index}]")?,
                Seg::Key(key) if key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') && !key.is_empty() => {
                    write!(f, "{}{key}", if i > 0 { "." } else { "" })?;
                }
                Seg::Key(key) => write!(f, "[{key:?}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn shows_and_compares() {
        assert_eq!(at!["hosts", 2, "labels", "example.org/rack"].to_string(), r#"hosts[2].labels["example.org/rack"]"#);
        assert!(at!["hosts"].touches(&at!["hosts", 2, "name"]));
        assert!(at!["hosts", 2, "name"].touches(&at!["hosts"]));
        assert!(!at!["hosts", 1].touches(&at!["hosts", 2, "name"]));
    }
}
