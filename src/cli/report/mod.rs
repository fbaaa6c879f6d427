//! The only code that prints. Results are written to standard output, and everything else to standard error. With `--output json`, all of it is
//! written to standard output, one JSON object per line.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anstyle::{AnsiColor, Style};
use comfy_table::{Table, presets};
use indicatif::{MultiProgress, ProgressDrawTarget};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Format, Global};

mod ask;
mod bars;
mod busy;
mod events;
mod failures;
mod json;
mod lines;
mod log;
mod words;

pub use busy::Busy;
pub use words::{plural, took};

/// The styles of text by severity.
pub(super) const ERROR: Style = AnsiColor::Red.on_default().bold();
pub(super) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();
pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();

/// Prints results and messages. Clones print to the same place.
#[derive(Clone)]
pub struct Report(Arc<Inner>);

struct Inner {
    format: Format,
    /// `--yes`.
    yes: bool,
    /// `out` is standard output, and `err` is standard error. Both remove colours if the output is no terminal or the environment turns colours off.
    out: Mutex<Sink>,
    err: Mutex<Sink>,
    /// The bars, which are drawn on standard error while a person watches, and hidden otherwise.
    bars: MultiProgress,
    live: bool,
    clock: fn() -> Timestamp,
    /// While a question hides its answer, the terminal's settings from before the question.
    terminal: Mutex<Option<rustix::termios::Termios>>,
}

/// An output for text.
pub type Sink = Box<dyn Write + Send>;

impl Report {
    /// Prints to the terminal, according to the options.
    pub fn new(global: &Global) -> Report {
        let dumb = std::env::var_os("TERM").is_none_or(|t| t == "dumb");
        let live = global.output == Format::Text && std::io::stderr().is_terminal() && !dumb;
        let inner = Inner::new(global.output, Box::new(anstream::stdout()), Box::new(anstream::stderr()), Timestamp::now);
        let target = if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Report(Arc::new(Inner { yes: global.yes, live, bars: MultiProgress::with_draw_target(target), ..inner }))
    }

    /// Prints to these two outputs without colours, and takes the time from this clock.
    pub fn to(format: Format, out: Sink, err: Sink, clock: fn() -> Timestamp) -> Report {
        let plain = |sink| Box::new(anstream::StripStream::new(sink)) as Sink;
        Report(Arc::new(Inner::new(format, plain(out), plain(err), clock)))
    }

    /// Prints text for people on standard output.
    pub fn say(&self, text: impl Display) {
        if !self.json() {
            self.print(&ended(text.to_string()));
        }
    }

    /// Prints text for people on standard error.
    pub fn aside(&self, text: impl Display) {
        if !self.json() {
            self.print_err(&ended(text.to_string()));
        }
    }

    /// Prints the result of the verb: the value as JSON, or the text for people.
    pub fn result(&self, value: &impl Serialize, text: impl Display) {
        if !self.json() {
            return self.print(&ended(text.to_string()));
        }
        match serde_json::to_string(value) {
            Ok(line) => self.print(&format!("{line}\n")),
            Err(e) => self.error(&format!("the result cannot be written as JSON: {e}"), ""),
        }
    }

    /// Prints a remark that is not a result.
    pub fn note(&self, text: impl Display) {
        tracing::info!(target: log::SHOWN, "{text}");
        self.tell(json!({"event": "note", "text": text.to_string()}), &format!("{text}\n"));
    }

    /// Prints a warning, which does not stop the verb.
    pub fn warning(&self, text: impl Display) {
        tracing::warn!(target: log::SHOWN, "{text}");
        self.tell(json!({"event": "warning", "message": text.to_string()}), &format!("{WARNING}warning:{WARNING:#} {text}\n"));
    }

    /// Prints the error that stopped the verb as a whole, and what to do about it; an empty `hint` is not printed.
    fn error(&self, message: &str, hint: &str) {
        tracing::error!(target: log::SHOWN, "{message}");
        let hint = (!hint.is_empty()).then_some(hint);
        let text = format!("{ERROR}error:{ERROR:#} {}\n{}", words::clean(message), hint_line(hint));
        self.tell(json!({"event": "error", "message": message, "hint": hint}), &text);
    }

    /// Prints the state after a verb that makes changes, and the command to continue with; both may be empty.
    pub fn ending(&self, state: &str, next: &str) {
        tracing::info!(target: log::SHOWN, state, next, "ending");
        let mut text = String::new();
        if !state.is_empty() {
            text += &format!("{state}\n");
        }
        if !next.is_empty() {
            text += &format!("{HINT}next:{HINT:#} {next}\n");
        }
        self.tell(json!({"event": "ending", "state": state, "next": next}), &text);
    }

    /// Whether the output is JSON.
    pub fn json(&self) -> bool {
        self.0.format == Format::Json
    }

    /// The present time of the report's clock.
    pub fn now(&self) -> Timestamp {
        (self.0.clock)()
    }

    /// With JSON output, adds the time to `event` and prints it on standard output. Otherwise prints `text` on standard error.
    fn tell(&self, mut event: Value, text: &str) {
        if !self.json() {
            return self.print_err(text);
        }
        event["time"] = json!(format!("{:.3}", self.now()));
        self.print(&format!("{event}\n"));
    }

    fn print(&self, text: &str) {
        self.0.bars.suspend(|| write(&self.0.out, text));
    }

    fn print_err(&self, text: &str) {
        self.0.bars.suspend(|| write(&self.0.err, text));
    }
}

impl Inner {
    fn new(format: Format, out: Sink, err: Sink, clock: fn() -> Timestamp) -> Inner {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        Inner { format, yes: false, out: Mutex::new(out), err: Mutex::new(err), bars, live: false, clock, terminal: Mutex::new(None) }
    }
}

/// The line `hint: ...`; empty without a hint.
fn hint_line(hint: Option<&str>) -> String {
    hint.map(|h| format!("{HINT}hint:{HINT:#} {h}\n")).unwrap_or_default()
}

/// The text in bold, as a heading.
pub fn heading(text: &str) -> String {
    let bold = Style::new().bold();
    format!("{bold}{text}{bold:#}")
}

/// A table with a header and without borders.
pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head);
    table.add_rows(rows);
    table.column_iter_mut().for_each(|c| {
        c.set_padding((0, 2));
    });
    table.trim_fmt()
}

/// The text with a line end at its end; an empty text stays empty.
fn ended(text: String) -> String {
    if text.is_empty() || text.ends_with('\n') { text } else { text + "\n" }
}

/// Writes text. Errors are ignored, because a closed output is no reason to stop.
fn write(sink: &Mutex<Sink>, text: &str) {
    let mut sink = lock(sink);
    let _ = sink.write_all(text.as_bytes()).and_then(|()| sink.flush());
}

/// Locks a mutex. Its value is usable even after a panic in another thread.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
