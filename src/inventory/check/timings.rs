//! Rules about durations: leader election, certificate lifetimes, health checks, and the timeout of SSH connections.

use std::time::Duration;

use super::super::path::{Path, at};
use super::super::{HostEntry, show_duration};
use super::review::Review;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const CENTURY: Duration = Duration::from_secs(36_500 * 86_400);

/// `renewDeadline` must be longer than this many tenths of `retryPeriod`, because client-go makes the pause between two tries longer by up to a fifth
/// at random (`JitterFactor`).
const JITTER_TENTHS: u32 = 12;

pub(super) fn check(review: &mut Review) {
    check_election(review);
    check_pki(review);
    between(review, at!["loadBalancer", "checkInterval"], review.inventory.load_balancer.check_interval, SECOND / 10, 60 * SECOND);
    let hosts = review.inventory.hosts.iter().enumerate().map(|(i, host): (_, &HostEntry)| (at!["hosts", i, "ssh"], &host.ssh));
    let all: Vec<_> = hosts.chain([(at!["ssh"], &review.inventory.ssh)]).collect();
    for (path, ssh) in all {
        if let Some(timeout) = ssh.connect_timeout {
            between(review, path.join("connectTimeout"), timeout, SECOND, 600 * SECOND);
        }
    }
}

fn check_election(review: &mut Review) {
    let election = &review.inventory.control_plane.leader_election;
    let (lease, renew, retry) = (election.lease_duration, election.renew_deadline, election.retry_period);
    let path = at!["controlPlane", "leaderElection"];
    if !review.intact(&path) {
        return;
    }
    let [lease_text, renew_text, retry_text] = [lease, renew, retry].map(show_duration);
    if lease < SECOND || lease.subsec_millis() > 0 {
        let message = format!("`leaseDuration` {lease_text} is not a number of whole seconds");
        review.fault(path.join("leaseDuration"), message, "the Lease object holds whole seconds, at least `1s`");
    } else if retry.is_zero() {
        review.fault(path.join("retryPeriod"), "`retryPeriod` is zero", "upstream's default is `2s`");
    } else if lease <= renew {
        let message = format!("`leaseDuration` {lease_text} is not longer than `renewDeadline` {renew_text}");
        let field = if review.written(&["controlPlane", "leaderElection", "leaseDuration"]) { "leaseDuration" } else { "renewDeadline" };
        review.fault(path.join(field), message, "two leaders could act at once; upstream's defaults are `15s` and `10s`");
    } else if renew * 10 <= retry * JITTER_TENTHS {
        let message = format!("`renewDeadline` {renew_text} is not longer than 1.2 times `retryPeriod` {retry_text}");
        let field = if review.written(&["controlPlane", "leaderElection", "renewDeadline"]) { "renewDeadline" } else { "retryPeriod" };
        review.fault(path.join(field), message, "the leader could give up before it tries again; upstream's defaults are `10s` and `2s`");
    }
}

fn check_pki(review: &mut Review) {
    let pki = &review.inventory.pki;
    let (leaf, ca, renew) = (pki.certificate_validity, pki.ca_validity, pki.renew_before);
    if !review.intact(&at!["pki"]) {
        return;
    }
    between(review, at!["pki", "caValidity"], ca, HOUR, CENTURY);
    between(review, at!["pki", "certificateValidity"], leaf, HOUR, CENTURY);
    let [leaf_text, ca_text, renew_text] = [leaf, ca, renew].map(show_duration);
    let field = |fields: [&'static str; 2]| if review.written(&["pki", fields[0]]) { fields[0] } else { fields[1] };
    if leaf > ca {
        let at = at!["pki", field(["certificateValidity", "caValidity"])];
        let message = format!("`certificateValidity` {leaf_text} is longer than `caValidity` {ca_text}");
        review.fault(at, message, "a certificate is worth nothing after its authority has expired");
    } else if renew >= leaf {
        let at = at!["pki", field(["renewBefore", "certificateValidity"])];
        let message = format!("`renewBefore` {renew_text} is not shorter than `certificateValidity` {leaf_text}");
        review.fault(at, message, "every run would renew every certificate");
    }
}

fn between(review: &mut Review, path: Path, value: Duration, min: Duration, max: Duration) {
    if value < min || value > max {
        let message = format!("the duration `{}` is out of range", show_duration(value));
        review.fault(path, message, format!("choose from `{}` to `{}`", show_duration(min), show_duration(max)));
    }
}
