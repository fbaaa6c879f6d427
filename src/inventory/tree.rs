//! The tree of an inventory: the values in the file with their positions, not yet interpreted.

use super::path::{Path, Seg};

/// Line and column in characters, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pos {
    pub line: usize,
    pub column: usize,
}

/// A value and where it starts.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub pos: Pos,
    /// The number of values and keys in this node, including itself. Each alias to this node adds this number to the size of the document.
    pub size: usize,
    /// The number of nested levels in this node, including its own.
    pub depth: usize,
    pub kind: Kind,
}

/// The content of a value.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// A text. `plain` is true if the text has neither quotes nor the tag `!!str` in the file, so that it may mean something else than text, as `5`
    /// does.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub key: String,
    pub pos: Pos,
    pub value: Node,
}

/// Which part of an entry a fault points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    Key,
    Value,
}

impl Node {
    /// A scalar.
    pub fn scalar(pos: Pos, text: String, plain: bool) -> Node {
        Node { pos, size: 1, depth: 1, kind: Kind::Scalar { text, plain } }
    }

    /// A list. Its size and its depth are computed from its items.
    pub fn list(pos: Pos, items: Vec<Node>) -> Node {
        let size = items.iter().map(|n| n.size).sum::<usize>() + 1;
        let depth = items.iter().map(|n| n.depth).max().unwrap_or(0) + 1;
        Node { pos, size, depth, kind: Kind::List(items) }
    }

    /// A mapping. Its size and its depth are computed from its entries.
    pub fn map(pos: Pos, entries: Vec<Entry>) -> Node {
        let size = entries.iter().map(|e| e.value.size + 1).sum::<usize>() + 1;
        let depth = entries.iter().map(|e| e.value.depth).max().unwrap_or(0) + 1;
        Node { pos, size, depth, kind: Kind::Map(entries) }
    }

    /// Whether the value is empty or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The value of a key. `None` if this node is not a mapping or has no such key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.value),
            _ => None,
        }
    }

    /// The position of the key or value at a path. If a part of the path is not in the file, it is the position of the last part that is in the file.
    pub fn position(&self, path: &Path, spot: Spot) -> Pos {
        let (mut node, mut key) = (self, None);
        for seg in &path.0 {
            let next = match (&node.kind, seg) {
                (Kind::Map(entries), Seg::Key(name)) => entries.iter().find(|e| e.key == *name).map(|e| (&e.value, Some(e.pos))),
                (Kind::List(items), Seg::Index(i)) => items.get(*i).map(|n| (n, None)),
                _ => None,
            };
            match next {
                Some(found) => (node, key) = found,
                None => return key.unwrap_or(node.pos),
            }
        }
        match key {
            Some(key) if spot == Spot::Key || node.is_null() => key,
            _ => node.pos,
        }
    }
}
