//! Failures as text for people: the same failure on many hosts is printed once, with its evidence below and the next command apart from it.

use serde::Serialize;
use serde_json::{Value, json};

use super::words::{clean, head_and_rest, plural, short};
use super::{ERROR, Report, WARNING, hint_line, log};
use crate::cli::stop::{Reason, Stop};
use crate::error::{Exit, Failure, chain};
use crate::inventory::{Fault, Faults};
use crate::plan::refusals::Refusal;

impl Report {
    /// Prints the reasons for which a verb stops, and returns its exit code.
    pub fn stopped(&self, stop: &Stop) -> Exit {
        for reason in &stop.reasons {
            match reason {
                Reason::Error { message, hint } => self.error(message, hint),
                Reason::Faults(faults) => self.faults(faults),
                Reason::Failures(failures) => self.failures(failures),
                Reason::Refusals(refusals) => self.refusals(refusals),
                Reason::Note(text) => self.note(text),
                Reason::Ending { state, next } => self.ending(state, next),
            }
        }
        stop.exit
    }

    /// Prints every failure; the same failure on many hosts is printed once.
    pub fn failures(&self, failures: &[Failure]) {
        if self.json() {
            return failures.iter().for_each(|f| self.tell(as_json(f), ""));
        }
        for f in failures {
            tracing::error!(target: log::SHOWN, host = f.host, phase = f.phase, step = f.step, "{}", chain(&f.source));
        }
        for (key, hosts) in grouped(failures.iter().map(|f| ((f.step.as_str(), f.hint()), f))) {
            let (step, hint) = key;
            let names: Vec<&str> = hosts.iter().map(|f| f.host.as_str()).collect();
            let mut text = format!("{ERROR}error:{ERROR:#} {}: {}\n", names.join(", "), clean(&short(step)));
            let causes: Vec<String> = hosts.iter().map(|f| clean(&chain(&f.source))).collect();
            if causes.windows(2).all(|two| two[0] == two[1]) {
                text += &cause(&causes[0], "");
            } else {
                hosts.iter().zip(&causes).for_each(|(f, c)| text += &cause(c, &format!("{}: ", f.host)));
            }
            self.print_err(&(text + &hint_line(Some(&hint))));
        }
    }

    /// Prints all faults of an inventory.
    fn faults(&self, faults: &Faults) {
        for fault in &faults.0 {
            tracing::error!(target: log::SHOWN, "{fault}");
            let text = format!("{ERROR}error:{ERROR:#} {}\n{}", place(fault), hint_line(fault.hint.as_deref()));
            self.tell(with_event("fault", fault), &text);
        }
        self.ending(&format!("{} in the inventory; no host was touched", plural(faults.0.len(), "fault")), "");
    }

    /// Prints the warnings about an inventory.
    pub fn warnings(&self, warnings: &[Fault]) {
        for fault in warnings {
            tracing::warn!(target: log::SHOWN, "{fault}");
            let text = format!("{WARNING}warning:{WARNING:#} {}\n{}", place(fault), hint_line(fault.hint.as_deref()));
            self.tell(with_event("warning", fault), &text);
        }
    }

    /// Prints every refusal for safety; the same refusal on many hosts is printed once.
    fn refusals(&self, refusals: &[Refusal]) {
        for b in refusals {
            tracing::error!(target: log::SHOWN, host = host_of(b), name = b.name, "{}", b.message);
        }
        if self.json() {
            return refusals.iter().for_each(|b| {
                let event = json!({"event": "refusal", "host": host_of(b), "name": b.name, "message": b.message, "fix": b.fix});
                self.tell(event, "");
            });
        }
        for ((name, message, fix), same) in grouped(refusals.iter().map(|b| ((b.name, b.message.as_str(), b.fix.as_str()), b))) {
            let hosts: Vec<&str> = same.into_iter().filter_map(host_of).collect();
            let at = if hosts.is_empty() { String::new() } else { format!("{}: ", hosts.join(", ")) };
            let fix = (!fix.is_empty()).then_some(fix);
            self.print_err(&format!("{ERROR}refused:{ERROR:#} {at}{} [{name}]\n{}", clean(message), hint_line(fix)));
        }
    }
}

/// The host that a refusal concerns; `None` if it concerns the cluster as a whole.
fn host_of(refusal: &Refusal) -> Option<&str> {
    Some(refusal.host.as_str()).filter(|host| !host.is_empty())
}

/// Formats a cause: `before` and the first line of `text` on one line, and the other lines of `text`, which are the evidence, indented below.
fn cause(text: &str, before: &str) -> String {
    let (first, evidence) = head_and_rest(text);
    let mut out = format!("  {before}{first}\n");
    for line in evidence {
        out += format!("      {line}").trim_end();
        out.push('\n');
    }
    out
}

/// Groups items by key, in the order in which the keys first occur.
fn grouped<K: PartialEq, T>(items: impl Iterator<Item = (K, T)>) -> Vec<(K, Vec<T>)> {
    let mut groups: Vec<(K, Vec<T>)> = Vec::new();
    for (key, item) in items {
        match groups.iter_mut().find(|(k, _)| *k == key) {
            Some((_, members)) => members.push(item),
            None => groups.push((key, vec![item])),
        }
    }
    groups
}

fn place(fault: &Fault) -> String {
    clean(&format!("{}:{}:{}: {}", fault.file, fault.line, fault.column, fault.message))
}

fn as_json(failure: &Failure) -> Value {
    let text = chain(&failure.source);
    let (cause, evidence) = head_and_rest(&text);
    json!({"event": "failure", "host": failure.host, "phase": failure.phase, "step": failure.step,
        "cause": cause, "evidence": evidence, "hint": failure.hint(), "exit": failure.exit() as i32})
}

fn with_event(name: &str, value: &impl Serialize) -> Value {
    let mut event = json!({"event": name});
    if let (Value::Object(into), Ok(Value::Object(fields))) = (&mut event, serde_json::to_value(value)) {
        into.extend(fields);
    }
    event
}
