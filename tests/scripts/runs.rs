//! Runs of a step under a fault, and the next run, which ends the work.

use clusterctl::step::Step;

use super::pods::{all, ended};
use super::sandbox::{End, Fault, Sandbox};

/// What a check says: nothing, or what is wrong.
pub type Answer = Result<(), String>;

/// Makes the fault that happens at the N-th effect or call.
pub type At = fn(usize) -> Fault;

/// The ways in which a script is killed at an effect.
pub const KILLS: [(&str, At); 2] = [("killed at", Fault::KilledAt), ("killed inside", Fault::KilledInside)];

/// The ways in which a script ends at an effect.
pub const ENDS: [(&str, At); 3] = [KILLS[0], KILLS[1], ("without power from", Fault::PowerCutAt)];

/// Nothing more is asked of the host.
pub fn anything(_: &Sandbox) -> Answer {
    Ok(())
}

/// The step ends under the fault as `wanted` says, and then `holds` has no complaint about the host.
pub fn under(fault: Fault, host: &Sandbox, step: impl Into<Step>, wanted: &str, holds: impl Fn(&Sandbox) -> Answer) -> Answer {
    host.inject(fault);
    let end = host.apply(step);
    all(host, [ended(&end, wanted), holds(host)])
}

/// How the step ends under the fault, and how the next run ends without it.
pub fn twice(fault: Fault, host: &Sandbox, step: impl Into<Step>) -> [End; 2] {
    let step = step.into();
    host.inject(fault);
    let end = host.apply(step.clone());
    host.inject(Fault::None);
    [end, host.apply(step)]
}

/// The fault kills the step, which leaves the host as `left` says, and the next run ends the work, as `whole` says. `None` if the fault was not
/// reached.
pub fn killed(
    fault: Fault,
    host: &Sandbox,
    step: impl Into<Step>,
    left: impl Fn(&Sandbox) -> Answer,
    whole: impl Fn(&Sandbox) -> Answer,
) -> Option<Answer> {
    let step = step.into();
    host.inject(fault);
    host.apply(step.clone());
    host.was_killed().then(|| left(host).and_then(|()| under(Fault::None, host, step, "done", whole)))
}
