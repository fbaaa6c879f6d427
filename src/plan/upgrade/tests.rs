//! A table of upgrades: each pair of present and target version has its stages, or the rule that forbids the upgrade.

use super::*;

fn v(text: &str) -> KubeVersion {
    text.parse().expect("a version")
}

/// API servers and kubelets at these versions.
fn running(api: &[&str], kubelets: &[&str]) -> Running {
    let named = |list: &[&str], letter: &str| list.iter().enumerate().map(|(n, t)| (format!("{letter}{}", n + 1), v(t))).collect();
    let reached = api.iter().map(|t| v(t)).max();
    let unfinished = api.iter().any(|t| Some(v(t)) < reached);
    Running { api_servers: named(api, "m"), kubelets: named(kubelets, "w"), cordoned: BTreeSet::new(), reached, unfinished }
}

fn said(running: &Running, to: &str) -> String {
    let through = (21..40).map(|minor| (minor, v(&format!("v1.{minor}.9")))).collect();
    let stage = |l: &UpgradeStage| match l {
        UpgradeStage::ControlPlane(v) => format!("control plane {v}"),
        UpgradeStage::Kubelets(v) => format!("kubelets {v}"),
    };
    match way(running, &v(to), &through) {
        Ok(stages) => stages.iter().map(stage).collect::<Vec<_>>().join(", "),
        Err(no) => no.rule().to_string(),
    }
}

#[test]
fn every_pair_of_from_and_to() {
    // Test cases: the present versions of the API server and of the kubelets, the target version, and what is expected, which is the stages of the
    // upgrade or the rule that refuses it.
    let table = [
        ("v1.34.2", "v1.34.2", "v1.34.2", "control plane v1.34.2, kubelets v1.34.2"),
        ("v1.34.2", "v1.34.2", "v1.34.5", "control plane v1.34.5, kubelets v1.34.5"),
        ("v1.34.5", "v1.34.5", "v1.34.2", "downgrade"),
        ("v1.34.5", "v1.34.5", "v1.33.9", "downgrade"),
        ("v1.35.0", "v1.34.0", "v1.34.0", "downgrade"),
        ("v1.34.5", "v1.34.5", "v1.35.1", "control plane v1.35.1, kubelets v1.35.1"),
        ("v1.20.2", "v1.20.2", "v1.21.14", "control plane v1.21.14, kubelets v1.21.14"),
        ("v1.20.2", "v1.20.2", "v1.28.1", "unsupported-version"),
        ("v1.36.0", "v1.36.0", "v1.37.0", "control plane v1.37.0, kubelets v1.37.0"),
        ("v1.37.0", "v1.37.0", "v1.38.0", "unsupported-version"),
        ("v1.33.4", "v1.33.4", "v1.36.2", "control plane v1.34.9, control plane v1.35.9, control plane v1.36.2, kubelets v1.36.2"),
        (
            "v1.32.4",
            "v1.32.4",
            "v1.36.2",
            "control plane v1.33.9, control plane v1.34.9, control plane v1.35.9, kubelets v1.35.9, control plane v1.36.2, kubelets v1.36.2",
        ),
        (
            "v1.33.4",
            "v1.33.4",
            "v1.37.1",
            "control plane v1.34.9, control plane v1.35.9, control plane v1.36.9, kubelets v1.36.9, control plane v1.37.1, kubelets v1.37.1",
        ),
        // A kubelet that is already three minor versions behind must be upgraded first.
        ("v1.34.4", "v1.31.1", "v1.36.2", "kubelets v1.34.4, control plane v1.35.9, control plane v1.36.2, kubelets v1.36.2"),
        // A kubelet that is further behind than the policy allows is upgraded, too.
        ("v1.34.4", "v1.29.1", "v1.34.4", "kubelets v1.34.4, control plane v1.34.4, kubelets v1.34.4"),
        ("v1.34.4", "v1.35.0", "v1.34.5", "kubelet-ahead"),
        ("v1.34.4", "v1.34.9", "v1.34.5", "kubelet-ahead"),
    ];
    for (api, kubelet, to, want) in table {
        assert_eq!(said(&running(&[api], &[kubelet, kubelet]), to), want, "{api} with kubelets {kubelet} to {to}");
    }
}

#[test]
fn an_interrupted_upgrade_goes_on() {
    // One control-plane host has the target version, and the kubelets do not.
    let half = running(&["v1.35.1", "v1.34.5", "v1.34.5"], &["v1.34.5"]);
    assert_eq!(said(&half, "v1.35.1"), "control plane v1.35.1, kubelets v1.35.1");
    assert_eq!(said(&half, "v1.35.0"), "downgrade");
    // In an upgrade over several minor versions, the other hosts reach the version of the first one before the upgrade continues.
    let through = running(&["v1.35.11", "v1.34.5", "v1.34.5"], &["v1.34.5"]);
    assert_eq!(said(&through, "v1.36.2"), "control plane v1.35.11, control plane v1.36.2, kubelets v1.36.2");
    // All API servers have the version, but a scheduler does not.
    let behind = Running { unfinished: true, ..running(&["v1.35.9"], &["v1.34.5"]) };
    assert_eq!(said(&behind, "v1.36.2"), "control plane v1.35.9, control plane v1.36.2, kubelets v1.36.2");
    let behind = Running { unfinished: true, ..running(&["v1.36.2"], &["v1.34.5"]) };
    assert_eq!(said(&behind, "v1.36.2"), "control plane v1.36.2, kubelets v1.36.2");
    assert_eq!(said(&running(&["v1.36.0", "v1.34.0"], &[]), "v1.36.2"), "api-servers-apart");
}

#[test]
fn a_minor_that_is_too_new_asks_for_a_newer_clusterctl() {
    assert!(UpgradeRefusal::Unsupported(versions::newest() + 1).fix().starts_with("use a newer clusterctl"));
    assert!(UpgradeRefusal::Unsupported(27).fix().starts_with("choose one of"));
}

/// For every pair of supported minor versions since 1.28: kubelets are never newer than the control plane and never further behind than the
/// policy allows, and the control plane is upgraded one minor version at a time.
#[test]
fn no_way_ever_breaks_the_skew_policy() {
    let newest = versions::newest();
    for from in 28..=newest {
        for kubelet in (from - 3).max(28)..=from {
            for to in from..=newest {
                let start = running(&[&format!("v1.{from}.0")], &[&format!("v1.{kubelet}.0")]);
                let through = (28..=newest).map(|m| (m, v(&format!("v1.{m}.5")))).collect();
                let (mut cp, mut kubelets) = (from, kubelet);
                for stage in way(&start, &v(&format!("v1.{to}.7")), &through).expect("there is a way") {
                    match stage {
                        UpgradeStage::ControlPlane(next) => {
                            assert!(next.minor() <= cp + 1, "{from} to {to}: {next} after v1.{cp}");
                            cp = next.minor();
                        }
                        UpgradeStage::Kubelets(next) => kubelets = next.minor(),
                    }
                    let oldest = versions::of(&v(&format!("v1.{cp}.0"))).expect("supported").oldest_kubelet();
                    assert!(kubelets <= cp && kubelets >= oldest, "{from} to {to}: kubelets v1.{kubelets} beside v1.{cp}");
                }
                assert_eq!((cp, kubelets), (to, to));
            }
        }
    }
}
