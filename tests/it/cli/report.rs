//! Golden outputs of [`Report`], which writes events and failures as plain text or as JSON lines.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clusterctl::cli::Format;
use clusterctl::cli::report::Report;
use clusterctl::cli::stop::Stop;
use clusterctl::error::{Exit, Failure, Place};
use clusterctl::host::HostError;
use clusterctl::inventory::Fault;
use clusterctl::plan::refusals::Refusal;
use clusterctl::run::Event;
use clusterctl::step::StepError;

/// A writer that collects the text written to it and to its clones.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// A report, and the pages that collect its standard output and its standard error.
fn report(format: Format) -> (Report, Page, Page) {
    let (out, err) = (Page::default(), Page::default());
    let clock = || "2026-11-21T10:00:00Z".parse().unwrap();
    (Report::to(format, Box::new(out.clone()), Box::new(err.clone()), clock), out, err)
}

fn events() -> Vec<Event> {
    let (phase, m1, m2) = ("prepare hosts", "m1".to_string(), "m2".to_string());
    let title = |t: &str| t.to_string();
    vec![
        Event::PhaseStarted { phase, hosts: 2, steps: 3 },
        Event::StepStarted { phase, host: m1.clone(), title: title("install containerd, runc") },
        Event::StepStarted { phase, host: m2.clone(), title: title("install containerd, runc") },
        Event::StepDone { phase, host: m1.clone(), title: title("install containerd, runc"), took: Duration::from_millis(1234) },
        Event::StepStarted { phase, host: m1.clone(), title: title("start kubelet") },
        Event::StepFailed {
            phase,
            host: m2,
            title: title("install containerd, runc"),
            cause: "apt-get failed: no space left\nE: \u{1b}[31mwrite error".into(),
        },
        Event::StepDone { phase, host: m1, title: title("start kubelet"), took: Duration::from_secs(83) },
        Event::PhaseDone { phase, took: Duration::from_millis(84_250) },
    ]
}

async fn show(format: Format) -> (String, String) {
    let (report, out, err) = report(format);
    let (sender, shown) = report.events();
    events().into_iter().for_each(|e| sender.send(e).unwrap());
    drop(sender);
    shown.await.unwrap();
    (out.text(), err.text())
}

