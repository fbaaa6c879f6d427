//! Laws that every plan must obey, checked on the plans for a table of worlds. A world is an inventory with facts.

use clusterctl::facts::{Facts, ObjectRef};
use clusterctl::inventory::Inventory;
use clusterctl::plan::goal::{Goal, Pause, Upgrade};
use clusterctl::plan::situation::ClusterState;
use clusterctl::plan::{DesiredSteps, HostSteps, Part, Phase, Plan, Width};
use clusterctl::step::{Step, wait};

use super::world;

/// Inventories, each with facts to plan from: of fresh, finished, half-done, drifted and other clusters.
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
    for (name, inv) in world::shapes("v1.36.2") {
        out.push((format!("fresh {name}"), inv.clone(), world::bare(&inv)));
        out.push((format!("finished {name}"), inv.clone(), world::finished(&inv)));
    }
    for version in ["v1.20.2", "v1.36.2"] {
        let mut inv = super::adopted::inventory(version);
        let facts = super::adopted::adopted(&inv);
        out.push((format!("adopted {version}"), inv.clone(), facts.clone()));
        inv.kubelet.config.insert("maxPods".into(), 50.into());
        out.push((format!("adopted and changed {version}"), inv, facts));
    }
    out.extend(super::files::worlds());
    out.extend(super::encryption::worlds());
    out.extend(super::identities::worlds());
    out.extend(super::renewals::worlds());
    out.extend(super::registries::worlds());
    for (name, inv) in super::balancers::kinds() {
        out.push((format!("fresh {name}"), inv.clone(), world::bare(&inv)));
        out.push((format!("finished {name}"), inv.clone(), world::finished(&inv)));
    }
    out
}

fn titles(plan: &Plan) -> Vec<String> {
    plan.steps().map(|(phase, host, s)| format!("{phase} / {host} / {}", s.title)).collect()
}

/// The titles of the steps, without the steps that only check something. These are left out because a plan that is made again halfway may check other
/// things: the quorum is checked again before the remaining steps of its host, and a rollout that the next stage changes again is not waited for.
fn without_questions(plan: &Plan) -> Vec<String> {
    titles(plan).into_iter().filter(|t| !is_question(t)).collect()
}

fn is_question(title: &str) -> bool {
    title.contains("quorum") || title.contains("rolled out") || title.contains("first new pod")
}

/// The first place at which two lists of titles differ; `None` if they are equal.
fn difference<'a>(a: &'a [String], b: &'a [String]) -> Option<(Option<&'a String>, Option<&'a String>)> {
    (0..a.len().max(b.len())).map(|at| (a.get(at), b.get(at))).find(|(a, b)| a != b)
}

/// Predicts the steps of the plan one by one. Before each step, `again` makes the plan for the predicted facts, which must be exactly the rest of the
/// plan. After each step, the step must hold.
fn goes_on_after_any_prefix(what: &str, plan: &Plan, facts: &Facts, again: &dyn Fn(&Facts) -> Plan) {
    let (all, mut now) = (without_questions(plan), facts.clone());
    for (done, (_, host, planned)) in plan.steps().filter(|(_, _, s)| !is_question(&s.title)).enumerate() {
        let rest = without_questions(&again(&now));
        assert_eq!(difference(&rest, &all[done..]), None, "{what}: after {done} steps");
        planned.step.predict(host, &mut now);
        // A step that removes the folder of the run's own lock never holds, whatever the facts state, because the lock is in the folder until the
        // step runs. Therefore it is not checked.
        let locked = matches!(&planned.step, Step::Absent(a) if a.locked);
        assert!(locked || planned.step.pending(host, &now).is_none(), "{what}: {host}: {}", planned.title);
    }
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
            // A member that has just joined is guarded from then on, so the rest can also have the check of the quorum. A prediction remembers the check
            // of a host for good, and an observation does not, so such checks are left out where a plan changes a host twice.
            let checked = |t: &String| t.contains("quorum") && now.ledger.host(t.split(" / ").nth(1).unwrap_or_default()).quorum_checked;
            let planned_before = |t: &String| !t.contains("quorum") || all[done..].contains(t);
            let rest: Vec<String> = rest.into_iter().filter(planned_before).filter(|t| !checked(t)).collect();
            let left: Vec<String> = all[done..].iter().filter(|t| !checked(t)).cloned().collect();
            assert_eq!(marks_last(&rest), marks_last(&left), "{name}: after {done} steps");
            planned.step.predict(host, &mut now);
        }
    }
}

