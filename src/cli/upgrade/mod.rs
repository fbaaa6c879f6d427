//! `clusterctl upgrade`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::operate::upgrade::{Pause, Upgrade};
use super::operate::{Mode, converge};
use super::{Call, session};
use crate::error::Exit;
use crate::inventory::{Inventory, KubeVersion, parse_duration};
use crate::plan::Share;
use crate::plan::cluster::{AT_ONCE, Hook};
use crate::plan::upgrade::blockers::MAY_BE_ALLOWED;
use crate::step::command::Place;
use crate::step::drain::How;
use crate::versions;

mod plan;
pub(super) mod record;

/// Bring a cluster to another Kubernetes version, with nobody noticing
///
/// Images and programs come first, on all hosts. Then control-plane hosts change one at a time, each with the quorum seen before and a way
/// back if a component does not come up; a snapshot of etcd is brought here before. Then kubelets: drained, changed, seen Ready, and
/// uncordoned, workers in waves. Several minor versions are one run. An upgrade that failed or was interrupted goes on with the same command.
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

/// Show what runs, which versions are on offer, what each would change, and what stands in the way
///
/// Touches nothing. Exit code 0 if an upgrade could begin, 4 if something stands in the way.
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
    /// Where to; the inventory's `cluster.version` if left out. At the end the inventory says it, too
    #[arg(long, value_name = "VERSION", value_parser = version)]
    version: Option<KubeVersion>,
    /// Patch versions of minors between; the newest that the artifact source offers if left out
    #[arg(long, value_delimiter = ',', value_name = "VERSIONS", value_parser = version)]
    through: Vec<KubeVersion>,
    /// Workers out of service at once: a number, or a part of all workers
    #[arg(long, value_name = "N|P%", default_value = "10%")]
    max_unavailable: Share,
    /// Stop once images and programs are on the hosts (`artifacts`), after the control plane (`control-plane`), or after a host
    #[arg(long, value_name = "GROUP")]
    pause_after: Option<String>,
    /// How long a drain may take before the upgrade stops there
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = duration)]
    drain_timeout: Duration,
    /// Do not ask the pods to move first
    #[arg(long)]
    skip_drain: bool,
    /// Let pods go that nothing would make anew
    #[arg(long)]
    force: bool,
    /// Let pods with emptyDir volumes go; their data is lost with them
    #[arg(long)]
    delete_emptydir_data: bool,
    /// Folder for the snapshot of etcd; the inventory's if left out
    #[arg(long, value_name = "FOLDER")]
    snapshot_dir: Option<PathBuf>,
    /// Command before a node is drained, on the node, as root, read by /bin/sh; can be repeated
    #[arg(long, value_name = "COMMAND")]
    before_node: Vec<String>,
    /// Command once a node is Ready, before it takes pods again, on the node; can be repeated
    #[arg(long, value_name = "COMMAND")]
    after_node: Vec<String>,
    /// The same on this machine, with the node's name in CLUSTERCTL_HOST; can be repeated
    #[arg(long, value_name = "COMMAND")]
    before_node_here: Vec<String>,
    /// The same on this machine; can be repeated
    #[arg(long, value_name = "COMMAND")]
    after_node_here: Vec<String>,
    /// Refusals to set aside
    #[arg(long, value_delimiter = ',', value_name = "NAMES", value_parser = MAY_BE_ALLOWED)]
    allow: Vec<String>,
}

fn version(text: &str) -> Result<KubeVersion, String> {
    let version: KubeVersion = text.parse()?;
    match versions::of(&version) {
        Some(_) => Ok(version),
        None => Err(format!("Kubernetes `{version}` is not supported; choose one of {}", versions::supported())),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a duration such as 90s or 15m".into())
}

/// Runs the verb.
pub async fn run(call: &Call, args: &Args) -> Exit {
    match &args.verb {
        Some(Verb::Plan(args)) => plan::run(call, &args.how).await,
        None => upgrade(call, &args.how).await,
    }
}

async fn upgrade(call: &Call, options: &Options) -> Exit {
    let inv = match session::load(&call.global, &call.report) {
        Ok(parsed) => parsed.inventory,
        Err(exit) => return exit,
    };
    let upgrade = match options.upgrade(&inv, &call.global.inventory) {
        Ok(upgrade) => upgrade,
        Err((message, hint)) => {
            call.report.error(message, Some(&hint));
            return Exit::Usage;
        }
    };
    converge(call, Mode::Upgrade(Box::new(upgrade))).await
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

    fn upgrade(&self, inv: &Inventory, file: &Path) -> Result<Upgrade, (String, String)> {
        let to = self.version.clone().unwrap_or_else(|| inv.cluster.version.clone());
        let pause_after = match self.pause_after.as_deref() {
            None => None,
            Some("artifacts") => Some(Pause::Artifacts),
            Some("control-plane") => Some(Pause::ControlPlane),
            Some(name) if inv.nodes().any(|h| h.name == name) => Some(Pause::Host(name.into())),
            Some(name) => {
                let all = inv.nodes().map(|h| h.name.as_str()).collect::<Vec<_>>().join(", ");
                return Err((format!("`{name}` is no group to pause after"), format!("say `artifacts`, `control-plane`, or one of {all}")));
            }
        };
        let through: BTreeMap<u64, KubeVersion> = self.through.iter().map(|v| (v.minor(), v.clone())).collect();
        let how = How {
            timeout: self.drain_timeout,
            force: self.force,
            delete_emptydir_data: self.delete_emptydir_data,
            grace_period: -1,
            disable_eviction: false,
        };
        let own_folder = || file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf();
        let folder = self.snapshot_dir.clone().unwrap_or_else(own_folder);
        if !folder.is_dir() {
            return Err((
                format!("there is no folder {} for the snapshot of etcd", folder.display()),
                "make it, or name another with `--snapshot-dir`".into(),
            ));
        }
        let name = format!("{}-etcd-{}-{}.db", inv.cluster.name, to, Timestamp::now().strftime("%Y%m%dT%H%M%SZ"));
        let snapshot = inv.etcd.external.is_none().then(|| folder.join(name));
        Ok(Upgrade {
            to,
            through,
            drain: (!self.skip_drain).then_some(how),
            at_once: self.max_unavailable,
            pause_after,
            hooks: self.hooks(),
            snapshot,
            allow: self.allow.clone(),
        })
    }
}

/// The default of `--max-unavailable` is the one that `apply` goes by.
const _: () = assert!(matches!(AT_ONCE, Share::Percent(10)));
