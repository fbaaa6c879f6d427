//! `clusterctl certs renew`.

use std::time::Duration;

use clap::builder::PossibleValuesParser;
use jiff::Timestamp;

use crate::cli::Call;
use crate::cli::args::duration;
use crate::cli::converge::converge;
use crate::cli::stop::Ended;
use crate::pki::{RENEWABLE, Renew};
use crate::plan::Goal;

/// The name that stands for all certificates, as in `kubeadm certs renew all`.
const ALL: &str = "all";

/// Renew certificates, also after they have expired
///
/// Makes new certificates for control planes, etcd and kubeconfigs, and new client certificates for kubelets that have not renewed theirs, also for
/// those of workers. The CA keys are read from control-plane hosts into memory. Nothing but SSH is needed: the command brings back a cluster whose
/// certificates have all expired, and whose API servers and etcd members do not answer.
///
/// Etcd members and API servers read their new certificates without a restart. Schedulers, controller managers and kubelets are restarted if theirs
/// have changed; pods go on running. While an API server answers, control planes change one after another. CA certificates are not renewed.
///
/// A certificate that was made within the last hour (`--older-than`) is kept, so the same command goes on after an interruption, and a second run has
/// nothing to do. The exit code is 0 if all of them are renewed, and 4 if the renewal is refused.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  clusterctl certs renew --dry-run\n  clusterctl certs renew apiserver etcd-server\n  clusterctl certs renew --older-than 90d --yes"
)]
pub struct Args {
    /// The certificates to renew; without a name, all of them
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new([ALL].into_iter().chain(RENEWABLE)))]
    names: Vec<String>,
    /// Renew only certificates that were made longer ago than this, and those that have expired or soon will
    #[arg(long, default_value = "1h", value_name = "DURATION", value_parser = duration)]
    older_than: Duration,
}

/// Runs the verb.
pub(super) async fn run(call: &Call, args: &Args) -> Ended {
    converge(call, Goal::Renew(args.renew(Timestamp::now()))).await
}

impl Args {
    fn renew(&self, now: Timestamp) -> Renew {
        let all = self.names.iter().any(|name| name == ALL);
        let names = RENEWABLE.into_iter().filter(|name| !all && self.names.iter().any(|n| n == name)).collect();
        Renew { names, before: now.checked_sub(self.older_than).unwrap_or(Timestamp::MIN) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renew(names: &[&str]) -> Renew {
        let args = Args { names: names.iter().map(ToString::to_string).collect(), older_than: Duration::from_secs(3600) };
        args.renew(Timestamp::from_second(10_000).expect("it is a time"))
    }

    #[test]
    fn all_stands_for_every_name() {
        assert_eq!(renew(&["all", "apiserver"]), renew(&[]));
        assert!(RENEWABLE.iter().all(|name| renew(&["all"]).concerns(name)));
        let some = renew(&["apiserver", "etcd-peer"]);
        let concerned: Vec<&str> = RENEWABLE.into_iter().filter(|name| some.concerns(name)).collect();
        assert_eq!((concerned, some.before.as_second()), (vec!["apiserver", "etcd-peer"], 6_400));
    }
}