/// The titles with the marks of a finished cluster at their end: the first mark ends the founding, and the phases of an existing cluster write the
/// other ones in another order.
fn marks_last(titles: &[String]) -> (Vec<&str>, Vec<&str>) {
    let mark = |t: &&str| t.ends_with("write /var/lib/clusterctl/established");
    let (mut marks, rest): (Vec<&str>, Vec<&str>) = titles.iter().map(String::as_str).partition(mark);
    marks.iter_mut().for_each(|t| *t = t.split_once(" / ").map_or(*t, |(_, host_and_title)| host_and_title));
    marks.sort_unstable();
    (rest, marks)
}

/// Every step changes the number of voting etcd members by at most one, and after every step more than half of the voting members have data.
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
        let rest: Vec<String> = titles(&world::removal(&inv, &now, &["m1"], false).0);
        assert_eq!(rest, all[done..], "after {done} steps");
        planned.step.predict(host, &mut now);
    }
    assert!(world::removal(&inv, &now, &["m1"], false).0.is_empty());
}

#[test]
fn a_reset_takes_its_own_lock_away_where_nothing_else_of_ours_was() {
    let inv = world::inventory("v1.34.2");
    let mut facts = world::bare(&inv);
    assert!(world::reset(&inv, &facts).0.is_empty(), "bare hosts are left alone");
    let leftover = world::finished(&inv).host("w1").files["/var/lib/clusterctl"].clone();
    facts.host_mut("w1").files.insert("/etc/kubernetes".into(), leftover);
    let (plan, after) = world::reset(&inv, &facts);
    assert_eq!(
        plan.to_string().lines().filter(|l| l.contains("remove")).collect::<Vec<_>>(),
        ["  w1: remove /etc/kubernetes", "  w1: remove /var/lib/clusterctl"]
    );
    assert!(world::reset(&inv, &after).0.is_empty());
}

/// Clusters for which an upgrade is planned: by a patch, by a minor version, by several minor versions, from 1.20, and with etcd on hosts of its own.
fn upgrades() -> Vec<(Inventory, Facts)> {
    let pairs = [("v1.34.2", "v1.34.5"), ("v1.36.2", "v1.37.1"), ("v1.33.2", "v1.37.1"), ("v1.20.2", "v1.21.14")];
    let stacked = pairs.into_iter().map(|(from, to)| (world::inventory(to), world::finished(&world::inventory(from))));
    let external = pairs[..2].iter().map(|(from, to)| (world::external(to, 3), world::finished(&world::external(from, 3))));
    stacked.chain(external).collect()
}

#[test]
fn an_upgrade_goes_on_after_any_prefix_and_ends() {
    for (inv, facts) in upgrades() {
        let (plan, after) = world::upgraded(&inv, &facts);
        let again = world::upgraded(&inv, &after).0;
        assert!(again.is_empty(), "to {}:\n{again}", inv.cluster.version);
        goes_on_after_any_prefix(&format!("to {}", inv.cluster.version), &plan, &facts, &|now| world::upgraded(&inv, now).0);
    }
}

/// The plan of an upgrade with a pause is a prefix of the plan of the whole upgrade, and the same upgrade without the pause then plans the rest.
#[test]
fn a_paused_upgrade_is_a_prefix_and_goes_on() {
    let (inv, facts) = (world::inventory("v1.37.1"), world::finished(&world::inventory("v1.35.2")));
    let all = world::upgraded(&inv, &facts).0.steps().count();
    let pauses = ["m2", "w1"].map(|h| Pause::Host(h.into())).into_iter().chain([Pause::Artifacts, Pause::ControlPlane]);
    for pause in pauses {
        let goal = Goal::Upgrade(Box::new(Upgrade { pause_after: Some(pause.clone()), ..world::upgrade(&inv) }));
        let (paused, mut now) = (world::run(&goal, &inv, &facts).0, facts.clone());
        let before = paused.steps().count();
        assert!(before > 0 && before < all, "{pause:?}: {before} of {all} steps");
        paused.steps().for_each(|(_, host, planned)| planned.step.predict(host, &mut now));
        assert!(world::run(&goal, &inv, &now).0.is_empty(), "{pause:?}: it is reached");
        let rest = world::upgraded(&inv, &now).0;
        let both = [without_questions(&paused), without_questions(&rest)].concat();
        assert_eq!(difference(&both, &without_questions(&world::upgraded(&inv, &facts).0)), None, "{pause:?}");
    }
}

