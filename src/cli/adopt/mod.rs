//! `clusterctl adopt`.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

mod draft;
mod explain;
mod read;
mod refine;
mod text;

#[cfg(test)]
mod tests;

use super::Call;
use super::converge::{look, planned, run_inputs};
use super::operation::{self, Operation, Proposal};
use super::save::{self, Existing};
use super::session::Observed;
use super::session::{self, Reach, Session};
use super::stop::{Ended, Stop};
use crate::error::{Exit, Failure};
use crate::inventory::{self, Inventory, merge};
use crate::plan::{Goal, Plan, WholeRun, adopt};

/// Take over a cluster that was created by kubeadm
///
/// Reads the cluster through one of its control-plane hosts, writes an inventory for it, and shows what `apply` would change afterwards,
/// with the reasons. After you confirm, the hosts are marked as belonging to this cluster. Nothing is restarted, and nothing that runs is
/// changed. Without HOST, the existing inventory is used.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl adopt -i prod.yaml admin@192.0.2.11\n  clusterctl adopt -i prod.yaml --dry-run")]
pub struct Args {
    /// A control-plane host of the cluster, `[USER@]HOST[:PORT]`; the defaults for user and port come from ssh_config
    #[arg(value_name = "HOST")]
    host: Option<String>,
    /// YAML file with inventory fields that cannot be read from the cluster, such as `ssh` and `artifacts`; they override what is read, and
    /// entries of `hosts` are matched by name
    #[arg(long, value_name = "FILE", requires = "host")]
    with: Option<PathBuf>,
    /// Private key to log in with
    #[arg(long, value_name = "FILE", requires = "host")]
    identity_file: Vec<String>,
    /// Jump hosts, in order
    #[arg(long, value_name = "USER@HOST:PORT", requires = "host")]
    jump: Vec<String>,
    /// The host at the endpoint, if the next `apply` shall configure its haproxy
    #[arg(long, value_name = "NAME=ADDRESS", requires = "host", value_parser = balancer)]
    load_balancer: Option<(String, String)>,
}

fn balancer(text: &str) -> Result<(String, String), String> {
    let (name, address) = text.split_once('=').ok_or("write a name and an address such as lb1=192.0.2.31")?;
    Ok((name.into(), address.into()))
}

/// Runs the verb.
pub async fn run(call: &Call, args: &Args) -> Ended {
    let session = match &args.host {
        Some(host) => found(call, args, host).await?,
        None => Session::open(call, Reach::Everyone).await?,
    };
    operation::operate(&Adoption, &session, call).await
}

/// Reads the cluster, writes its inventory, and connects to all its hosts.
async fn found(call: &Call, args: &Args, host: &str) -> Result<Session, Stop> {
    let file = &call.global.inventory;
    if file.exists() && !call.global.dry_run {
        let hint = "name another file with `-i FILE`, or adopt with this one: leave out the host";
        return Err(Stop::with(Exit::Refused).error(format!("`{}` exists already", file.display()), hint));
    }
    let mut given = given(args)?;
    let login = read::Login::of(host, &mut given);
    let found = read::cluster(call, &login, &given).await?;
    let first = refine::with_components(draft::inventory(&found, &login, args.load_balancer.as_ref()), &found);
    let mut fields = draft::with_given(first, &given);
    let rough = text::of(&fields, &login.host, &[]);
    // A text that is not a valid inventory yet is written anyway, so that the operator can correct it.
    if inventory::parse(&rough, "", &session::supported).is_err() && !call.global.dry_run {
        written(call, &rough)?;
    }
    let rough = parsed(call, &rough)?;
    let mut session = Session::connect(call, rough, Reach::Everyone).await?;
    let objects = refine::objects(&session.inventory, found.v);
    let observed = session.observe(&objects, &[]).await;
    let failures: Vec<_> = observed.failures.into_iter().chain(session.unreachable()).collect();
    if !failures.is_empty() {
        let next = "a cluster is adopted with all its hosts: mend the way to these, or name their addresses under `hosts` in `--with FILE`";
        return Err(Stop::failed(failures).ending("", next));
    }
    let remarks = refine::with_hosts(&mut fields, &session.inventory, found.v, &observed.facts);
    let fields = draft::with_given(fields, &given);
    let text = text::of(&fields, &login.host, &remarks);
    if call.global.dry_run {
        call.report.result(&json!({ "inventory": &text }), &text);
    } else {
        written(call, &text)?;
    }
    session.inventory = parsed(call, &text)?;
    Ok(session)
}

