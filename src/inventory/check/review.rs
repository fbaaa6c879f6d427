//! Collects the findings of the rules. A finding about a value that could not be read is dropped, because it could be about a placeholder.

use super::super::Inventory;
use super::super::path::Path;
use super::super::structure::Finding;
use super::super::tree::{Kind, Node, Spot};

/// What the rules found.
pub(in super::super) struct Opinion {
    pub faults: Vec<Finding>,
    pub warnings: Vec<Finding>,
}

pub(super) struct Review<'a> {
    pub inventory: &'a Inventory,
    root: &'a Node,
    holes: Vec<Path>,
    opinion: Opinion,
}

impl<'a> Review<'a> {
    pub fn new(inventory: &'a Inventory, root: &'a Node, holes: &[Path]) -> Review<'a> {
        Review { inventory, root, holes: holes.to_vec(), opinion: Opinion { faults: Vec::new(), warnings: Vec::new() } }
    }

    /// Whether everything at and under a path could be read, so that a rule may rely on it.
    pub fn intact(&self, path: &Path) -> bool {
        !self.holes.iter().any(|hole| hole.touches(path))
    }

    /// Marks the value at a path as faulty, so that no later rule relies on it.
    pub fn spoil(&mut self, path: Path) {
        self.holes.push(path);
    }

    /// Whether the file has a value other than `null` at the path of these keys. If not, the value is a default.
    pub fn written(&self, keys: &[&str]) -> bool {
        let mut node = Some(self.root);
        for key in keys {
            node = node.and_then(|n| n.get(key));
        }
        node.is_some_and(|n| !n.is_null())
    }

    /// Whether the file has a value other than `null` in this field of the host at `index`.
    pub fn written_in_host(&self, index: usize, field: &str) -> bool {
        let host = match self.root.get("hosts").map(|n| &n.kind) {
            Some(Kind::List(items)) => items.get(index),
            _ => None,
        };
        host.and_then(|h| h.get(field)).is_some_and(|n| !n.is_null())
    }

    /// Reports a value that is not valid, at the position of the value. An empty `hint` means that there is no hint.
    pub fn fault(&mut self, path: Path, message: impl Into<String>, hint: impl Into<String>) {
        self.say(path, Spot::Value, message.into(), hint.into(), true);
    }

    /// Reports a key that is not valid, at the position of the key. An empty `hint` means that there is no hint.
    pub fn key_fault(&mut self, path: Path, message: impl Into<String>, hint: impl Into<String>) {
        self.say(path, Spot::Key, message.into(), hint.into(), true);
    }

    /// Reports a value that works but is probably not what the operator wants.
    pub fn warn(&mut self, path: Path, message: impl Into<String>, hint: impl Into<String>) {
        self.say(path, Spot::Value, message.into(), hint.into(), false);
    }

    pub fn opinion(self) -> Opinion {
        self.opinion
    }

    fn say(&mut self, path: Path, spot: Spot, message: String, hint: String, fault: bool) {
        if !self.intact(&path) {
            return;
        }
        let hint = if hint.is_empty() { None } else { Some(hint) };
        let list = if fault { &mut self.opinion.faults } else { &mut self.opinion.warnings };
        list.push(Finding { path, spot, message, hint });
    }
}
