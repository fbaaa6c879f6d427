//! `clusterctl kubeconfig`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Call;
use super::report::Report;
use super::save::{self, Existing, FileLock};
use super::session::{Reach, Session};
use super::stop::{Ended, Stop};
use crate::error::{Exit, Failure};
use crate::host::{Cmd, Host, Secret};
use crate::inventory::{HostEntry, LoadBalancerKind};
use crate::plan::desired::mark_field;
use crate::step::StepError;
use crate::{layout, yaml};

mod merge;
#[cfg(test)]
mod tests;
mod user;

/// Fetch the administrator's kubeconfig, or make one for a user
///
/// The administrator's kubeconfig is read from a control-plane host. Its cluster and its context are named after the cluster of the inventory. Whoever
/// has this file has full access to the cluster.
///
/// With `--user`, the kubeconfig gets a client certificate of that user. The cluster's CA signs it, whose key is read from a control-plane host into
/// memory; no API server is needed. A client certificate cannot be revoked, so choose a short `--ttl`, or let kubectl renew it with `--exec`. The user
/// has only the rights that role bindings give.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  clusterctl kubeconfig --merge && kubectl get nodes\n  clusterctl kubeconfig --output-file prod.kubeconfig\n  \
        clusterctl kubeconfig --user jane --group developers --ttl 30d --output-file jane.kubeconfig\n  \
        clusterctl kubeconfig --user jane --exec --merge"
)]
pub struct Args {
    /// Merge into the file of $KUBECONFIG, or ~/.kube/config, and select the context; a copy of the old file is kept beside it
    #[arg(long, conflicts_with = "output_file")]
    merge: bool,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    #[command(flatten)]
    user: user::UserArgs,
}

/// Runs the verb.
pub async fn run(call: &Call, args: &Args) -> Ended {
    if let Some(refusal) = args.user.refusal() {
        return Err(Stop::refused(vec![refusal]));
    }
    let session = Session::open_to_look(call, Reach::Masters).await?;
    match &args.user.user {
        Some(user) if args.user.exec_credential => {
            let credential = args.user.exec_credential(&session, user).await?;
            session.report.result(&credential, &credential);
            Ok(Exit::Done)
        }
        Some(user) => {
            let user::Made { context, config, remark } = args.user.kubeconfig(&session, call, user).await?;
            let exit = deliver(call, args, &config, &context)?;
            if exit == Exit::Done {
                session.report.note(remark);
            }
            Ok(exit)
        }
        None => {
            let name = session.inventory.cluster.name.clone();
            deliver(call, args, &administrators(&session, &name).await?, &name)
        }
    }
}

/// The administrator's kubeconfig.
async fn administrators(session: &Session, name: &str) -> Result<Value, Stop> {
    let (master, [fetched]) = fetch(session, ["admin.conf"]).await?;
    let mut config = merge::renamed(&fetched, name).map_err(|e| unusable(&e))?;
    if session.inventory.load_balancer.kind == LoadBalancerKind::Local {
        config["clusters"][0]["cluster"]["server"] = user::server(session, master).into();
    }
    Ok(config)
}

/// Prints the kubeconfig, or writes it to the file that the arguments name. `name` is the name of its context.
fn deliver(call: &Call, args: &Args, config: &Value, name: &str) -> Ended {
    let report = &call.report;
    let target = match (&args.output_file, args.merge) {
        (None, false) => {
            report.result(&json!({"context": name, "kubeconfig": config}), yaml::document(config));
            return Ok(Exit::Done);
        }
        (Some(path), _) => path.clone(),
        (None, true) => default_file()
            .ok_or_else(|| Stop::with(Exit::Usage).error("neither KUBECONFIG nor HOME is set", "name a file with `--output-file`"))?,
    };
    if call.global.dry_run {
        report.result(&json!({"context": name, "file": target}), format!("would write context {name} into {}", target.display()));
        return Ok(Exit::Done);
    }
    if args.merge { merge_into(report, &target, config, name) } else { write_to(report, &target, config, name) }
}

/// The first control-plane host that has these files, which are named relative to the folder of Kubernetes, and their content.
async fn fetch<'s, const N: usize>(session: &'s Session, files: [&str; N]) -> Result<(&'s HostEntry, [Secret; N]), Stop> {
    let mut failures = session.unreachable();
    for master in session.masters() {
        let Some(host) = session.hosts.get(&master.name) else { continue };
        let reads = futures_util::future::try_join_all(files.map(|file| read(host.as_ref(), file)));
        match reads.await.map(<[Secret; N]>::try_from) {
            Ok(Ok(contents)) => {
                belongs(session, master, host.as_ref()).await?;
                return Ok((master, contents));
            }
            Ok(Err(_)) => {}
            Err((file, source)) => {
                let step = format!("read {file}");
                failures.push(Failure { host: master.name.clone(), phase: "kubeconfig".into(), step, place: None, source });
            }
        }
    }
    if Exit::of(&failures) == Exit::Unreachable {
        return Err(Stop::failed(failures));
    }
    let next = "`clusterctl init` founds the cluster, if there is none yet";
    Err(Stop::with(Exit::Failed).failures(failures).ending(format!("no control-plane host has {}", files.join(" and ")), next))
}

