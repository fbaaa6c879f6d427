//! Ctrl-C: during a run, the first one stops the run after the steps that are running, and the second one ends the program immediately. Outside
//! of a run, the first one ends the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use super::report::Report;
use crate::error::Exit;

/// Whether the operator has asked for an end, and whether a run is under way.
#[derive(Clone, Default)]
pub struct Interrupt {
    stop: Arc<AtomicBool>,
    running: Arc<AtomicBool>,
}

/// While this value exists, the first Ctrl-C only sets the stop flag.
pub struct Running(Interrupt);

impl Interrupt {
    /// Listens for SIGINT (Ctrl-C) and SIGTERM.
    pub fn listen(report: Report) -> Interrupt {
        let interrupt = Interrupt::default();
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            // If the program cannot listen for the signal, the signal keeps its default effect.
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

    /// Marks a run as under way for as long as the returned `Running` exists. The run must check the returned stop flag.
    pub fn run(&self) -> (Running, Arc<AtomicBool>) {
        self.running.store(true, Ordering::SeqCst);
        (Running(self.clone()), Arc::clone(&self.stop))
    }

    /// Whether the operator has asked for an end.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::SeqCst);
    }
}