/// The replacement of a host by a new machine, once for a host that answers and once for a host that is gone for good.
#[test]
fn a_replacement_goes_on_after_any_prefix_and_ends() {
    let names = [("m1", 11), ("m2", 12), ("m3", 13), ("m4", 14)].map(|(name, last)| (name, last, "control-plane"));
    let others = [("w1", 21, "worker"), ("lb1", 31, "load-balancer")];
    let with = |masters: &[(&'static str, u8, &'static str)]| world::hosts("v1.36.2", &[masters, &others].concat());
    let inv = with(&names);
    for dead in [false, true] {
        let mut facts = world::growing(&with(&names[..3]), &inv);
        if dead {
            facts.hosts.remove("m2");
        }
        let goal = Goal::Replace(world::leaving(&["m2"], dead), "m4".into());
        let plan = world::run(&goal, &inv, &facts).0;
        let all = titles(&plan);
        let at =
            |words: &str| all.iter().position(|t| t.contains(words)).unwrap_or_else(|| panic!("dead {dead}: no `{words}` in {all:#?}"));
        let (joins, leaves) = (at("m4 / run static pod"), at("delete node m2"));
        assert_eq!(joins < leaves, !dead, "a dead host is removed first, a live one last");
        let again = |facts: &Facts| world::run(&goal, &inv, facts);
        if !dead {
            goes_on_after_any_prefix("a host that answers", &plan, &facts, &|now| again(now).0);
        }
        // After a dead host is removed, the remaining steps of the removal are planned together with the join of the new host, so the plan may differ
        // from the rest of the first plan. It must not have more steps, because no step may be done twice.
        let (all, mut now) = (without_questions(&plan).len(), facts.clone());
        for (done, (_, host, planned)) in plan.steps().filter(|(_, _, s)| !is_question(&s.title)).enumerate() {
            let (rest, mut after) = (again(&now).0, now.clone());
            assert!(without_questions(&rest).len() <= all - done, "dead {dead}: after {done} steps: {rest}");
            rest.steps().for_each(|(_, host, planned)| planned.step.predict(host, &mut after));
            assert!(again(&after).0.is_empty(), "dead {dead}: after {done} steps");
            planned.step.predict(host, &mut now);
        }
    }
}

#[test]
fn only_hosts_that_are_named_join() {
    let small = world::hosts("v1.34.2", &[("m1", 11, "control-plane"), ("w1", 21, "worker"), ("lb1", 31, "load-balancer")]);
    let inv = world::inventory("v1.34.2");
    let facts = world::growing(&small, &inv);
    let (plan, after) = world::run(&Goal::Join(vec!["w2".into()]), &inv, &facts);
    assert!(plan.hosts().contains("w2") && !plan.hosts().iter().any(|h| h == "m2" || h == "m3"), "{plan}");
    assert!(world::run(&Goal::Join(vec!["w2".into()]), &inv, &after).0.is_empty());
    assert_eq!(titles(&world::run(&Goal::Join(vec![]), &inv, &facts).0), titles(&world::plan(&inv, &facts).0), "all of them join");
}

/// However many stages an upgrade has, it pulls the images of all stages first, so that no image can be missing halfway.
#[test]
fn an_upgrade_brings_every_image_before_anything_changes() {
    for (inv, facts) in upgrades() {
        let plan = world::upgraded(&inv, &facts).0;
        let late = plan.steps().skip_while(|(phase, ..)| phase.starts_with("prepare")).find(|(.., s)| matches!(s.step, Step::Image(_)));
        assert!(late.is_none(), "to {}: {}", inv.cluster.version, late.map_or("", |(.., s)| &s.title));
    }
}

