//! The log: all messages of clusterctl are written to `--log-file`, and with `-v` some of them to standard error. They contain only titles and
//! names of programs; no secret can get into the log, because no secret has a text form.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Mutex;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::Report;
use crate::cli::Global;
use crate::run::Event;

/// The tracing target of messages that clusterctl also prints. They are written to the log file, and `-v` does not print them a second time.
pub const SHOWN: &str = "clusterctl::shown";

impl Report {
    /// Starts logging according to the options.
    pub fn start_log(&self, global: &Global) -> io::Result<()> {
        let level = match global.verbose {
            0 => LevelFilter::OFF,
            1 => LevelFilter::INFO,
            2 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        };
        let screen = Targets::new().with_target("clusterctl", level).with_target(SHOWN, LevelFilter::OFF);
        let screen = fmt::layer().with_writer(Screen(self.clone())).without_time().with_ansi(false).with_target(false).with_filter(screen);
        let file = match &global.log_file {
            Some(path) => Some(fmt::layer().with_writer(Mutex::new(open(path)?)).with_ansi(false).with_filter(ours())),
            None => None,
        };
        // If logging was started before, as in tests, this call has no effect.
        let _ = tracing_subscriber::registry().with((global.verbose > 0).then_some(screen)).with(file).try_init();
        Ok(())
    }
}

/// Selects all messages of clusterctl, and only the warnings and errors of libraries.
fn ours() -> Targets {
    Targets::new().with_default(LevelFilter::WARN).with_target("clusterctl", LevelFilter::TRACE)
}

/// Opens a log file for appending, and makes sure that only its owner can read it.
fn open(path: &Path) -> io::Result<std::fs::File> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    if file.metadata()?.is_file() {
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// Prints log messages above the bars.
struct Screen(Report);

impl<'a> MakeWriter<'a> for Screen {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

struct Line<'a>(&'a Report);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.print_err(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Logs an event of a run.
pub fn event(event: &Event) {
    match event {
        Event::PhaseStarted { phase, hosts, steps } => tracing::info!(target: SHOWN, phase, hosts = hosts, steps, "phase started"),
        Event::StepStarted { phase, host, title } => tracing::debug!(target: SHOWN, phase, host, "{title}: started"),
        Event::StepDone { phase, host, title, took } => tracing::info!(target: SHOWN, phase, host, ms = ms(took), "{title}: done"),
        Event::StepFailed { phase, host, title, cause } => tracing::error!(target: SHOWN, phase, host, "{title}: failed: {cause}"),
        Event::PhaseDone { phase, took } => tracing::info!(target: SHOWN, phase, ms = ms(took), "phase done"),
    }
}

fn ms(time: &std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
