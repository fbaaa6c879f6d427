//! `clusterctl upgrade`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::args::duration;
use super::converge::converge;
use super::stop::{Ended, Stop};
use super::{Call, completion, session};
use crate::error::Exit;
use crate::inventory::{Inventory, KubeVersion};
use crate::plan::Parallelism;
use crate::plan::goal::{Goal, Pause, Upgrade};
use crate::plan::kubelet_policy::{AT_ONCE, Hook, NodeChange};
use crate::plan::refusals::upgrade::MAY_BE_ALLOWED;
use crate::step::command::Place;
use crate::step::drain::DrainOptions;
use crate::versions;

mod offers;
mod plan;

/// Upgrade the cluster to another Kubernetes version without API downtime
///
/// First, images and binaries are brought to all hosts. Then the control-plane hosts are upgraded one at a time: each only while etcd keeps
/// its quorum without it, and with a rollback if a component does not become ready. A snapshot of etcd is saved on this machine before.
/// Then the kubelets are upgraded: each node is drained, upgraded, must be Ready, and is uncordoned, several workers at once. An upgrade
/// over several minor versions is one run. If a run failed or was interrupted, the same command continues it.
#[derive(clap::Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    disable_version_flag = true,
    after_help = "Example:\n  clusterctl upgrade plan\n  clusterctl upgrade --version v1.36.2 --dry-run\n  clusterctl upgrade --version v1.36.2 \
        --max-unavailable 2 --pause-after control-plane"
)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    how: Options,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    Plan(PlanArgs),
}

/// Show the running versions, the available versions, and what prevents an upgrade
///
/// Changes nothing. The exit code is 0 if an upgrade could begin and 4 if something prevents it.
#[derive(clap::Args, Debug)]
#[command(
    disable_version_flag = true,
    after_help = "Example:\n  clusterctl upgrade plan\n  clusterctl upgrade plan --version v1.36.2 -o json"
)]
struct PlanArgs {
    #[command(flatten)]
    how: Options,
}

/// What may be said of an upgrade.
#[derive(clap::Args, Debug)]
struct Options {
    /// Version to upgrade to; the default is the inventory's `cluster.version`. At the end of the upgrade, the version is written to the
    /// inventory
    #[arg(long, value_name = "VERSION", value_parser = version)]
    version: Option<KubeVersion>,
    /// Patch versions of the minor versions in between; the default is the newest that the artifact source offers
    #[arg(long, value_delimiter = ',', value_name = "VERSIONS", value_parser = version)]
    through: Vec<KubeVersion>,
    /// How many workers may be out of service at once: a number or a percentage of all workers
    #[arg(long, value_name = "N|P%", default_value = "10%")]
    max_unavailable: Parallelism,
    /// Stop after images and binaries are on the hosts (`artifacts`), after the control plane (`control-plane`), or after the host with
    /// this name
    #[arg(long, value_name = "GROUP", add = completion::hosts_and(&["artifacts", "control-plane"]))]
    pause_after: Option<String>,
    /// How long the drain of a node may take; after that the upgrade stops
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = duration)]
    drain_timeout: Duration,
    /// Do not drain the nodes first
    #[arg(long)]
    skip_drain: bool,
    /// Delete pods that no controller would recreate
    #[arg(long)]
    force: bool,
    /// Delete pods with emptyDir volumes; the data in these volumes is lost
    #[arg(long)]
    delete_emptydir_data: bool,
    /// Folder on this machine for the snapshot of etcd; the default is the folder of the inventory
    #[arg(long, value_name = "FOLDER")]
    snapshot_dir: Option<PathBuf>,
    /// Shell command to run on each node as root before it is drained; can be repeated
    #[arg(long, value_name = "COMMAND")]
    before_node: Vec<String>,
    /// Shell command to run on each node as root when it is Ready and before it is uncordoned; can be repeated
    #[arg(long, value_name = "COMMAND")]
    after_node: Vec<String>,
    /// Shell command to run on this machine before a node is drained, with the node's name in CLUSTERCTL_HOST; can be repeated
    #[arg(long, value_name = "COMMAND")]
    before_node_here: Vec<String>,
    /// Shell command to run on this machine when a node is Ready, with the node's name in CLUSTERCTL_HOST; can be repeated
    #[arg(long, value_name = "COMMAND")]
    after_node_here: Vec<String>,
    /// Checks to skip, by name
    #[arg(long, value_delimiter = ',', value_name = "NAMES", value_parser = MAY_BE_ALLOWED)]
    allow: Vec<String>,
}

