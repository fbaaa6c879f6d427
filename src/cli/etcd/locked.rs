//! Work on one host under the locks of hosts, for commands that have no plan.

use std::sync::Arc;

use crate::cli::lock::{self, Wanted};
use crate::cli::operation::not_locked;
use crate::cli::session::Session;
use crate::cli::stop::Stop;
use crate::cli::{Call, random};
use crate::error::{Exit, chain};
use crate::facts::Facts;

/// Locks the hosts, does the work with the ID of the run, and unlocks the hosts. `doing` is shown meanwhile. Fails if the run did not get its locks or
/// lost one.
pub(super) async fn under_locks<T>(
    session: &Session,
    call: &Call,
    wanted: &Wanted,
    facts: &Facts,
    doing: &str,
    work: impl AsyncFnOnce(&str) -> T,
) -> Result<T, Stop> {
    let run = random::text(8, random::HEX);
    let (_running, stop) = call.interrupt.run();
    let locks = lock::acquire(&session.hosts, wanted, &run, &lock::who(), facts, Arc::clone(&stop)).await.map_err(|e| not_locked(&e))?;
    let busy = session.report.busy(doing);
    let done = work(&run).await;
    drop(busy);
    let lost = locks.lost().map(|e| chain(e));
    locks.release().await;
    match lost {
        Some(lost) => Err(Stop::with(Exit::Locked).error(lost, "wait until that run has ended, then run the same command again")),
        None => Ok(done),
    }
}
