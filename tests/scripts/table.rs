//! Runs the rows of tables and prints how many ran and failed. It accepts the command-line arguments of libtest that `cargo test` and `cargo nextest`
//! use.

use std::process::ExitCode;
use std::sync::Mutex;

use super::known_failures::KNOWN_FAILURES;
use super::law;

/// The function of a table, which runs the rows by calls of [`Table::row`] and [`Table::sweep`].
pub type TableFn = fn(&mut Table);

/// A table: its name, its function, and the names of the scripts that it tests. The run fails if no row runs one of these scripts.
pub type Entry = (&'static str, TableFn, &'static [&'static str]);

/// The results of one table while its rows are run.
pub struct Table {
    name: &'static str,
    rows: usize,
    failed: Vec<String>,
    skipped: bool,
}

impl Table {
    /// Runs one row, which fails if `check` returns an error. The error states what is wrong.
    pub fn row(&mut self, name: impl AsRef<str>, check: impl FnOnce() -> Result<(), String>) {
        let name = format!("{}: {}", self.name, name.as_ref());
        if wanted(&name) {
            self.note(name, check());
        }
    }

    /// Runs `check` with 1, 1 + `stride` and so on, each as a row, until it returns `None` because the script ended before the fault was reached.
    /// With CLUSTERCTL_SWEEP=every, the stride is 1.
    pub fn sweep(&mut self, name: impl AsRef<str>, stride: usize, check: impl Fn(usize) -> Option<Result<(), String>>) {
        let name = format!("{}: {}", self.name, name.as_ref());
        if !wanted(&name) {
            return;
        }
        let every = std::env::var("CLUSTERCTL_SWEEP").is_ok_and(|v| v == "every");
        for n in (1..).step_by(if every { 1 } else { stride }) {
            match check(n) {
                Some(result) => self.note(format!("{name} (effect {n})"), result),
                None if n == 1 => return self.note(name, Err("the injected fault is never reached".into())),
                None => return,
            }
        }
    }

    /// Skips the rest of the table because the machine lacks what `needs` names. The skip is written to the file that CLUSTERCTL_TEST_SKIPS names, in
    /// which `tests/quick` counts it. Without this variable, the run fails, because a skip that nobody counts would look like a pass.
    pub fn skip(&mut self, needs: &str) {
        use std::io::Write;
        let line = format!("skipped: needs {needs}: scripts::{}\n", self.name);
        let list = std::env::var_os("CLUSTERCTL_TEST_SKIPS").ok_or_else(|| "the skip is counted by tests/quick alone".to_string());
        let told = list.and_then(|l| std::fs::OpenOptions::new().append(true).create(true).open(l).map_err(|e| e.to_string()));
        match told.and_then(|mut file| file.write_all(line.as_bytes()).map_err(|e| e.to_string())) {
            Ok(()) => self.skipped = true,
            Err(why) => self.failed.push(format!("{}: {} ({why})", self.name, line.trim_end())),
        }
    }

    fn note(&mut self, name: String, result: Result<(), String>) {
        self.rows += 1;
        match (result, KNOWN_FAILURES.contains(&name.as_str())) {
            (Ok(()), false) | (Err(_), true) => {}
            (Ok(()), true) => self.failed.push(format!("{name}\n    passes: take it off the list of known failures")),
            (Err(why), false) => self.failed.push(format!("{name}\n    {}", why.replace('\n', "\n    "))),
        }
    }
}

/// Whether a row of this name is to be run: its name contains the text in CLUSTERCTL_ROWS, or this variable is not set.
fn wanted(name: &str) -> bool {
    std::env::var("CLUSTERCTL_ROWS").map_or(true, |part| name.contains(&part))
}

/// Runs the tables that the arguments name, by a part of their name or, with `--exact`, by the whole name. Without arguments, it runs all of them.
pub fn run(tables: &[Entry]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|a| a == flag);
    if has("--list") {
        let names = tables.iter().map(|(name, _, _)| name).filter(|_| !has("--ignored"));
        names.for_each(|name| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let wanted =
        |name: &str| filters.is_empty() || filters.iter().any(|f| if has("--exact") { *f == name } else { name.contains(f.as_str()) });
    let left: Mutex<Vec<_>> = Mutex::new(tables.iter().filter(|(name, _, _)| wanted(name)).rev().collect());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((name, table, scripts)) = { left.lock().expect("no row panics").pop() } {
                    let mut rows = Table { name, rows: 0, failed: vec![], skipped: false };
                    table(&mut rows);
                    let not_run = law::not_run(scripts);
                    if std::env::var_os("CLUSTERCTL_ROWS").is_none() && !not_run.is_empty() {
                        rows.failed.push(format!("{name}: these scripts are named by the table and run by none of its rows: {not_run:?}"));
                    }
                    done.lock().expect("no row panics").push(rows);
                }
            });
        }
    });
    let done = done.into_inner().expect("no row panics");
    let failed: Vec<&String> = done.iter().flat_map(|t| &t.failed).collect();
    failed.iter().for_each(|f| println!("FAILED {f}"));
    let rows: usize = done.iter().map(|t| t.rows).sum();
    println!("{rows} cases in {} tables, {} failed, {} known failures", done.len(), failed.len(), KNOWN_FAILURES.len());
    if failed.is_empty() && (rows > 0 || done.iter().any(|t| t.skipped)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
