//! Events as JSON. The field names are stable: programs read them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::run::Event;

/// One event as one object.
pub fn event(event: &Event) -> Value {
    match event {
        Event::PhaseStarted { phase, hosts, steps } => json!({"event": "phase-started", "phase": phase, "hosts": hosts, "steps": steps}),
        Event::StepStarted { phase, host, title } => json!({"event": "step-started", "phase": phase, "host": host, "step": title}),
        Event::StepDone { phase, host, title, took } => {
            json!({"event": "step-done", "phase": phase, "host": host, "step": title, "seconds": seconds(*took)})
        }
        Event::StepFailed { phase, host, title, cause } => {
            json!({"event": "step-failed", "phase": phase, "host": host, "step": title, "cause": cause})
        }
        Event::PhaseDone { phase, took } => json!({"event": "phase-done", "phase": phase, "seconds": seconds(*took)}),
    }
}

/// The time in seconds, rounded to milliseconds.
pub fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}