/// At every moment of every upgrade, the API servers are at most one minor version apart, no kubelet is newer than any API server or too old for one,
/// and a kubelet gets another version only while its node is drained. At the end, no node is cordoned.
#[test]
fn an_upgrade_keeps_to_the_skew_policy_step_by_step() {
    use clusterctl::plan::upgrade::Running;
    for (inv, facts) in upgrades() {
        let plan = world::upgraded(&inv, &facts).0;
        let mut now = facts.clone();
        for (_, host, planned) in plan.steps() {
            let before = Running::of(&inv, &now);
            let drained = now.ledger.drained.contains(host);
            planned.step.predict(host, &mut now);
            let running = Running::of(&inv, &now);
            let (oldest, newest) =
                (running.oldest().expect("one runs").minor(), running.api_servers.values().max().expect("one runs").minor());
            assert!(newest <= oldest + 1, "{}", planned.title);
            let furthest =
                clusterctl::versions::of(running.api_servers.values().max().expect("one runs")).expect("supported").oldest_kubelet();
            for (node, version) in &running.kubelets {
                assert!(version.minor() <= oldest && version.minor() >= furthest, "{node} at {version} after {host}: {}", planned.title);
                assert!(before.kubelets.get(node) == Some(version) || drained, "{node} was not drained before {}", planned.title);
            }
        }
        let cordoned = now.cluster.iter().flat_map(|c| &c.nodes).filter(|(_, n)| n["spec"]["unschedulable"] == true).count();
        assert_eq!(cordoned, 0);
    }
}

/// While kube-proxy is being replaced on a node, requests from that node still go to the addresses that pods had before. Therefore no node is
/// drained, which would move pods, until kube-proxy has been replaced on all nodes.
#[test]
fn no_node_is_drained_while_kube_proxies_are_replaced() {
    let object = ObjectRef { group: "apps".into(), kind: "DaemonSet".into(), namespace: "kube-system".into(), name: "kube-proxy".into() };
    let all_new = Step::from(wait::Rollout { address: [192, 0, 2, 11].into(), object, first: false });
    for (inv, facts) in upgrades() {
        let (plan, mut now, mut drains) = (world::upgraded(&inv, &facts).0, facts.clone(), 0);
        for (_, host, planned) in plan.steps() {
            if matches!(planned.step, Step::Drain(_)) {
                drains += 1;
                assert!(all_new.pending(host, &now).is_none(), "to {}: {host}: {}", inv.cluster.version, planned.title);
            }
            planned.step.predict(host, &mut now);
        }
        assert!(drains > 0, "to {}", inv.cluster.version);
        // A plan that is limited to `w1` still waits for the rollout, although that step runs on a control-plane host, which the limit leaves out.
        let some = titles(&plan.clone().limited(&["w1".into()]));
        let at = |words: &str| some.iter().position(|t| t.contains(words));
        assert!(at("kube-proxy is rolled out").is_some_and(|seen| at("drain node w1").is_some_and(|drained| seen < drained)), "{some:?}");
        assert_eq!(plan.limited(&["lb1".into()]).steps().filter(|(.., s)| s.title.contains("rolled out")).count(), 0);
    }
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
    let plans = worlds()
        .into_iter()
        .filter(|(.., facts)| ClusterState::of(facts).exists())
        .map(|(name, inv, facts)| (name, world::plan(&inv, &facts).0));
    let upgraded = upgrades().into_iter().map(|(inv, facts)| (format!("to {}", inv.cluster.version), world::upgraded(&inv, &facts).0));
    let mut seen = 0;
    for (name, plan) in plans.chain(upgraded) {
        for phase in &plan.phases {
            let pods = phase.hosts.iter().filter(|t| t.steps.iter().any(|s| !s.step.static_pods().is_empty())).count();
            if pods > 1 {
                seen += 1;
                assert_eq!(phase.width, Width::One, "{name}: {}", phase.name);
            }
        }
    }
    assert!(seen > 5, "only {seen} phases change several control planes");
}

#[test]
fn a_prelude_is_kept_exactly_with_its_track() {
    let inv = world::inventory("v1.34.2");
    let facts = world::bare(&inv);
    let step = |name: &str| Step::Package(clusterctl::step::Package { names: vec![name.into()] });
    let host_steps = |guards: &str, own: &str| HostSteps { host: "m1".into(), guards: vec![step(guards)], steps: vec![step(own)] };
    let desired: DesiredSteps = vec![Phase {
        part: Part::Other,
        name: "p",
        width: Width::All,
        hosts: vec![host_steps("first", "second"), host_steps("third", "second")],
    }];
    let plan = Plan::of(&desired, &facts).0;
    let kept: Vec<String> = plan.steps().map(|(_, _, s)| s.title.clone()).collect();
    assert_eq!(kept, ["install first", "install second"]);
}
