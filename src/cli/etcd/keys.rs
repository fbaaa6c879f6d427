//! `clusterctl etcd keys` and `clusterctl etcd get`.

use std::collections::BTreeMap;

use serde_json::json;

use crate::cli::report::{plural, table};
use crate::cli::session::Session;
use crate::cli::stop::{Ended, Stop};
use crate::error::{Exit, Failure};
use crate::facts::etcd;
use crate::host::{Cmd, HostName, Output};

/// The folder of the keys of Kubernetes (`--etcd-prefix` of the API server).
const ROOT: &str = "/registry/";

/// List keys, or count them by resource
///
/// Reads no value. Without a prefix, the keys of every resource are counted. With a prefix, the keys that begin with it are listed; a prefix without
/// `/` at its beginning is looked up below /registry/.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  clusterctl etcd keys\n  clusterctl etcd keys pods/kube-system\n  clusterctl etcd keys /registry/secrets --count"
)]
pub struct Keys {
    /// The beginning of the keys
    #[arg(value_name = "PREFIX")]
    prefix: Option<String>,
    /// Count the keys by resource instead of listing them
    #[arg(long)]
    count: bool,
}

/// Describe a key without its value
///
/// Shows the revisions, the size and the encoding of the value: protobuf, json, or encrypted with the name of the key. The value itself does not leave
/// the host. A key without `/` at its beginning is looked up below /registry/.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl etcd get secrets/default/my-secret")]
pub struct Get {
    /// The key
    #[arg(value_name = "KEY")]
    key: String,
}

/// Runs `etcd keys`.
pub(super) async fn list(session: &Session, args: &Keys) -> Ended {
    let prefix = args.prefix.as_deref().map_or(ROOT.into(), absolute);
    let (host, out) = through_a_member(session, || etcd::keys(&prefix)).await?;
    let Some(keys) = etcd::parse_keys(&out.stdout) else { return Err(refused(&host, &out)) };
    if args.prefix.is_some() && !args.count {
        session.report.result(&json!({"keys": keys}), keys.iter().map(|k| format!("{k}\n")).collect::<String>());
        return Ok(Exit::Done);
    }
    let rows = counted(&keys);
    let counts: BTreeMap<&String, &usize> = rows.iter().map(|(name, count)| (name, count)).collect();
    let shown = table(&["KEYS", "RESOURCE"], rows.iter().map(|(name, count)| vec![count.to_string(), name.to_string()]));
    session.report.result(&json!({"counts": counts, "keys": keys.len()}), format!("{shown}\n{}\n", plural(keys.len(), "key")));
    Ok(Exit::Done)
}

/// The number of keys of each resource, the largest number first.
pub(super) fn counted(keys: &[String]) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for key in keys {
        *counts.entry(resource(key)).or_default() += 1;
    }
    let mut rows: Vec<(String, usize)> = counts.into_iter().collect();
    rows.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    rows
}

/// Runs `etcd get`.
pub(super) async fn describe(session: &Session, args: &Get) -> Ended {
    let key = absolute(&args.key);
    let (host, out) = through_a_member(session, || etcd::get(&key)).await?;
    if out.status != 0 {
        return Err(refused(&host, &out));
    }
    let Some(fact) = etcd::parse_get(&out.stdout) else {
        let hint = "list the keys with `clusterctl etcd keys PREFIX`";
        return Err(Stop::with(Exit::Failed).error(format!("etcd has no key {key}"), hint));
    };
    let text = format!(
        "key       {}\nsize      {} bytes\nencoding  {}\ncreated   at revision {}\nchanged   at revision {}, written {}\n",
        fact.key,
        fact.size,
        fact.encoding,
        fact.create_revision,
        fact.mod_revision,
        if fact.version == 1 { "once".into() } else { format!("{} times", fact.version) }
    );
    session.report.result(&fact, text);
    Ok(Exit::Done)
}

fn absolute(key: &str) -> String {
    if key.starts_with('/') { key.into() } else { format!("{ROOT}{key}") }
}

/// The resource of a key, as kubectl would name it where the key tells it: `/registry/pods/default/web` is of `pods`, and
/// `/registry/apps.example.org/widgets/default/x` of `widgets.apps.example.org`.
fn resource(key: &str) -> String {
    let mut parts = key.strip_prefix(ROOT).unwrap_or(key).trim_start_matches('/').split('/');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match (first, second) {
        ("services", "specs") => "services".into(),
        ("services", "endpoints") => "endpoints".into(),
        ("minions", _) => "nodes".into(),
        (group, resource) if group.contains('.') && !resource.is_empty() => format!("{resource}.{group}"),
        (resource, _) => resource.into(),
    }
}

/// Runs the command on one host after another, until the etcd member of a host answers. The result is that of the last host if none does.
async fn through_a_member(session: &Session, cmd: impl Fn() -> Cmd) -> Result<(HostName, Output), Stop> {
    let unreachable = session.unreachable();
    let mut last = None;
    for host in session.inventory.etcd_hosts().iter().filter_map(|h| session.hosts.get(&h.name)) {
        match host.run(cmd()).await {
            Ok(out) if out.status == 0 => return Ok((host.name().clone(), out)),
            result => last = Some((host.name().clone(), result)),
        }
    }
    match last {
        Some((host, Ok(out))) => Ok((host, out)),
        Some((host, Err(e))) => Err(Stop::failed(vec![Failure::observing(host, e)])),
        None => Err(Stop::failed(unreachable)),
    }
}

fn refused(host: &str, out: &Output) -> Stop {
    let said = String::from_utf8_lossy(&out.stderr).trim().to_string();
    let said = if said.is_empty() { "the answer is not complete".into() } else { said };
    Stop::with(Exit::Failed)
        .error(format!("{host}: the etcd member does not answer: {said}"), "see the members with `clusterctl etcd status`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_counted_by_resource() {
        for (key, wanted) in [
            ("/registry/pods/default/web-1", "pods"),
            ("/registry/services/specs/default/kubernetes", "services"),
            ("/registry/services/endpoints/default/kubernetes", "endpoints"),
            ("/registry/minions/m1", "nodes"),
            ("/registry/apiregistration.k8s.io/apiservices/v1.", "apiservices.apiregistration.k8s.io"),
            ("/registry/health", "health"),
            ("compact_rev_key", "compact_rev_key"),
        ] {
            assert_eq!(resource(key), wanted);
        }
    }

    #[test]
    fn a_key_without_a_slash_is_below_the_registry() {
        assert_eq!(absolute("pods/default"), "/registry/pods/default");
        assert_eq!(absolute("/other"), "/other");
    }
}
