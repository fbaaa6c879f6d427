//! The versions of etcd in an upgrade, and the reasons why etcd may not change to them: it is never downgraded, it is upgraded one minor
//! version at a time, and some minor versions can be reached only from a minimum version.

use super::super::Refusal;
use super::Inputs;
use crate::facts::Facts;
use crate::host::HostName;
use crate::inventory::{HostEntry, Inventory, KubeVersion};
use crate::layout;
use crate::plan::upgrade::UpgradeStage;
use crate::versions;
use crate::versions::etcd::{Floor, Version, floor, version};

/// The refusal of the first change of etcd's version in the upgrade that etcd does not allow. `None` if etcd allows all of them. An external
/// etcd is not checked, because clusterctl does not upgrade it.
pub(super) fn of(i: &Inputs<'_>) -> Option<Refusal> {
    if i.inv.etcd.external.is_some() {
        return None;
    }
    let mut now = running(i.inv, i.facts).into_iter().min()?;
    for stage in i.stages {
        let UpgradeStage::ControlPlane(kubernetes) = stage else { continue };
        let Some(next) = wanted(i.inv, kubernetes) else { continue };
        if let Some(refusal) = step(i.inv, now, next) {
            return Some(refusal);
        }
        now = next;
    }
    None
}

/// The refusal of the change of etcd's version that a run without an upgrade makes, from the versions of all members to that of the inventory. `None`
/// if etcd allows it.
pub(in crate::plan::refusals) fn change(inv: &Inventory, facts: &Facts) -> Option<Refusal> {
    if inv.etcd.external.is_some() {
        return None;
    }
    let next = wanted(inv, &inv.cluster.version)?;
    let running = running(inv, facts);
    let (oldest, newest) = (running.iter().min()?, running.iter().max()?);
    [oldest, newest].into_iter().find_map(|now| step(inv, *now, next))
}

/// The versions of etcd on the hosts.
fn running(inv: &Inventory, facts: &Facts) -> Vec<Version> {
    let image = |h: &&HostEntry| {
        let f = facts.host(&h.name);
        f.pods.get("etcd").map(|p| p.image.clone()).or_else(|| f.binaries.get(&format!("{}/etcd", layout::BIN_DIR)).cloned())
    };
    inv.etcd_hosts().iter().filter_map(image).filter_map(|image| version(image.rsplit_once(':')?.1)).collect()
}

/// A warning if `etcd.imageTag` of the inventory is older than the etcd version that comes with the target version of Kubernetes, as it may be
/// in the inventory of an adopted cluster.
pub(super) fn held_back(i: &Inputs<'_>) -> Option<(HostName, String)> {
    let to = i.stages.last()?.version();
    let own = i.inv.etcd.image_tag.as_deref().filter(|_| i.inv.etcd.external.is_none())?;
    let default = versions::of(to)?.images.etcd;
    (version(own)? < version(default)?).then(|| {
        let message = format!("it stays at {own}, which is `etcd.imageTag` of the inventory; {to} comes with {default}");
        ("etcd".into(), message)
    })
}

/// The refusal to change etcd from version `now` to version `next`; `None` if etcd allows this change.
fn step(inv: &Inventory, now: Version, next: Version) -> Option<Refusal> {
    let (message, fix) = if next < now {
        (
            format!("etcd runs {} and would go back to {}; its data may not be readable then", text(now), text(next)),
            "take `etcd.imageTag` out of the inventory, or name a newer one".into(),
        )
    } else if next.1 > now.1 + 1 || next.0 != now.0 {
        (
            format!("etcd would go from {} to {}; it goes up one minor version at a time", text(now), text(next)),
            "set `etcd.imageTag` to a version between and `clusterctl apply` first".into(),
        )
    } else if let Some(floor) = floor(now, next) {
        (
            format!(
                "etcd runs {} and would go to {}, which must come from {} or later: {}",
                text(now),
                text(next),
                text(floor.from),
                floor.why
            ),
            below_floor(inv, floor),
        )
    } else {
        return None;
    };
    Some(Refusal::new("", "etcd-path", message, fix))
}

/// Advice for the operator how etcd reaches the minimum version `floor.from`. `clusterctl apply` alone is enough if the inventory has no
/// `etcd.imageTag` and the default etcd version of the inventory's Kubernetes version is new enough.
fn below_floor(inv: &Inventory, floor: &Floor) -> String {
    let default = versions::of(&inv.cluster.version).map(|v| v.images.etcd);
    let enough = |tag: &&str| version(tag).is_some_and(|v| v >= floor.from && (v.0, v.1) == (floor.from.0, floor.from.1));
    let advice = floor.advised.map(|v| format!("; etcd advises {} or later", text(v))).unwrap_or_default();
    match default.filter(|tag| inv.etcd.image_tag.is_none() && enough(tag)) {
        Some(tag) => format!("run `clusterctl apply` first, which brings etcd to {tag}{advice}"),
        None => format!(
            "set `etcd.imageTag: {}-0` or a later {}.{} and run `clusterctl apply` first{advice}",
            text(floor.from),
            floor.from.0,
            floor.from.1
        ),
    }
}

/// The version of etcd that is used with this version of Kubernetes: `etcd.imageTag` of the inventory, or else the default. `None` if it is not
/// known.
fn wanted(inv: &Inventory, kubernetes: &KubeVersion) -> Option<Version> {
    let own = inv.etcd.image_tag.as_deref();
    version(own.or_else(|| versions::of(kubernetes).map(|v| v.images.etcd))?)
}

