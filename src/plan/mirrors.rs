//! Finds the files with mirrors of registries that clusterctl has written for containerd on a host.

use crate::facts::{FileKind, HostFacts};
use crate::inventory::below;
use crate::layout;
use crate::render::is_written_by_us;

/// The paths to remove for the registries that `leaves` names: the file with the mirrors, the folder of the registry if it has no other file, and the
/// folder of all registries if everything in it leaves. Files that clusterctl did not write stay.
pub fn paths(f: &HostFacts, leaves: impl Fn(&str) -> bool) -> Vec<String> {
    let files = |folder: &str| {
        let files = f.files.iter().filter(|(path, fact)| fact.kind != FileKind::Directory && below(path, folder).is_some());
        files.map(|(path, _)| path.clone()).collect::<Vec<_>>()
    };
    let goes = |path: &String| {
        let registry = below(path, layout::CONTAINERD_CERTS_DIR).and_then(|rest| rest.strip_suffix("/hosts.toml"));
        registry.is_some_and(|name| leaves(name.trim_start_matches('/'))) && f.text(path).is_some_and(is_written_by_us)
    };
    let all = files(layout::CONTAINERD_CERTS_DIR);
    if f.files.contains_key(layout::CONTAINERD_CERTS_DIR) && all.iter().all(goes) {
        return vec![layout::CONTAINERD_CERTS_DIR.into()];
    }
    let alone = |folder: &&str| f.files.contains_key(*folder) && files(folder).len() == 1;
    let ours = all.into_iter().filter(goes);
    ours.map(|path| path.strip_suffix("/hosts.toml").filter(alone).map_or(path.clone(), String::from)).collect()
}
