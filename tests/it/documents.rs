//! Functions that the tests of documents share: one lists the documents of a folder, and one compares the part of a document that is written from the
//! program.

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

/// Fails unless the part of a document below `mark` is equal to `written`, the text that was made from the program. If `UPDATE_GOLDENS` is set,
/// replaces that part instead.
pub fn compare(document: &str, mark: &str, written: &str) {
    let present = std::fs::read_to_string(document).expect("the document is readable");
    let (head, _) = present.split_once(mark).expect("the document has the mark");
    let wanted = format!("{head}{mark}{written}");
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        return std::fs::write(document, &wanted).expect("the document is writable");
    }
    assert!(present == wanted, "{document} differs from the program; UPDATE_GOLDENS=1 writes it anew");
}
