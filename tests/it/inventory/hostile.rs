//! Whatever an inventory file contains, clusterctl returns an inventory or faults and never panics, and the position of each fault is in the file.

use std::sync::OnceLock;

use proptest::prelude::*;

use super::{files, read};

/// Reads the bytes as an inventory, and checks that each fault is shown without control characters and has a position that is in the text.
fn answer(bytes: &[u8]) {
    if let Err(faults) = read(bytes, "hostile.yaml") {
        assert!(!faults.0.is_empty());
        let lines = String::from_utf8_lossy(bytes).split('\n').count();
        for fault in &faults.0 {
            assert!((1..=lines + 1).contains(&fault.line) && fault.column >= 1, "{fault}");
            let shown = fault.to_string();
            assert!(!shown.chars().any(char::is_control), "{shown:?}");
        }
    }
}

/// Every inventory that is in the repository, good or bad.
fn seeds() -> &'static [Vec<u8>] {
    static SEEDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let all = ["inventories", "tests/it/inventory/bad", "templates/inventory"];
        all.iter().flat_map(|folder| files(folder)).map(|f| std::fs::read(f).unwrap()).collect()
    })
}

/// Pieces of text that have a meaning in YAML or in an inventory.
const PIECES: [&str; 24] = [
    "\n", "  ", "- ", ": ", "{", "}", "[", "]", "&a ", "*a", "<<: ", "|\n", ">\n", "\"", "'", "#", "---\n", "!!str ", "\t", "\0", "~",
    "yes", "\u{feff}", "é",
];

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        answer(&bytes);
    }

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        answer(text.as_bytes());
    }

    #[test]
    fn pieces_of_yaml(pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..60)) {
        answer(pieces.concat().as_bytes());
    }

    /// Inventories of the repository from which a piece is cut, and in which pieces of YAML take its place.
    #[test]
    fn damaged_inventories(seed in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), cut in 0usize..40,
                           put in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..4)) {
        let seeds = seeds();
        let mut bytes = seeds[seed.index(seeds.len())].clone();
        let start = at.index(bytes.len() + 1);
        let end = (start + cut).min(bytes.len());
        bytes.splice(start..end, put.concat().into_bytes());
        answer(&bytes);
    }

    /// Inventories of the repository in which any text replaces the value of one field.
    #[test]
    fn any_value_of_any_field(seed in any::<prop::sample::Index>(), line in any::<prop::sample::Index>(), value in "\\PC{0,20}|[-$`;&|(){}'\"/.~ ]{1,10}|\\$\\(reboot\\)") {
        let seeds = seeds();
        let text = String::from_utf8_lossy(&seeds[seed.index(seeds.len())]).into_owned();
        let mut lines: Vec<String> = text.lines().map(Into::into).collect();
        if lines.is_empty() { return Ok(()); }
        let i = line.index(lines.len());
        if let Some((key, _)) = lines[i].clone().split_once(": ") {
            lines[i] = format!("{key}: {}", serde_json::to_string(&value).unwrap());
        }
        answer(lines.join("\n").as_bytes());
    }
}

#[test]
fn long_values_are_cut_in_messages() {
    for piece in ["x", "1", "é", "\\u202E"] {
        let long = piece.repeat(100_000);
        let text = format!(
            "cluster: {{name: {long}, version: {long}, endpoint: {long}}}\npki: {{caValidity: {long}, algorithm: {long}}}\nssh: {{port: {long}}}\n\
             network: {{podCidr: {long}, dnsDomain: \"{long}\"}}\nkubelet: {{config: {{a: \"{long}\"}}, extraArgs: {{v: {long}}}}}\n\
             hosts: [{{name: \"{long}\", address: \"{long}\", roles: [{long}]}}]\n"
        );
        for fault in read(text.as_bytes(), "long.yaml").unwrap_err().0 {
            assert!(fault.to_string().len() < 1000, "{fault}");
        }
    }
}

#[test]
fn thousands_of_faults_are_told_in_part() {
    let text: String = (0..20_000).map(|n| format!("unknown{n}: 1\n")).collect();
    let faults = read(text.as_bytes(), "many.yaml").unwrap_err();
    assert_eq!(faults.0.len(), 501);
    assert!(faults.to_string().ends_with(": more faults may follow"));
}

#[test]
fn passwords_in_urls_are_not_shown() {
    let text = "cluster: {name: a, version: v1.36.2}\nartifacts:\n  binaries: https://me:s3cret@x\n  registryMirrors: {docker.io: [\"http://me:s3cret@y\"]}\n\
        etcd: {external: {endpoints: [\"https://me:s3cret@z\"], caFile: a, certFile: b, keyFile: c}}\n\
        hosts: [{name: m, address: 192.0.2.1, roles: [master, worker]}]\n";
    let said = read(text.as_bytes(), "x.yaml").unwrap_err().to_string();
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(!said.contains("s3cret"), "{said}");
}
