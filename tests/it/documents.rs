//! What tests of documents share: the documents of a folder, and parts of documents that are written from the program.

use std::path::PathBuf;

/// The Markdown files of a folder and of the folders in it, in the order of their paths.
pub fn below(folder: &str) -> Vec<PathBuf> {
    let (mut out, mut open) = (Vec::new(), vec![PathBuf::from(folder)]);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder is readable").map(|e| e.expect("the folder is readable").path()) {
            match entry.is_dir() {
                true => open.push(entry),
                false if entry.extension().is_some_and(|e| e == "md") => out.push(entry),
                false => {}
            }
        }
    }
    out.sort();
    out
}

/// Compares the part of a document below the mark with the text that was written from the program. If `UPDATE_GOLDENS` is set, replaces that part.
pub fn compare(document: &str, mark: &str, written: &str) {
    let present = std::fs::read_to_string(document).expect("the document is readable");
    let (head, _) = present.split_once(mark).expect("the document has the mark");
    let wanted = format!("{head}{mark}{written}");
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        return std::fs::write(document, &wanted).expect("the document is writable");
    }
    assert!(present == wanted, "{document} differs from the program; UPDATE_GOLDENS=1 writes it anew");
}
