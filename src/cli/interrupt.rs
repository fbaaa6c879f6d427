//! Handles Ctrl-C and SIGTERM. During a run, the first signal stops the run after the steps that are running, and the second signal ends clusterctl
//! immediately. Outside of a run, the first signal ends clusterctl.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use super::report::Report;
use crate::error::Exit;

/// Whether a signal (Ctrl-C or SIGTERM) has arrived, and whether a run is under way.
#[derive(Clone, Default)]
pub struct Interrupt {
    stop: Arc<AtomicBool>,
    running: Arc<AtomicBool>,
}

/// Marks a run as under way. While this value exists, the first signal does not end clusterctl and only sets the stop flag that [`Interrupt::run`]
/// returned.
pub struct Running(Interrupt);

impl Interrupt {
    /// Listens for SIGINT (Ctrl-C) and SIGTERM.
    pub fn listen(report: Report) -> Interrupt {
        let interrupt = Interrupt::default();
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            // If clusterctl cannot listen for a signal, the signal keeps its default effect and ends clusterctl immediately.
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

    /// Marks a run as under way for as long as the returned `Running` exists. The run must check the returned stop flag, which the first signal sets.
    pub fn run(&self) -> (Running, Arc<AtomicBool>) {
        self.running.store(true, Ordering::SeqCst);
        (Running(self.clone()), Arc::clone(&self.stop))
    }

    /// Whether a signal (Ctrl-C or SIGTERM) has arrived.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::SeqCst);
    }
}
