//! `clusterctl etcd alarm list` and `clusterctl etcd alarm disarm`.

use serde_json::{Value, json};

use super::members::Etcd;
use super::{answers, change, status};
use crate::cli::Call;
use crate::cli::operation::{Operation, Proposal};
use crate::cli::report::table;
use crate::cli::session::Session;
use crate::cli::stop::{Ended, Stop};
use crate::error::{Exit, Failure};
use crate::plan::{self, Plan, refusals};

/// List and disarm the alarms of etcd
///
/// A member raises NOSPACE when its database has reached its quota; etcd then refuses all writes. It raises CORRUPT when its data differs from that of
/// the other members.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    pub(super) verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
pub(super) enum Verb {
    List(List),
    Disarm(Disarm),
}

/// List the alarms
///
/// The exit code is 0 if there is no alarm, and 1 if there is one or if no member answers.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl etcd alarm list")]
pub struct List {}

/// Disarm the alarms
///
/// An alarm stays until it is disarmed, also after its cause is gone. NOSPACE is disarmed only if the database of its member is smaller than its quota:
/// run `etcd compact` and `etcd defrag` before. etcd can disarm only all alarms together, so nothing is disarmed while one of them must stay.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl etcd compact && clusterctl etcd defrag && clusterctl etcd alarm disarm")]
pub struct Disarm {
    /// Also disarm CORRUPT; the data of the member that has this alarm is not repaired by that
    #[arg(long)]
    allow_corrupt: bool,
}

/// Runs `etcd alarm list`.
pub(super) async fn list(session: &Session) -> Ended {
    let (answers, failures) = answers(session).await;
    let etcd = status::of(session, &answers, &failures);
    if answers.values().all(|a| a.alarms.is_none()) {
        let exit = if answers.is_empty() { Exit::of(&failures) } else { Exit::Failed };
        let stop = Stop::with(exit).failures(failures);
        return Err(stop.error("no etcd member lists the alarms", "see the members with `clusterctl etcd status`"));
    }
    change::warn(session, &failures);
    let text = match etcd.alarms.is_empty() {
        true => "no alarm".into(),
        false => table(&["MEMBER", "ID", "ALARM"], named(&etcd).into_iter().map(|[name, id, alarm]| vec![name, id, alarm])),
    };
    session.report.result(&json!({"alarms": values(&etcd)}), text);
    Ok(if etcd.alarms.is_empty() { Exit::Done } else { Exit::Failed })
}

/// The name and the ID of the member, and the alarm, for each alarm.
fn named(etcd: &Etcd) -> Vec<[String; 3]> {
    let name = |id: &str| etcd.members.iter().find(|m| m.id == id).map_or("-".into(), |m| m.name.clone());
    etcd.alarms.iter().map(|a| [name(&a.member), a.member.clone(), a.alarm.clone()]).collect()
}

fn values(etcd: &Etcd) -> Vec<Value> {
    named(etcd).into_iter().map(|[name, id, alarm]| json!({"member": name, "id": id, "alarm": alarm})).collect()
}

impl Operation for Disarm {
    type Aim = ();

    async fn propose(&self, session: &Session, _call: &Call) -> Result<Proposal<()>, Stop> {
        let (facts, failures) = change::observe(session).await?;
        let refused = refusals::etcd::of_disarm(&facts, self.allow_corrupt);
        if !refused.is_empty() {
            return Err(change::refused(failures, refused));
        }
        let Some(through) = plan::etcd::through(&session.inventory, &facts) else { return Err(change::unhealthy(failures)) };
        change::warn(session, &failures);
        let plan = Plan::of(&plan::etcd::disarm(through, self.allow_corrupt), &facts).0;
        Ok(Proposal { plan, facts, failures: vec![], aim: () })
    }

    fn agreed(&self, session: &Session, _call: &Call, proposal: &Proposal<()>) -> Result<bool, Stop> {
        session.report.say(&proposal.plan);
        session.report.confirm("disarm these alarms?")
    }

    async fn ended(&self, session: &Session, _call: &Call, _proposal: Proposal<()>, broken: Vec<Failure>) -> Ended {
        if !broken.is_empty() {
            return Err(Stop::broken(broken));
        }
        let (etcd, _) = status::ask(session).await;
        if !etcd.alarms.is_empty() {
            let left: Vec<String> = named(&etcd).into_iter().map(|[name, _, alarm]| format!("{alarm} of {name}")).collect();
            let message = format!("the alarms were disarmed, and there are alarms again: {}", left.join(", "));
            return Err(Stop::with(Exit::Failed).error(message, "see the members with `clusterctl etcd status`"));
        }
        session.report.result(&json!({"result": "done", "alarms": []}), "the alarms are disarmed");
        Ok(Exit::Done)
    }
}