/// The content of a file in the folder of Kubernetes. The error has the name of the file.
async fn read<'f>(host: &dyn Host, file: &'f str) -> Result<Secret, (&'f str, StepError)> {
    let path = format!("{}/{file}", layout::KUBERNETES_DIR);
    match host.run(Cmd::root(["cat", &path])).await {
        Ok(out) if out.status == 0 => Ok(Secret::from(out.stdout)),
        Ok(out) => Err((file, StepError::Refused { status: out.status, said: String::from_utf8_lossy(&out.stderr).trim().into() })),
        Err(e) => Err((file, e.into())),
    }
}

/// Refuses a host that has the mark of another cluster, because its kubeconfig would get the name of the inventory's cluster. A host without a mark
/// is accepted, because a cluster that kubeadm made has none.
async fn belongs(session: &Session, master: &HostEntry, host: &dyn Host) -> Result<(), Stop> {
    let Ok(out) = host.run(Cmd::root(["cat", layout::OWNERSHIP])).await else { return Ok(()) };
    let mark = String::from_utf8_lossy(&out.stdout);
    let name = &session.inventory.cluster.name;
    match mark_field(&mark, "cluster:") {
        other if out.status == 0 && !other.is_empty() && other != name => {
            let message = format!("{} belongs to cluster {other}, and the inventory is that of cluster {name}", master.name);
            Err(Stop::with(Exit::Refused).error(message, "use the inventory of that cluster"))
        }
        _ => Ok(()),
    }
}

fn write_to(report: &Report, path: &Path, config: &Value, name: &str) -> Ended {
    if path.exists() && !report.confirm(&format!("{} exists; replace it?", path.display()))? {
        report.note("nothing was changed");
        return Ok(Exit::Interrupted);
    }
    save::whole(path, yaml::document(config).as_bytes(), 0o600, Existing::Replace).map_err(|e| unwritable(path, &e))?;
    report.result(&json!({"context": name, "file": path}), format!("wrote context {name} to {}", path.display()));
    Ok(Exit::Done)
}

fn merge_into(report: &Report, path: &Path, config: &Value, name: &str) -> Ended {
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        save::private_folder(folder).map_err(|e| unwritable(folder, &e))?;
    }
    let _lock = FileLock::take(path).map_err(|e| {
        let hint = format!("if no kubectl is at work, remove {}.lock", path.display());
        Stop::with(Exit::Locked).error(format!("`{}` cannot be locked: {e}", path.display()), hint)
    })?;
    let old = match std::fs::read(path) {
        Ok(bytes) => Some(bytes),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => return Err(unwritable(path, &e)),
    };
    let existing = merge::read(old.as_deref().unwrap_or_default()).map_err(|e| unusable(&format!("{}: {e}", path.display())))?;
    let merged = merge::merged(existing.clone(), config);
    if merged == existing {
        report.result(&json!({"context": name, "file": path, "backup": null}), format!("context {name} is in {} already", path.display()));
        return Ok(Exit::Done);
    }
    let backup = match old {
        Some(bytes) => {
            let backup = save::with_suffix(path, &format!(".{}.backup", report.now().strftime("%Y%m%dT%H%M%S%3fZ")));
            save::whole(&backup, &bytes, 0o600, Existing::Refuse).map_err(|e| unwritable(&backup, &e))?;
            Some(backup)
        }
        None => None,
    };
    save::whole(path, yaml::document(&merged).as_bytes(), 0o600, Existing::Replace).map_err(|e| unwritable(path, &e))?;
    let kept = backup.as_ref().map(|b| format!("; the old file is {}", b.display())).unwrap_or_default();
    let text = format!("context {name} is the current one of {}{kept}", path.display());
    report.result(&json!({"context": name, "file": path, "backup": backup}), text);
    Ok(Exit::Done)
}

/// The file to which kubectl writes: the first existing file of $KUBECONFIG, else the last one, else ~/.kube/config.
fn default_file() -> Option<PathBuf> {
    let listed = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let files: Vec<PathBuf> = std::env::split_paths(&listed).filter(|p| !p.as_os_str().is_empty()).collect();
    let home = || std::env::var_os("HOME").filter(|h| !h.is_empty()).map(|home| PathBuf::from(home).join(".kube/config"));
    files.iter().find(|f| f.exists()).or(files.last()).cloned().or_else(home)
}

fn unusable(why: &str) -> Stop {
    Stop::with(Exit::Failed).error(format!("the kubeconfig cannot be used: {why}"), "")
}

fn unwritable(path: &Path, e: &std::io::Error) -> Stop {
    Stop::with(Exit::Failed).error(format!("cannot write `{}`: {e}", path.display()), "")
}
