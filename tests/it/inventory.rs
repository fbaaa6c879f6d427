//! The inventory as an operator uses it: each test reads files and checks the inventory or its faults.

mod bad;
mod good;
mod hostile;
mod reference;
mod size;

use std::path::PathBuf;

use clusterctl::inventory::{Faults, KubeVersion, Parsed, parse_bytes};
use clusterctl::versions;

/// Reads an inventory as the command line does.
fn read(bytes: &[u8], name: &str) -> Result<Parsed, Faults> {
    parse_bytes(bytes, name, &supported)
}

fn supported(version: &KubeVersion) -> Result<(), String> {
    versions::lookup(version).map(drop).map_err(|e| e.to_string())
}

/// The YAML files of a folder, sorted by name.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "yaml"));
    files.sort();
    files
}

fn name(file: &std::path::Path) -> String {
    file.file_name().unwrap().to_string_lossy().into_owned()
}
