//! The paths of files in documents exist: a document that names a file of this repository must not outlive the file.

use std::path::Path;

/// The folders whose paths are checked. A path that begins otherwise is one on a host.
const FOLDERS: [&str; 7] = ["src/", "tests/", "docs/", "templates/", "inventories/", ".ci/", ".github/"];

/// The paths between backticks, up to the first character that stands for several names (`*`), and without examples (`NAME`, `NN`).
fn paths(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let ours = quoted.filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)));
    let example = |path: &&str| path.split(['/', '.', '-']).any(|part| part.len() > 1 && part.bytes().all(|b| b.is_ascii_uppercase()));
    ours.filter(|path| !path.contains(' ') && !example(path))
        .map(|path| path.split_once('*').map_or(path, |(before, _)| before.rsplit_once('/').map_or("", |(folder, _)| folder)))
        .collect()
}

#[test]
fn documents_name_files_that_exist() {
    let mut documents = crate::documents::below("docs");
    documents.extend(["README.md", "CONTRIBUTING.md", "SECURITY.md", "tests/lab/README.md"].map(Into::into));
    let mut named = 0;
    for document in &documents {
        let text = std::fs::read_to_string(document).expect("the document is readable");
        for path in paths(&text) {
            assert!(Path::new(path).exists(), "{} names {path}, which does not exist", document.display());
            named += 1;
        }
    }
    assert!(named > 40, "only {named} paths were found");
}

#[test]
fn only_paths_of_this_repository_are_checked() {
    let text = "`src/step/*.rs` and `tests/e2e/NN-name.sh` and `/etc/kubernetes` and `src/main.rs`";
    assert_eq!(paths(text), ["src/step", "src/main.rs"]);
}
