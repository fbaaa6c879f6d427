//! Applies a step under a fault, and then again without the fault, as the next run of clusterctl does, which must complete the work.

use clusterctl::step::Step;

use super::pods::{all, ended};
use super::sandbox::{End, Fault, Sandbox};

/// The result of a check; the error states what is wrong.
pub type Answer = Result<(), String>;

/// Makes the fault that happens at the N-th effect, or at the N-th call of a tool; the argument is N.
pub type At = fn(usize) -> Fault;

/// The faults that kill a script at an effect (a call of a tool that changes something) or inside it, each with the words for the name of a row.
pub const KILLS: [(&str, At); 2] = [("killed at", Fault::KilledAt), ("killed inside", Fault::KilledInside)];

/// The faults that end a script at an effect: those of [`KILLS`] and a power cut.
pub const ENDS: [(&str, At); 3] = [KILLS[0], KILLS[1], ("without power from", Fault::PowerCutAt)];

/// A check that accepts every state of the host.
pub fn anything(_: &Sandbox) -> Answer {
    Ok(())
}

/// Applies the step under the fault, and checks that it ends as `wanted` says (see [`ended`]) and that `holds` accepts the state of the host
/// afterwards.
pub fn under(fault: Fault, host: &Sandbox, step: impl Into<Step>, wanted: &str, holds: impl Fn(&Sandbox) -> Answer) -> Answer {
    host.inject(fault);
    let end = host.apply(step);
    all(host, [ended(&end, wanted), holds(host)])
}

/// Applies the step under the fault, and then again without it. Returns how the step ended each time.
pub fn twice(fault: Fault, host: &Sandbox, step: impl Into<Step>) -> [End; 2] {
    let step = step.into();
    host.inject(fault);
    let end = host.apply(step.clone());
    host.inject(Fault::None);
    [end, host.apply(step)]
}

/// Applies the step under a fault that kills it, and checks with `left` what it leaves behind. Then applies the step again without the fault, which
/// must succeed, and checks the result with `whole`. Returns `None` if the fault was not reached.
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