/// The fields that the operator gave: those of `--with`, overridden by the options about SSH.
fn given(args: &Args) -> Result<Map<String, Value>, Stop> {
    let mut given = Map::new();
    if let Some(path) = &args.with {
        let hint = "it holds fields of an inventory, such as `ssh: { user: admin }`";
        let unusable = |why: String| Stop::with(Exit::Inventory).error(format!("`{}` {why}", path.display()), hint);
        let text = std::fs::read_to_string(path).map_err(|e| unusable(format!("cannot be read: {e}")))?;
        match serde_yaml::from_str(&text) {
            Ok(Value::Object(map)) => given = map,
            Ok(_) => return Err(unusable("is not a mapping".into())),
            Err(e) => return Err(unusable(format!("is not YAML: {e}"))),
        }
    }
    let mut ssh = Map::new();
    for (key, list) in [("identityFiles", &args.identity_file), ("jump", &args.jump)] {
        if !list.is_empty() {
            ssh.insert(key.into(), json!(list));
        }
    }
    if !ssh.is_empty() {
        merge(&mut given, &Map::from_iter([("ssh".to_owned(), Value::Object(ssh))]));
    }
    Ok(given)
}

fn parsed(call: &Call, text: &str) -> Result<Inventory, Stop> {
    let name = call.global.inventory.display().to_string();
    let parsed = inventory::parse(text, &name, &session::supported)
        .map_err(|faults| Stop::faults(faults).ending("", format!("mend what `{name}` says, then `clusterctl adopt -i {name}`")))?;
    Ok(parsed.inventory)
}

fn written(call: &Call, text: &str) -> Result<(), Stop> {
    let path = &call.global.inventory;
    save::whole(path, text.as_bytes(), 0o644, Existing::Refuse).map_err(|e| {
        Stop::with(Exit::Failed).error(format!("cannot write `{}`: {e}", path.display()), "name another file with `-i FILE`")
    })?;
    call.report.note(format!("wrote {}", path.display()));
    Ok(())
}

/// Marks the hosts of the inventory's cluster, after showing what `apply` would change.
struct Adoption;

/// What `apply` would change on the adopted cluster, and why.
struct Rest {
    plan: Plan,
    reasons: Vec<explain::Reason>,
}

impl Operation for Adoption {
    type Aim = Rest;

    async fn propose(&self, session: &Session, call: &Call) -> Result<Proposal<Rest>, Stop> {
        let inv = &session.inventory;
        let run_inputs = run_inputs::pack(session, call).await?;
        let Observed { facts, failures, .. } = look(session, &run_inputs, &Goal::Keep, &[]).await;
        let failures: Vec<Failure> = failures.into_iter().chain(session.unreachable()).collect();
        let found = adopt::refusals(inv, &facts);
        if !found.is_empty() {
            let exit = if failures.is_empty() { Exit::Refused } else { Exit::of(&failures) };
            return Err(Stop::with(exit).failures(failures).refusals(found));
        }
        let (marks, adopted) = Plan::of(&adopt::desired_steps(inv, &facts), &facts);
        let WholeRun { refusals: found, plan, .. } = planned(session, &run_inputs, &adopted, &Goal::Keep)?;
        if !found.is_empty() {
            return Err(Stop::refused(found));
        }
        let reasons = explain::reasons(&plan);
        Ok(Proposal { plan: marks, facts, failures, aim: Rest { plan, reasons } })
    }

    fn shown(&self, session: &Session, call: &Call, proposal: &Proposal<Rest>) -> Option<Exit> {
        let (report, name) = (&session.report, &session.inventory.cluster.name);
        let Proposal { plan: marks, aim: Rest { plan, reasons }, .. } = proposal;
        if marks.is_empty() {
            report.result(&json!({"result": "nothing to do", "cluster": name, "plan": plan}), format!("cluster {name} is adopted already"));
            report.ending("", &format!("`clusterctl plan -i {}`", call.global.inventory.display()));
            return Some(Exit::Done);
        }
        if !report.json() {
            report.say(explain::shown(marks, plan, reasons));
        }
        if !call.global.dry_run {
            return None;
        }
        let value = json!({"result": "dry run", "cluster": name, "marks": marks, "plan": plan, "reasons": reasons});
        report.result(&value, "dry run: nothing was written, no host was changed");
        Some(Exit::Done)
    }

    fn agreed(&self, session: &Session, call: &Call, proposal: &Proposal<Rest>) -> Result<bool, Stop> {
        let (report, name, hosts) = (&session.report, &session.inventory.cluster.name, proposal.plan.hosts().len());
        let next = format!("`clusterctl adopt -i {} --yes`", call.global.inventory.display());
        let question = format!("adopt cluster {name}? Marks are written on {hosts} hosts; nothing is restarted");
        report.confirm(&question).map_err(|stop| stop.ending("", next))
    }

    async fn ended(&self, session: &Session, call: &Call, proposal: Proposal<Rest>, broken: Vec<Failure>) -> Ended {
        let (report, name) = (&session.report, &session.inventory.cluster.name);
        if !broken.is_empty() {
            return Err(Stop::broken(broken));
        }
        let Rest { plan, reasons } = proposal.aim;
        let value = json!({"result": "adopted", "cluster": name, "plan": plan, "reasons": reasons});
        report.result(&value, format!("cluster {name} is adopted; nothing of it was restarted"));
        report.ending("", &format!("`clusterctl apply -i {}`, which does what is shown above", call.global.inventory.display()));
        Ok(Exit::Done)
    }
}