#[tokio::test]
async fn events_as_lines() {
    let (out, err) = show(Format::Text).await;
    assert_eq!(out, "");
    insta::assert_snapshot!(err, @r"
    prepare hosts (3 steps on 2 hosts)
      m1: install containerd, runc ... 1.2s
      m2: install containerd, runc ... FAILED: apt-get failed: no space left
      m1: start kubelet ... 1m 23s
    prepare hosts ... 1m 24s
    ");
}

#[tokio::test]
async fn events_as_json() {
    let (out, err) = show(Format::Json).await;
    assert_eq!(err, "");
    insta::assert_snapshot!(out);
}

fn failures() -> Vec<Failure> {
    let refused = |host: &str, step: &str, said: &str| Failure {
        host: host.into(),
        phase: "control plane".into(),
        step: step.into(),
        place: step.starts_with("drain node").then_some(Place { kind: "drain", before: 0 }),
        source: StepError::Refused { status: 1, said: said.into() },
    };
    let away = |host: &str, address: &str| {
        let source = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
        Failure::observing(host.into(), HostError::Unreachable { address: address.into(), source: Some(Box::new(source)) })
    };
    vec![
        refused("m1", "pull images", "no route to the registry"),
        refused("m2", "wait for the API server", "/readyz answers 500\nlast lines of etcd:\n\n  {\"level\":\"fatal\"}\u{7}"),
        refused("m3", "pull images", "no route to the registry"),
        away("w1", "192.0.2.21:22"),
        away("w2", "192.0.2.22:22"),
    ]
}

#[test]
fn failures_as_text() {
    let (report, out, err) = report(Format::Text);
    report.failures(&failures());
    report.ending("12 of 40 steps were done; the hosts are as far as the plan got", "`clusterctl init` goes on from here");
    assert_eq!(out.text(), "");
    insta::assert_snapshot!(err.text());
}

#[test]
fn failures_as_json() {
    let (report, out, err) = report(Format::Json);
    report.failures(&failures()[1..2]);
    report.ending("unfinished", "`clusterctl init`");
    assert_eq!(err.text(), "");
    insta::assert_snapshot!(out.text());
}

fn refusals() -> Vec<Refusal> {
    let swap = |host: &str| Refusal { host: host.into(), name: "swap", message: "swap is on".into(), fix: "`swapoff -a`".into() };
    let pki = Refusal { host: String::new(), name: "pki", message: "ca.key differs".into(), fix: String::new() };
    vec![swap("w1"), pki, swap("w2")]
}

#[test]
fn refusals_and_faults() {
    let fault = Fault {
        file: "prod.yaml".into(),
        line: 4,
        column: 7,
        path: "hosts[0].roles[1]".into(),
        message: "`boss` is not a role".into(),
        hint: Some("choose `worker`".into()),
    };
    let (report, _, err) = report(Format::Text);
    assert_eq!(report.stopped(&Stop::refused(refusals())), Exit::Refused);
    report.warnings(std::slice::from_ref(&fault));
    report.warning("an odd thing");
    report.note("a remark");
    insta::assert_snapshot!(err.text(), @r"
    refused: w1, w2: swap is on [swap]
    hint: `swapoff -a`
    refused: ca.key differs [pki]
    warning: prod.yaml:4:7: `boss` is not a role
    hint: choose `worker`
    warning: an odd thing
    a remark
    ");
    let (report, out, _) = self::report(Format::Json);
    assert_eq!(report.stopped(&Stop::refused(refusals())), Exit::Refused);
    report.warnings(&[fault]);
    assert_eq!(report.stopped(&Stop::with(Exit::Usage).error("a thing", "")), Exit::Usage);
    insta::assert_snapshot!(out.text());
}

#[test]
fn the_reasons_of_a_stop_are_printed_in_their_order_and_the_last_exit_code_counts() {
    let (report, out, err) = report(Format::Text);
    let later = Stop::with(Exit::Locked).error("m1 is locked", "wait").note("nothing was changed").ending("", "`clusterctl status`");
    let stop = Stop::failed(failures().into_iter().take(1).collect()).then(later);
    assert_eq!(report.stopped(&stop), Exit::Locked);
    assert_eq!(out.text(), "");
    insta::assert_snapshot!(err.text());
}

#[test]
fn results_are_for_one_reader_each() {
    for (format, expected) in [(Format::Text, "as text\nmore\n"), (Format::Json, "{\"as\":\"json\"}\n")] {
        let (report, out, err) = report(format);
        report.result(&serde_json::json!({"as": "json"}), "as text");
        report.say("more");
        report.aside("");
        assert_eq!((out.text().as_str(), err.text().as_str()), (expected, ""));
    }
}

#[test]
fn without_anybody_to_ask_the_answer_is_a_usage_error() {
    let (report, _, err) = report(Format::Text);
    // A report in the JSON format never takes standard input for a terminal, so it asks nobody even if the tests run in a terminal.
    let (machine, out, _) = self::report(Format::Json);
    for answer in [machine.confirm("really?"), machine.confirm_by_name("really?", "prod")] {
        assert_eq!(out.text(), "", "a reason to stop is printed where the program ends");
        assert_eq!(answer.map_err(|stop| stop.exit), Err(Exit::Usage));
    }
    assert_eq!(machine.stopped(&machine.confirm("really?").unwrap_err()), Exit::Usage);
    assert!(out.text().contains("say `--yes`"), "{}", out.text());
    assert!(machine.ask_secret("passphrase").is_none());
    drop((report, err));
}
