//! `clusterctl secrets status`.

use crate::cli::Call;
use crate::cli::converge::stored_values;
use crate::cli::report::table;
use crate::cli::session::{Reach, Session};
use crate::cli::stop::{Ended, Stop};
use crate::error::{Exit, Failure};
use crate::plan::encryption::view::{self, View};
use crate::plan::refusals::Refusal;

/// Show how values are encrypted: providers, names of keys, and the number of stored values
///
/// Lists for each API server the providers of each encrypted resource, the first of which writes, and counts how the values in etcd are stored. Shows
/// names of keys, and neither keys nor values. The exit code is 0, or 5 if a host could not be asked.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl secrets status\n  clusterctl secrets status --output json | jq .values")]
pub struct Args {}

/// Runs the verb.
pub(super) async fn run(call: &Call) -> Ended {
    let session = Session::open_to_look(call, Reach::MastersAndEtcd).await?;
    let mut observed = session.observe(&[], &[]).await;
    stored_values(&session, &mut observed).await;
    let shown =
        view::of(&session.inventory, &observed.facts).map_err(|faults| Stop::with(Exit::Failed).refusals(Refusal::encryption(faults)))?;
    session.report.result(&shown, text(&shown));
    let mut failures: Vec<Failure> = session.unreachable();
    failures.extend(observed.failures.into_iter().filter(|f| !observed.facts.hosts.contains_key(&f.host)));
    if failures.is_empty() { Ok(Exit::Done) } else { Err(Stop::failed(failures)) }
}

fn text(shown: &View) -> String {
    if shown.servers.iter().all(|s| s.providers == ["identity"]) && shown.values.iter().all(|v| v.encoding == "plain") {
        return "nothing that is stored is encrypted by clusterctl\n".into();
    }
    let servers = shown.servers.iter().map(|s| vec![s.host.clone(), s.resource.clone(), s.providers.join(", ")]);
    let servers = table(&["HOST", "RESOURCE", "PROVIDERS"], servers);
    let values = shown.values.iter().map(|v| vec![v.count.to_string(), v.resource.clone(), v.encoding.clone()]);
    format!("{servers}\n\n{}\n", table(&["VALUES", "RESOURCE", "STORED AS"], values))
}
