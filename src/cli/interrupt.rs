//! Ctrl-C: once stops a run after the steps under way, twice leaves at once; outside of a run, once is enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use super::report::Report;
use crate::error::Exit;

/// What the operator wants to end.
#[derive(Clone, Default)]
pub struct Interrupt {
    stop: Arc<AtomicBool>,
    running: Arc<AtomicBool>,
}

/// While it lives, the first Ctrl-C only sets the stop flag.
pub struct Running(Interrupt);

impl Interrupt {
    /// Listens for Ctrl-C and for a request to terminate.
    pub fn listen(report: Report) -> Interrupt {
        let interrupt = Interrupt::default();
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            // Without a listener the signal does what it always does.
            if let Ok(mut signals) = signal(kind) {
                let (interrupt, report) = (interrupt.clone(), report.clone());
                tokio::spawn(async move {
                    while signals.recv().await.is_some() {
                        interrupt.arrived(&report);
                    }
                });
            }
        }
        interrupt
    }

    fn arrived(&self, report: &Report) {
        if self.stop.swap(true, Ordering::SeqCst) || !self.running.load(Ordering::SeqCst) {
            report.restore_terminal();
            std::process::exit(Exit::Interrupted as i32);
        }
        report.note("stopping once the steps under way are done; Ctrl-C again leaves at once");
    }

    /// A run begins, for as long as the guard lives. The flag is what the run has to look at.
    pub fn run(&self) -> (Running, Arc<AtomicBool>) {
        self.running.store(true, Ordering::SeqCst);
        (Running(self.clone()), Arc::clone(&self.stop))
    }

    /// Whether the operator wants an end.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::SeqCst);
    }
}