fn text((major, minor, patch): Version) -> String {
    format!("{major}.{minor}.{patch}")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::facts::HostFacts;
    use crate::plan::upgrade::Running;

    /// The message and the fix of the refusal of an upgrade through the Kubernetes versions `stages`, for an etcd of version `now`. `own` are
    /// the fields of the inventory's `etcd` section.
    fn said(now: &str, kubernetes: &str, own: &str, stages: &[&str]) -> Option<(String, String)> {
        let inventory = format!(
            "cluster: {{name: c, version: {kubernetes}}}\netcd: {{{own}}}\nhosts:\n- {{name: m1, address: 192.0.2.1, roles: [control-plane]}}\n"
        );
        let inv: Inventory = serde_yaml::from_str(&inventory).expect("the inventory is valid");
        let binaries = BTreeMap::from([(format!("{}/etcd", layout::BIN_DIR), format!("registry.example/etcd:{now}"))]);
        let mut facts = Facts::default();
        facts.hosts.insert("m1".into(), HostFacts { binaries, ..HostFacts::default() });
        judged(&inv, &facts, stages, |inputs| {
            of(inputs).map(|b| {
                assert_eq!(b.name, "etcd-path");
                (b.message, b.fix)
            })
        })
    }

    fn judged<T>(inv: &Inventory, facts: &Facts, stages: &[&str], f: impl Fn(&Inputs<'_>) -> T) -> T {
        let stages: Vec<UpgradeStage> = stages.iter().map(|v| UpgradeStage::ControlPlane(v.parse().expect("a version"))).collect();
        let (running, deprecated) = (Running::default(), BTreeSet::new());
        f(&Inputs { inv, facts, running: &running, stages: &stages, selected: &[], deprecated: &deprecated })
    }

    #[test]
    fn an_etcd_that_the_inventory_holds_back_is_named() {
        let held = |own: &str, to: &str| {
            let text = format!(
                "cluster: {{name: c, version: v1.36.2}}\netcd: {{{own}}}\nhosts:\n- {{name: m1, address: 192.0.2.1, roles: [control-plane]}}\n"
            );
            let inv: Inventory = serde_yaml::from_str(&text).expect("the inventory is valid");
            judged(&inv, &Facts::default(), &[to], held_back)
        };
        let (what, message) = held("imageTag: 3.6.8-0", "v1.37.1").expect("3.7.0 is newer");
        assert_eq!(what, "etcd");
        assert_eq!(message, "it stays at 3.6.8-0, which is `etcd.imageTag` of the inventory; v1.37.1 comes with 3.7.0-0");
        assert_eq!(held("", "v1.37.1"), None);
        assert_eq!(held("imageTag: 3.7.1-0", "v1.37.1"), None);
        assert_eq!(held("imageTag: nightly", "v1.37.1"), None);
    }

    #[test]
    fn a_minor_is_entered_from_etcds_floor_alone() {
        let (message, fix) = said("3.5.24-0", "v1.33.4", "", &["v1.34.1"]).expect("3.5.24 is too old");
        assert!(message.starts_with("etcd runs 3.5.24 and would go to 3.6.11, which must come from 3.5.26 or later"), "{message}");
        assert_eq!(fix, "run `clusterctl apply` first, which brings etcd to 3.5.31-0; etcd advises 3.5.32 or later");
        let (message, fix) = said("3.6.8-0", "v1.36.4", "", &["v1.37.1"]).expect("3.6.8 is too old");
        assert!(message.starts_with("etcd runs 3.6.8 and would go to 3.7.0, which must come from 3.6.11 or later"), "{message}");
        assert_eq!(fix, "run `clusterctl apply` first, which brings etcd to 3.6.11-0");
        for now in ["3.5.26-0", "3.5.32-0"] {
            assert_eq!(said(now, "v1.33.4", "", &["v1.34.1"]), None, "{now}");
        }
        assert_eq!(said("3.6.11-0", "v1.36.4", "", &["v1.37.1"]), None);
    }

    #[test]
    fn the_defaults_lead_through_several_minors() {
        assert_eq!(said("3.5.15-0", "v1.31.1", "", &["v1.32.1", "v1.33.1", "v1.34.1", "v1.35.1", "v1.36.1", "v1.37.1"]), None);
    }

    #[test]
    fn an_operator_who_chose_the_version_is_told_which_to_choose() {
        let (_, fix) = said("3.6.8-0", "v1.36.4", "imageTag: 3.7.1-0", &["v1.36.5"]).expect("3.6.8 is too old");
        assert_eq!(fix, "set `etcd.imageTag: 3.6.11-0` or a later 3.6 and run `clusterctl apply` first");
        assert_eq!(said("3.6.8-0", "v1.36.4", "imageTag: 3.6.8-0", &["v1.37.1"]), None, "it stays");
    }

    #[test]
    fn etcd_never_goes_down_and_never_skips_a_minor() {
        let (message, _) = said("3.7.0-0", "v1.36.4", "", &["v1.36.5"]).expect("it would go down");
        assert!(message.contains("would go back to 3.6.11"), "{message}");
        let (message, _) = said("3.5.32-0", "v1.36.4", "imageTag: 3.7.0-0", &["v1.36.5"]).expect("it would skip 3.6");
        assert!(message.contains("one minor version at a time"), "{message}");
    }
}