fn version(text: &str) -> Result<KubeVersion, String> {
    let version: KubeVersion = text.parse()?;
    versions::lookup(&version).map_err(|e| e.to_string())?;
    Ok(version)
}

/// Runs the verb.
pub async fn run(call: &Call, args: &Args) -> Ended {
    match &args.verb {
        Some(Verb::Plan(args)) => plan::run(call, &args.how).await,
        None => {
            let inv = session::load(&call.global)?.inventory;
            let upgrade = args.how.upgrade(&inv, &call.global.inventory)?;
            converge(call, Goal::Upgrade(Box::new(upgrade))).await
        }
    }
}

impl Options {
    fn hooks(&self) -> Vec<Hook> {
        let all = [
            (&self.before_node, Place::Host, false),
            (&self.before_node_here, Place::Here, false),
            (&self.after_node, Place::Host, true),
            (&self.after_node_here, Place::Here, true),
        ];
        let hooks = all.into_iter().flat_map(|(list, place, after)| list.iter().map(move |c| Hook { command: c.clone(), place, after }));
        hooks.collect()
    }

    fn upgrade(&self, inv: &Inventory, file: &Path) -> Result<Upgrade, Stop> {
        let to = self.version.clone().unwrap_or_else(|| inv.cluster.version.clone());
        let pause_after = match self.pause_after.as_deref() {
            None => None,
            Some("artifacts") => Some(Pause::Artifacts),
            Some("control-plane") => Some(Pause::ControlPlane),
            Some(name) if inv.nodes().any(|h| h.name == name) => Some(Pause::Host(name.into())),
            Some(name) => {
                let all = inv.nodes().map(|h| h.name.as_str()).collect::<Vec<_>>().join(", ");
                let hint = format!("say `artifacts`, `control-plane`, or one of {all}");
                return Err(Stop::with(Exit::Usage).error(format!("`{name}` is no group to pause after"), hint));
            }
        };
        let through: BTreeMap<u64, KubeVersion> = self.through.iter().map(|v| (v.minor(), v.clone())).collect();
        let how = DrainOptions {
            timeout: self.drain_timeout,
            force: self.force,
            delete_emptydir_data: self.delete_emptydir_data,
            grace_period: -1,
            disable_eviction: false,
        };
        let own_folder = || file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf();
        let folder = self.snapshot_dir.clone().unwrap_or_else(own_folder);
        if !folder.is_dir() {
            let message = format!("there is no folder {} for the snapshot of etcd", folder.display());
            return Err(Stop::with(Exit::Usage).error(message, "make it, or name another with `--snapshot-dir`"));
        }
        let name = format!("{}-etcd-{}-{}.db", inv.cluster.name, to, Timestamp::now().strftime("%Y%m%dT%H%M%SZ"));
        let snapshot = inv.etcd.external.is_none().then(|| folder.join(name));
        Ok(Upgrade {
            to,
            through,
            nodes: NodeChange { drain: (!self.skip_drain).then_some(how), at_once: self.max_unavailable, hooks: self.hooks() },
            pause_after,
            snapshot,
            allow: self.allow.clone(),
        })
    }
}

/// The default of `--max-unavailable` must be the same as the default that `apply` uses.
const _: () = assert!(matches!(AT_ONCE, Parallelism::Percent(10)));
