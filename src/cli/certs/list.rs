//! `clusterctl certs list`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::model::{Certificates, HERE};
use crate::cli::Call;
use crate::cli::args::duration;
use crate::cli::report::{ERROR, GOOD, plural, table};
use crate::cli::save::{self, Existing};
use crate::cli::session::{Reach, Session};
use crate::cli::stop::{Ended, Stop};
use crate::error::Exit;
use crate::host::HostName;
use crate::inventory::show_duration;
use crate::pki::{self, CertInfo};

/// List the certificates of all hosts and when they expire
///
/// Lists the certificates of the control plane, of etcd, of kubeconfigs and of kubelets, and the CA certificates, the first to expire first. Works also
/// while no API server answers. The exit code is 0 if no certificate expires within the threshold, 1 if one does, and 5 if a host could not be
/// asked.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  clusterctl certs list\n  clusterctl certs list --within 90d --kubeconfig ~/.kube/config\n  clusterctl certs list --prometheus /var/lib/node_exporter/clusterctl.prom"
)]
pub struct Args {
    /// Report certificates that expire within this time
    #[arg(long, default_value = "30d", value_name = "DURATION", value_parser = duration)]
    within: Duration,
    /// Also list the certificate of this kubeconfig on this machine; may be repeated
    #[arg(long, value_name = "FILE")]
    kubeconfig: Vec<PathBuf>,
    /// Also write the times to this file in Prometheus' text format
    #[arg(long, value_name = "FILE")]
    prometheus: Option<PathBuf>,
}

/// Runs the verb.
pub(super) async fn run(call: &Call, args: &Args) -> Ended {
    let mut here = Vec::new();
    for path in &args.kubeconfig {
        here.extend(of_kubeconfig(path)?);
    }
    let session = Session::open_to_look(call, Reach::Everyone).await?;
    let observed = session.observe(&[], &[]).await;
    let mut found: BTreeMap<HostName, Vec<CertInfo>> =
        observed.facts.hosts.iter().map(|(host, facts)| (host.clone(), pki::expiry(&facts.contents()))).collect();
    if !here.is_empty() {
        found.insert(HERE.into(), here);
    }
    let certificates = Certificates::of(&session.inventory.cluster.name, &found, session.report.now(), args.within);
    if let Some(path) = &args.prometheus {
        save::whole(path, certificates.metrics().as_bytes(), 0o644, Existing::Replace).map_err(|e| {
            Stop::with(Exit::Failed).error(format!("cannot write {}: {e}", path.display()), "name another file with `--prometheus`")
        })?;
    }
    session.report.result(&certificates, text(&certificates, args.within));
    let mut failures = session.unreachable();
    failures.extend(observed.failures.into_iter().filter(|f| !observed.facts.hosts.contains_key(&f.host)));
    if !failures.is_empty() {
        return Err(Stop::failed(failures));
    }
    Ok(if certificates.due == 0 { Exit::Done } else { Exit::Failed })
}

/// The client certificate of a kubeconfig on this machine. `None` if the kubeconfig has none, because it uses a token or a command.
fn of_kubeconfig(path: &Path) -> Result<Option<CertInfo>, Stop> {
    let shown = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|e| Stop::with(Exit::Usage).error(format!("cannot read the kubeconfig `{shown}`: {e}"), ""))?;
    Ok(CertInfo::of_kubeconfig(&shown, &bytes.into()))
}

fn text(all: &Certificates, within: Duration) -> String {
    let rows = all.certificates.iter().map(|c| {
        let days = if c.days < 0 { "expired".into() } else { c.days.to_string() };
        let name = if c.authority { format!("{} (CA)", c.name) } else { c.name.clone() };
        vec![days, c.not_after.strftime("%Y-%m-%d").to_string(), c.path.clone(), name, c.hosts.join(", ")]
    });
    let table = table(&["DAYS", "EXPIRES", "CERTIFICATE", "NAME", "HOSTS"], rows);
    let within = show_duration(within);
    let verdict = match all.due {
        0 => format!("{GOOD}no certificate expires within {within}{GOOD:#}"),
        n => format!("{ERROR}{} within {within}{ERROR:#}; `clusterctl certs renew` renews those that are not of a CA", expiring(n)),
    };
    format!("{table}\n\n{verdict}\n")
}

fn expiring(n: usize) -> String {
    format!("{} {}", plural(n, "certificate"), if n == 1 { "expires" } else { "expire" })
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::{found, new_year};
    use super::*;

    #[test]
    fn the_first_to_expire_is_at_the_top() {
        let within = Duration::from_secs(30 * 86_400);
        let all = Certificates::of("prod", &found(), new_year(0), within);
        let shown = text(&all, within);
        insta::assert_snapshot!("list", anstream::adapter::strip_str(&shown).to_string());
    }

    #[test]
    fn a_kubeconfig_that_does_not_exist_is_an_error() {
        assert!(of_kubeconfig(Path::new("/no/such/file")).is_err());
    }
}
