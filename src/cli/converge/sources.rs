//! Checks whether the hosts can download the programs and images that a plan requires: all hosts are asked at once, before anything is changed.

use super::Session;
use crate::facts::sources::{self, Places};
use crate::host::{Cmd, HostName};
use crate::plan::refusals::{self, Refusal};
use crate::plan::{Plan, RunInputs, registries};
use crate::step::binary::Source;
use crate::step::{Binary, Image, Step};

/// Returns a refusal for each program or image that a host cannot download although `plan` requires it. A host that cannot be asked is skipped, so
/// downloads that fail on this host are reported only by the run itself.
pub(super) async fn missing(session: &Session, inputs: &RunInputs, plan: &Plan) -> Vec<Refusal> {
    let places = registries::places(&inputs.registries);
    let asks: Vec<(HostName, Cmd)> = plan.hosts().into_iter().filter_map(|h| ask(&places, plan, &h).map(|cmd| (h, cmd))).collect();
    if asks.is_empty() {
        return Vec::new();
    }
    let _busy = session.report.busy("seeing that programs and images can be got");
    let mut out = Vec::new();
    for (host, answer) in session.each(asks).await {
        let missing = answer.map(|output| sources::parse(&output.stdout)).unwrap_or_default();
        out.extend(missing.iter().map(|m| refusals::unavailable(&host, m)));
    }
    out
}

fn ask(places: &Places, plan: &Plan, host: &HostName) -> Option<Cmd> {
    let (mut binaries, mut images): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for (_, _, planned) in plan.steps().filter(|(_, h, _)| *h == host) {
        match &planned.step {
            Step::Binary(Binary { source: Source::Url(url), .. }) => binaries.push(url),
            Step::Image(Image { references }) => images.extend(references.iter().map(String::as_str)),
            _ => {}
        }
    }
    (!binaries.is_empty() || !images.is_empty()).then(|| sources::request(&binaries, &images, places))
}
