//! The laws, over every plan of a table of worlds.

use clusterctl::facts::Facts;
use clusterctl::inventory::Inventory;
use clusterctl::plan::{Page, Phase, Plan, Track, Width};
use clusterctl::step::Step;

use super::world;

/// Inventories with facts to plan over: fresh, finished, half-done, drifted.
fn worlds() -> Vec<(String, Inventory, Facts)> {
    let mut out = Vec::new();
    for version in ["v1.20.2", "v1.36.2"] {
        let inv = world::inventory(version);
        out.push((format!("fresh {version}"), inv.clone(), world::bare(&inv)));
        out.push((format!("finished {version}"), inv.clone(), world::finished(&inv)));
        let mut half = world::bare(&inv);
        for (_, host, planned) in world::plan(&inv, &half.clone()).0.steps().take(12) {
            planned.step.predict(host, &mut half);
        }
        out.push((format!("half-done {version}"), inv.clone(), half));
        let mut drifted = world::finished(&inv);
        drifted.host_mut("m1").files.remove("/etc/kubernetes/manifests/etcd.yaml");
        drifted.host_mut("w2").units.remove("kubelet");
        drifted.cluster.get_or_insert_default().nodes.remove("w1");
        out.push((format!("drifted {version}"), inv.clone(), drifted));
        let (three, four) = (world::external(version, 3), world::external(version, 4));
        out.push((format!("external etcd {version}"), three.clone(), world::bare(&three)));
        out.push((format!("external etcd grows {version}"), four.clone(), world::growing(&three, &four)));
        let small = world::hosts(version, &[("m1", 11, "control-plane"), ("w1", 21, "worker"), ("lb1", 31, "load-balancer")]);
        out.push((format!("growing {version}"), inv.clone(), world::growing(&small, &inv)));
    }
    for (name, inv) in super::balancers::kinds() {
        out.push((format!("fresh {name}"), inv.clone(), world::bare(&inv)));
        out.push((format!("finished {name}"), inv.clone(), world::finished(&inv)));
    }
    out
}

fn titles(plan: &Plan) -> Vec<String> {
    plan.steps().map(|(phase, host, s)| format!("{phase} / {host} / {}", s.title)).collect()
}

#[test]
fn a_step_holds_after_it_is_predicted() {
    for (name, inv, facts) in worlds() {
        let mut facts = facts;
        for (_, host, planned) in world::plan(&inv, &facts.clone()).0.steps() {
            planned.step.predict(host, &mut facts);
            assert!(planned.step.pending(host, &facts).is_none(), "{name}: {host}: {}", planned.title);
        }
    }
}

#[test]
fn planning_over_predicted_facts_is_empty() {
    for (name, inv, facts) in worlds() {
        let (_, after) = world::plan(&inv, &facts);
        let again = world::plan(&inv, &after).0;
        assert!(again.is_empty(), "{name}:\n{again}");
    }
}

#[test]
fn after_any_prefix_the_rest_is_planned() {
    for (name, inv, facts) in worlds() {
        let plan = world::plan(&inv, &facts).0;
        let all = titles(&plan);
        let mut now = facts.clone();
        for (done, (_, host, planned)) in plan.steps().enumerate() {
            let rest = titles(&world::plan(&inv, &now).0);
            assert_eq!(rest, all[done..], "{name}: after {done} steps");
            planned.step.predict(host, &mut now);
        }
    }
}

/// Law 6, over the member list: every step that takes a vote away or adds one leaves more than half of the voters with data.
#[test]
fn membership_changes_one_vote_at_a_time() {
    let inv = world::inventory("v1.34.2");
    let small = world::hosts("v1.34.2", &[("m1", 11, "control-plane"), ("w1", 21, "worker"), ("lb1", 31, "load-balancer")]);
    let (grown, shrunk) = (world::growing(&small, &inv), world::finished(&inv));
    for (plan, mut facts) in [(world::plan(&inv, &grown).0, grown), (world::removal(&inv, &shrunk, &["m2", "m3"], false).0, shrunk)] {
        let voters =
            |facts: &Facts| facts.members().into_iter().flatten().filter(|m| !m.learner).map(|m| m.name.clone()).collect::<Vec<_>>();
        let mut seen = voters(&facts);
        for (_, host, planned) in plan.steps() {
            planned.step.predict(host, &mut facts);
            let now = voters(&facts);
            assert!(now.len().abs_diff(seen.len()) <= 1, "{}: {seen:?} -> {now:?}", planned.title);
            let with_data = now.iter().filter(|m| facts.host(m).files.contains_key("/var/lib/etcd/member")).count();
            assert!(with_data > now.len() / 2, "{}: {now:?}", planned.title);
            seen = now;
        }
    }
}

#[test]
fn what_is_removed_stays_removed_after_any_prefix() {
    let inv = world::inventory("v1.34.2");
    let facts = world::finished(&inv);
    let all = titles(&world::removal(&inv, &facts, &["m1"], false).0);
    let mut now = facts.clone();
    let plan = world::removal(&inv, &facts, &["m1"], false).0;
    for (done, (_, host, planned)) in plan.steps().enumerate() {
        // Draining is asked live each time, for what ran on the node may have changed.
        let rest: Vec<String> = titles(&world::removal(&inv, &now, &["m1"], false).0);
        assert_eq!(rest, all[done..], "after {done} steps");
        planned.step.predict(host, &mut now);
    }
    assert!(world::removal(&inv, &now, &["m1"], false).0.is_empty());
}

#[test]
fn no_plan_ever_shows_a_secret() {
    for (name, inv, facts) in worlds() {
        let plan = world::plan(&inv, &facts).0;
        let shown = format!("{plan}\n{}\n{plan:?}", serde_json::to_string(&plan).expect("a plan is serialisable"));
        assert!(!shown.contains(world::CANARY), "{name}");
        assert!(!shown.contains("PRIVATE KEY"), "{name}");
    }
}

#[test]
fn masters_of_a_standing_cluster_change_one_at_a_time() {
    for (name, inv, facts) in worlds() {
        let standing = clusterctl::plan::cluster::established(&facts);
        for phase in world::page(&inv, &facts) {
            let pods = phase.tracks.iter().filter(|t| t.steps.iter().any(|s| matches!(s, Step::StaticPod(_)))).count();
            if standing && pods > 1 {
                assert_eq!(phase.width, Width::One, "{name}: {}", phase.name);
            }
        }
    }
}

#[test]
fn a_prelude_is_kept_exactly_with_its_track() {
    let inv = world::inventory("v1.34.2");
    let facts = world::bare(&inv);
    let step = |name: &str| Step::Package(clusterctl::step::Package { names: vec![name.into()] });
    let track = |prelude: &str, own: &str| Track { host: "m1".into(), prelude: vec![step(prelude)], steps: vec![step(own)] };
    let page: Page = vec![Phase { name: "p", width: Width::All, tracks: vec![track("first", "second"), track("third", "second")] }];
    let plan = Plan::of(&page, &facts).0;
    let kept: Vec<String> = plan.steps().map(|(_, _, s)| s.title.clone()).collect();
    assert_eq!(kept, ["install first", "install second"]);
}
