//! Records in the inventory the version that the cluster has reached: one word of the operator's file is changed, and nothing else.

use crate::cli::Call;
use crate::cli::save::{self, Existing};
use crate::cli::session::Session;
use crate::facts::Facts;
use crate::inventory::{self, KubeVersion};
use crate::plan::upgrade::Running;

/// Writes the oldest version of the cluster's API servers into the inventory. A dry run writes nothing.
pub(super) fn oldest(session: &Session, call: &Call, facts: &Facts) {
    if let Some(now) = Running::of(&session.inventory, facts).oldest().filter(|_| !call.global.dry_run) {
        version(call, &session.inventory.cluster.version, now);
    }
}

/// Writes the version into the inventory if the inventory has another version. If the file cannot be changed with certainty, the operator is
/// asked to change it.
fn version(call: &Call, before: &KubeVersion, now: &KubeVersion) {
    if before == now {
        return;
    }
    let path = &call.global.inventory;
    let by_hand = || call.report.note(format!("set `cluster.version: {now}` in {}", path.display()));
    let Ok(bytes) = std::fs::read(path) else {
        return by_hand();
    };
    let Some(text) = std::str::from_utf8(&bytes).ok().and_then(|text| changed(text, before, now)) else {
        return by_hand();
    };
    let mode = std::fs::metadata(path).map_or(0o644, |m| std::os::unix::fs::PermissionsExt::mode(&m.permissions()) & 0o777);
    match save::whole(path, text.as_bytes(), mode, Existing::Replace) {
        Ok(()) => call.report.note(format!("`cluster.version` in {} is {now} now", path.display())),
        Err(e) => {
            call.report.warning(format!("cannot write {}: {e}", path.display()));
            by_hand();
        }
    }
}

/// The text with the cluster's version changed; `None` if no single word of it can be changed such that only the version differs.
fn changed(text: &str, before: &KubeVersion, now: &KubeVersion) -> Option<String> {
    let read = |text: &str| inventory::parse_bytes(text.as_bytes(), "inventory", &|_| Ok(())).ok().map(|p| p.inventory);
    let mut wanted = read(text)?;
    wanted.cluster.version = now.clone();
    let old = before.to_string();
    let candidates = text.match_indices(&old).map(|(at, _)| format!("{}{now}{}", &text[..at], &text[at + old.len()..]));
    candidates.into_iter().find(|c| read(c).as_ref() == Some(&wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(text: &str) -> KubeVersion {
        text.parse().expect("a version")
    }

    #[test]
    fn only_the_version_changes() {
        let text = "# once v1.34.2\ncluster: # ours\n  name: c\n  version: \"v1.34.2\" # see v1.34.2\nhosts:\n- { name: m1, address: 192.0.2.1, roles: [master], labels: { was: v1.34.2 } }\n";
        let after = changed(text, &v("v1.34.2"), &v("v1.35.0")).expect("it can be changed");
        assert_eq!(after, text.replace("version: \"v1.34.2\"", "version: \"v1.35.0\""));
        assert_eq!(changed(text, &v("v1.33.0"), &v("v1.35.0")), None);
    }
}
