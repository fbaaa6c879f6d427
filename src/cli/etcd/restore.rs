//! `clusterctl etcd restore`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;

use super::external;
use super::file::SnapshotFile;
use super::rehearse::rehearse;
use crate::cli::operation::{self, Operation, Proposal};
use crate::cli::session::{Reach, Session};
use crate::cli::stop::{Ended, Stop};
use crate::cli::{Call, random};
use crate::error::{Exit, Failure};
use crate::facts::Facts;
use crate::facts::rehearsal::{self, Rehearsed};
use crate::facts::restore::{Mark, Stage};
use crate::host::HostName;
use crate::plan::refusals::restore::{Inputs, of_restore};
use crate::plan::{Plan, restore};
use crate::step::restore::{Target, kept, mark_of};

/// Restore etcd from a snapshot
///
/// EVERY WRITE AFTER THE SNAPSHOT IS LOST, and the API does not answer for about a minute. The snapshot is checked on this machine and
/// rehearsed on a host first. Then every member restores it beside its data; all API servers, controller managers, schedulers and etcd members
/// are stopped; the data is exchanged; everything is started again, and the kubelets are restarted. The previous data stays on the hosts
/// until you delete it. An interrupted restore is continued by the same command, and `apply` is refused until then. The exit code is 4 if the
/// restore is refused, and nothing was stopped.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  clusterctl etcd restore prod-20261128T091500Z.db --dry-run\n  clusterctl etcd restore prod-20261128T091500Z.db"
)]
pub struct Args {
    /// The snapshot
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Restore the snapshot even if it is of another cluster, or if its cluster is not known
    #[arg(long)]
    allow_foreign: bool,
    /// Restore the snapshot although the last restore was of the same snapshot
    #[arg(long)]
    again: bool,
}

/// Runs the verb.
pub async fn run(call: &Call, args: &Args) -> Ended {
    let file = SnapshotFile::read(&args.file)?;
    let session = Session::open(call, Reach::Everyone).await?;
    if session.inventory.etcd.external.is_some() {
        return Err(external(&session.inventory));
    }
    carried_out(&session, call, Restore { file, allow_foreign: args.allow_foreign, again: args.again, agreed: false }).await
}

/// Restores the snapshot.
pub(super) async fn carried_out(session: &Session, call: &Call, restore: Restore) -> Ended {
    operation::operate(&restore, session, call).await
}

/// A restore that the operator asked for.
pub(super) struct Restore {
    pub file: SnapshotFile,
    pub allow_foreign: bool,
    pub again: bool,
    /// Whether the operator has agreed already.
    pub agreed: bool,
}

impl Operation for Restore {
    type Aim = (Target, Option<Rehearsed>);

    async fn propose(&self, session: &Session, call: &Call) -> Result<Proposal<Self::Aim>, Stop> {
        let inv = &session.inventory;
        let mut observed = session.observe(&[], &[]).await;
        let failures: Vec<Failure> = observed.failures.drain(..).chain(session.unreachable()).collect();
        let known = restore::token_of(inv, &observed.facts, &self.file.sha256);
        let continues = known.as_ref().is_some_and(|token| {
            let reached = |mark: &Mark| mark.token == *token && mark.stage >= Stage::Prepared;
            observed.facts.hosts.values().filter_map(mark_of).any(|mark| reached(&mark))
        });
        let repeated = self.again && restore::unfinished(&observed.facts).is_empty();
        let rehearsed =
            self.rehearsed(session, call, &mut observed.facts, (continues && !repeated) || call.global.dry_run, &failures).await?;
        let facts = observed.facts;
        let room = room(session).await;
        let inputs = Inputs { size: self.file.size, room: &room, rehearsed: rehearsed.as_ref(), allow_foreign: self.allow_foreign };
        let found = of_restore(inv, &facts, &inputs);
        if !found.is_empty() {
            return Err(Stop::with(Exit::Refused).failures(failures).refusals(found));
        }
        let token = known.filter(|_| !repeated).unwrap_or_else(|| format!("restore-{}", random::text(8, random::HEX)));
        let target = Target { file: self.file.path.clone(), snapshot: self.file.sha256.clone(), token };
        if call.global.dry_run && !continues {
            session.report.note("the snapshot is whole; a dry run does not rehearse its restore, `clusterctl etcd snapshot verify` does");
        }
        let plan = plan(session, &facts, &target);
        if plan.is_empty() {
            session.report.note("the members have restored this snapshot already; `--again` restores it once more");
        }
        Ok(Proposal { plan, facts, failures, aim: (target, rehearsed) })
    }

