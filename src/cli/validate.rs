//! `clusterctl validate`.

use std::path::Path;

use serde_json::json;

use super::report::plural;
use super::stop::{Ended, Stop};
use super::{Call, operator_files, registry_files, session};
use crate::error::Exit;

/// Check the inventory without connecting to a host
///
/// Reports all faults at once, each with its place and the valid values. The exit code is 3 if there is a fault; warnings do not change the
/// exit code.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl validate -i prod.yaml\n  clusterctl validate -i prod.yaml --output json | jq -r .message")]
pub struct Args {}

/// Runs the verb.
pub fn run(call: &Call, _args: &Args) -> Ended {
    let parsed = session::load(&call.global)?;
    call.report.warnings(&parsed.warnings);
    let inv = &parsed.inventory;
    let files = operator_files::control_plane(inv, &call.global.inventory).map_err(operator_files::unusable);
    let registries = registry_files::read(inv, &call.global.inventory);
    if let Some(stop) = files.err().into_iter().chain(registries.err()).reduce(Stop::then) {
        return Err(stop);
    }
    let (hosts, masters, members) = (inv.hosts.len(), inv.control_planes().count(), inv.etcd_hosts().len());
    let file = Path::display(&call.global.inventory).to_string();
    let value = json!({"file": file, "cluster": inv.cluster.name, "hosts": hosts, "controlPlanes": masters,
        "etcdMembers": members, "warnings": parsed.warnings.len()});
    let text = format!(
        "{file} is valid: cluster {} on {}, {}, {}",
        inv.cluster.name,
        plural(hosts, "host"),
        plural(masters, "control plane"),
        plural(members, "etcd member")
    );
    call.report.result(&value, text);
    Ok(Exit::Done)
}
