//! The check after a run: the hosts are observed again, and the goal is reached if a plan from the new facts is empty.

use serde_json::json;

use super::{Aim, Observed, look, planned, record};
use crate::cli::Call;
use crate::cli::operation::carry_out;
use crate::cli::session::Session;
use crate::cli::stop::{Ended, Stop};
use crate::error::{Exit, Failure};
use crate::facts::Facts;
use crate::plan::goal::Goal;
use crate::plan::{Plan, WholeRun};
use crate::step::Step;

/// How often steps that wait for consequences of the run are carried out before they are reported as differences.
const SETTLING: usize = 3;

/// Observes the hosts again, and reports whether the goal is reached.
pub(super) async fn verify(session: &Session, call: &Call, aim: &Aim) -> Ended {
    let (mut facts, mut failures, mut left) = remains(session, aim).await?;
    // Consequences of the run may still be under way, such as a DaemonSet's pod on a new node, or a scheduler that restarts after it lost its lease.
    // If all remaining steps can be such consequences, they are carried out, which waits for the consequences, and are not reported as differences.
    // A slow host can have another consequence meanwhile, such as a node that is not Ready for a moment, so this is repeated a few times.
    let settles = |s: &Step| matches!(s, Step::Wait(_) | Step::CheckFlags(_)) || !s.static_pods().is_empty();
    for _ in 0..SETTLING {
        if !failures.is_empty() || left.is_empty() || !left.steps().all(|(_, _, s)| settles(&s.step)) {
            break;
        }
        failures = carry_out(session, call, &left, &facts).await?;
        if failures.is_empty() {
            (facts, failures, left) = remains(session, aim).await?;
        }
    }
    if !failures.is_empty() {
        return Err(Stop::broken(failures));
    }
    if aim.goal.upgrade().is_some() {
        record::oldest(session, call, &facts);
    }
    if !left.is_empty() {
        session.report.note("the hosts are still not as they should be; what is left:");
        session.report.result(&json!({"result": "changes remain", "plan": &left}), &left);
        return Ok(Exit::Failed);
    }
    let name = &session.inventory.cluster.name;
    let (value, text) = match &aim.goal {
        Goal::Remove(leaving) | Goal::Replace(leaving, _) => {
            let hosts = leaving.hosts.join(", ");
            (
                json!({"result": "done", "cluster": name, "removed": leaving.hosts}),
                format!("{hosts} left cluster {name}; take it out of the inventory, or the next `apply` brings it in again"),
            )
        }
        Goal::Upgrade(u) => {
            let paused = u.pause_after.is_some();
            let text = match paused {
                true => format!("paused; cluster {name} is on its way to {}: the same command without `--pause-after` goes on", u.to),
                false => format!("cluster {name} runs {}", u.to),
            };
            (json!({"result": "done", "cluster": name, "version": u.to, "paused": paused}), text)
        }
        Goal::Renew(_) => (json!({"result": "done", "cluster": name}), format!("the certificates of cluster {name} are renewed")),
        Goal::RotateKey(_) => (json!({"result": "done", "cluster": name}), format!("cluster {name} encrypts with its newest key alone")),
        Goal::Found | Goal::Keep | Goal::Join(_) => {
            (json!({"result": "done", "cluster": name}), format!("cluster {name} is as the inventory says"))
        }
    };
    session.report.result(&value, text);
    Ok(Exit::Done)
}

/// Observes the hosts again, and returns the facts, the failures, and the plan of the remaining steps.
async fn remains(session: &Session, aim: &Aim) -> Result<(Facts, Vec<Failure>, Plan), Stop> {
    let Observed { facts, failures, .. } = look(session, &aim.run_inputs, &aim.goal, &[]).await;
    let WholeRun { refusals, plan: left, .. } = planned(session, &aim.run_inputs, &facts, &aim.goal)?;
    // The plan of a run that is refused is incomplete, so its emptiness would not mean that nothing is left.
    if failures.is_empty() && !refusals.is_empty() {
        let stop = Stop::with(Exit::Failed).note("what is left cannot be told, because the next run would be refused:");
        return Err(stop.refusals(refusals));
    }
    // After a pause of an upgrade, the plan contains the checks of the new binaries' flags again. They change nothing, so a plan of such checks alone
    // counts as empty.
    let asks = left.steps().all(|(_, _, s)| matches!(s.step, Step::CheckFlags(_)));
    Ok((facts, failures, if asks { Plan::default() } else { left }))
}