    fn agreed(&self, session: &Session, _call: &Call, proposal: &Proposal<Self::Aim>) -> Result<bool, Stop> {
        if self.agreed {
            return Ok(true);
        }
        let report = &session.report;
        report.say(&proposal.plan);
        let revision = proposal.aim.1.as_ref().map_or(String::new(), |r| format!(", revision {}", r.status.revision));
        let (name, file, age) = (&session.inventory.cluster.name, self.file.path.display(), self.file.age());
        let question = format!(
            "restore etcd of cluster {name} from {file} (written {age} ago{revision})? Every write to the cluster after that snapshot \
             is lost, and the API does not answer until the restore has ended."
        );
        report.confirm_by_name(&question, name)
    }

    async fn ended(&self, session: &Session, _call: &Call, proposal: Proposal<Self::Aim>, broken: Vec<Failure>) -> Ended {
        let Proposal { aim: (target, rehearsed), failures, .. } = proposal;
        let command = format!("clusterctl etcd restore {}", self.file.path.display());
        if !broken.is_empty() {
            let now = session.observe(&[], &[]).await.facts;
            let state = match restore::unfinished(&now).is_empty() {
                true => "the restore has finished, and kubelets are left",
                false => "the restore has not finished, and the API may not answer; `apply` is refused until it has",
            };
            return Err(Stop::broken(broken).ending(state, format!("{command}; it goes on where it stopped")));
        }
        session.report.failures(&failures);
        let observed = session.observe(&[], &[]).await;
        let left = plan(session, &observed.facts, &target);
        if !left.is_empty() {
            session.report.note("the restore has not ended everywhere; what is left:");
            session.report.result(&json!({"result": "changes remain", "plan": &left}), &left);
            return Ok(Exit::Failed);
        }
        let members: Vec<HostName> = session.inventory.etcd_hosts().into_iter().map(|h| h.name.clone()).collect();
        let (name, kept) = (&session.inventory.cluster.name, kept(&target.token));
        let revision = rehearsed.as_ref().map(|r| r.status.revision);
        let at = revision.map_or(String::new(), |r| format!(" at revision {r}"));
        let text = format!(
            "cluster {name} has the data of {}{at}\n\
             The data from before the restore is kept on {} as {kept}, where a member had data. When nobody needs it any more:\n  \
             clusterctl exec --root --limit {} -- rm -rf {kept}\n\
             Pods that watch the API may have missed what changed: restart controllers and operators, for example with\n  \
             kubectl -n kube-system rollout restart daemonset,deployment\n",
            target.file.display(),
            members.join(", "),
            members.join(","),
        );
        let value = json!({"result": "restored", "cluster": name, "file": target.file, "sha256": target.snapshot, "revision": revision,
            "kept": kept, "members": members});
        session.report.result(&value, text);
        Ok(Exit::after_changes(&failures))
    }
}

impl Restore {
    /// Rehearses the restore, unless `skip`, on the first host with a member that answers, and observes the hosts again, because the rehearsal has
    /// locked one of them. A restore in which a host does not answer is not rehearsed, because it will be refused.
    async fn rehearsed(
        &self,
        session: &Session,
        call: &Call,
        facts: &mut Facts,
        skip: bool,
        failures: &[Failure],
    ) -> Result<Option<Rehearsed>, Stop> {
        let members = session.inventory.etcd_hosts();
        let answers = |name: &HostName| facts.hosts.contains_key(name);
        let needed = session.inventory.control_planes().map(|h| &h.name).chain(members.iter().map(|h| &h.name));
        let Some(on) = members.iter().map(|h| h.name.clone()).find(answers) else { return Ok(None) };
        if skip || (!failures.is_empty() && !needed.into_iter().all(answers)) {
            return Ok(None);
        }
        let rehearsed = rehearse(session, call, &self.file, &on, facts).await?;
        *facts = session.observe(&[], &[]).await.facts;
        Ok(Some(rehearsed))
    }
}

fn plan(session: &Session, facts: &Facts, target: &Target) -> Plan {
    Plan::of(&restore::desired_steps(&session.inventory, facts, target), facts).0
}

/// The free space of the members' hosts.
async fn room(session: &Session) -> BTreeMap<HostName, rehearsal::Room> {
    let commands = session.inventory.etcd_hosts().into_iter().map(|h| (h.name.clone(), rehearsal::room())).collect();
    let answers = session.each(commands).await;
    answers.into_iter().filter_map(|(host, out)| Some((host, rehearsal::parse_room(&out.ok()?.stdout)?))).collect()
}
