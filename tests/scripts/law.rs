//! The law of the tables: every script that changes something on a host is named by a table, and a row of that table runs the script.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::OnceLock;

use super::table::Table;

/// Scripts that need no table, because they only read and change no state of a host. A new script must be named by a table or by this list.
const ONLY_LOOK: [&str; 8] =
    ["arguments.sh", "become.sh", "boot.sh", "constants.sh", "deprecated.sh", "evictions.sh", "releases.sh", "status.sh"];

/// The name and the text of every script in `src/host/scripts`.
fn scripts() -> &'static [(String, String)] {
    static ALL: OnceLock<Vec<(String, String)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/host/scripts");
        let below = |folder: &std::path::Path| std::fs::read_dir(folder).expect("the folders of the scripts are readable").flatten();
        let entries = below(folder.as_ref()).flat_map(|purpose| below(&purpose.path()));
        let read = |e: std::fs::DirEntry| {
            let text = std::fs::read_to_string(e.path()).expect("a script is readable");
            (e.file_name().to_string_lossy().into_owned(), text)
        };
        entries.map(read).collect()
    })
}

thread_local! {
    /// The names of the scripts that this thread has run since the last call of [`not_run`]. Each table runs in a single thread.
    static RAN: RefCell<BTreeSet<&'static str>> = const { RefCell::new(BTreeSet::new()) };
}

/// Records in `RAN` the scripts whose text is contained in the arguments of a command.
pub fn note(argv: &[String]) {
    let texts = argv.iter().filter(|a| a.contains('\n'));
    RAN.with_borrow_mut(|ran| {
        for text in texts {
            ran.extend(
                scripts()
                    .iter()
                    .filter(|(name, script)| !ran.contains(name.as_str()) && text.contains(script))
                    .map(|(name, _)| name.as_str())
                    .collect::<Vec<_>>(),
            );
        }
    });
}

/// The scripts of `named` that this thread has not run since the last call of this function.
pub fn not_run<'a>(named: &[&'a str]) -> Vec<&'a str> {
    let ran = RAN.take();
    named.iter().filter(|name| !ran.contains(**name)).copied().collect()
}

pub fn table(t: &mut Table) {
    let named: BTreeSet<&str> = crate::TABLES.iter().flat_map(|(_, _, scripts)| scripts.iter().copied()).collect();
    let there: BTreeSet<&str> = scripts().iter().map(|(name, _)| name.as_str()).collect();
    t.row("every script that changes something is named by a table", || {
        let without: Vec<_> = there.iter().filter(|s| !named.contains(**s) && !ONLY_LOOK.contains(*s)).collect();
        if without.is_empty() { Ok(()) } else { Err(format!("without a table: {without:?}")) }
    });
    t.row("every script that is named exists", || {
        let gone: Vec<_> = named.iter().chain(&ONLY_LOOK).filter(|s| !there.contains(**s)).collect();
        if gone.is_empty() { Ok(()) } else { Err(format!("not in src/host/scripts: {gone:?}")) }
    });
}
