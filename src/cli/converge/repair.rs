//! Restores control planes whose API servers are not ready, before a verb continues with the work that needs the API.

use super::{Observed, Session, defect, planning, warn};
use crate::cli::Call;
use crate::cli::operation::carry_out;
use crate::cli::stop::Stop;
use crate::error::Exit;
use crate::facts::Facts;
use crate::plan::goal::Goal;
use crate::plan::{RunInputs, WholeRun, repair_run};

/// Plans the steps that restore control planes whose API servers are not ready. The result has refusals if the repair must not begin. `None` if the
/// verb needs no repair, or if no change on the hosts would help.
pub(super) fn planned(session: &Session, inputs: &RunInputs, facts: &Facts, goal: &Goal) -> Result<Option<WholeRun>, Stop> {
    repair_run(goal, facts, &planning(session, inputs)).map_err(|e| defect(&e))
}

/// Runs the plan in `repair`, which restores control planes. An error ends the verb: the repair was refused, was only shown (in a dry run or by
/// `clusterctl plan`), or failed.
pub(super) async fn carried_out(
    session: &Session,
    call: &Call,
    shows_only: bool,
    repair: WholeRun,
    observed: Observed,
) -> Result<(), Stop> {
    let (report, plan) = (&session.report, &repair.plan);
    warn(report, &repair.warnings);
    if !repair.refusals.is_empty() {
        return Err(Stop::with(Exit::Refused).failures(observed.failures).refusals(repair.refusals));
    }
    report.note("control planes whose API servers do not serve are restored first; what else differs is known once they serve");
    if shows_only || call.global.dry_run {
        report.result(&serde_json::json!({"plan": plan}), plan);
        let done = if shows_only { Exit::ChangesRemain } else { Exit::Done };
        return Err(if observed.failures.is_empty() { Stop::with(done) } else { Stop::failed(observed.failures) });
    }
    let failures = carry_out(session, call, plan, &observed.facts).await?;
    if failures.is_empty() { Ok(()) } else { Err(Stop::broken(failures)) }
}
