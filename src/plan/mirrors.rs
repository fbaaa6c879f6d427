//! Finds the files about registries that clusterctl has written for containerd on a host and that are no longer wanted.

use std::collections::BTreeSet;

use crate::facts::{FileKind, HostFacts};
use crate::inventory::below;
use crate::layout;
use crate::render::is_written_by_us;

/// Whether a file below the folder of all registries is clusterctl's: one that says so, or the beginning of one, which a run that was killed has left.
fn is_ours(path: &str, f: &HostFacts) -> bool {
    let name = layout::basename(path);
    let begun = name.starts_with('.') && name.ends_with(".clusterctl-new");
    let of_registry = name == "hosts.toml" || (name.starts_with("ca-") && name.ends_with(".crt"));
    begun || (of_registry && f.text(path).is_some_and(is_written_by_us))
}

/// The paths to remove if only the files `wanted` stay: each file of clusterctl, the folder of a registry if nothing in it stays, and the folder of all
/// registries if everything in it is removed. Files that clusterctl did not write stay.
pub fn paths(f: &HostFacts, wanted: &[String]) -> Vec<String> {
    let root = layout::CONTAINERD_CERTS_DIR;
    let files = f.files.iter().filter(|(path, fact)| fact.kind != FileKind::Directory && below(path, root).is_some());
    let files: Vec<&String> = files.map(|(path, _)| path).collect();
    let goes = |path: &str| !wanted.iter().any(|w| w == path) && is_ours(path, f);
    // Whether the host has the folder, no file in it stays, and none is wanted in it.
    let empties = |folder: &str| {
        let inside = |path: &str| below(path, folder).is_some();
        f.files.contains_key(folder) && !wanted.iter().any(|w| inside(w)) && files.iter().filter(|path| inside(path)).all(|path| goes(path))
    };
    if empties(root) {
        return vec![root.into()];
    }
    let folder = |path: &String| path.rsplit_once('/').map(|(folder, _)| folder).filter(|folder| empties(folder)).map(String::from);
    let gone = files.iter().filter(|path| goes(path)).map(|path| folder(path).unwrap_or((*path).clone()));
    gone.collect::<BTreeSet<String>>().into_iter().collect()
}
