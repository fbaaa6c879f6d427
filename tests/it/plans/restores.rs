//! Plans of a restore of etcd: their order, that they go on after any prefix, and what is refused before and meanwhile.

use std::collections::BTreeMap;

use clusterctl::facts::Facts;
use clusterctl::facts::etcd::MemberStatus;
use clusterctl::facts::rehearsal::{Rehearsed, Room};
use clusterctl::facts::restore::{Mark, RECOVER, Stage};
use clusterctl::facts::{FileFact, FileKind};
use clusterctl::inventory::Inventory;
use clusterctl::plan::refusals::restore::{Inputs, of_restore};
use clusterctl::plan::{Goal, Plan, Width, restore};
use clusterctl::step::Step;
use clusterctl::step::restore::{Part, Target};
use clusterctl::{layout, step};

use super::world;

fn target(token: &str) -> Target {
    Target { file: "/backup/ha.db".into(), snapshot: "0123456789abcdef".into(), token: token.into() }
}

fn plan(inv: &Inventory, facts: &Facts) -> (Plan, Facts) {
    Plan::of(&restore::desired_steps(inv, facts, &target("t1")), facts)
}

/// Clusters with members beside the API servers and with members on hosts of their own.
fn clusters() -> Vec<(Inventory, Facts)> {
    [world::inventory("v1.36.2"), world::external("v1.36.2", 3)].map(|inv| (inv.clone(), world::finished(&inv))).into()
}

#[test]
fn a_restore_as_text() {
    for (name, (inv, facts)) in ["stacked", "external"].into_iter().zip(clusters()) {
        insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("restore-{name}"), plan(&inv, &facts).0.to_string());
        });
    }
}

#[test]
fn a_restore_goes_on_after_any_prefix_and_ends() {
    for (inv, facts) in clusters() {
        let first = plan(&inv, &facts).0;
        let all = world::steps_of(&first);
        let mut now = facts.clone();
        for (done, (_, host, planned)) in first.steps().enumerate() {
            assert_eq!(world::steps_of(&plan(&inv, &now).0), all[done..], "after {done} steps");
            planned.step.predict(host, &mut now);
            assert!(planned.step.pending(host, &now).is_none(), "{host}: {}", planned.title);
            // The next run finds the token by which this restore goes on, and every other command is refused until the restore has finished.
            let token = restore::token_of(&inv, &now, &target("t1").snapshot);
            let workers = !restore::unfinished(&now).is_empty() || done + 1 >= all.len() - inv.nodes().count();
            assert_eq!(token.as_deref(), Some("t1").filter(|_| workers), "after {planned:?}");
            let refused = world::whole(&Goal::Keep, &inv, &now).refusals.iter().any(|r| r.name == "restore-unfinished");
            assert_eq!(refused, !restore::unfinished(&now).is_empty(), "after {done} steps");
        }
        assert!(plan(&inv, &now).0.is_empty());
        assert!(restore::unfinished(&now).is_empty());
    }
}

/// While data is exchanged, no API server and no member runs anywhere, and no member starts before every member has the restored data.
#[test]
fn no_data_is_exchanged_while_anything_runs() {
    for (inv, facts) in clusters() {
        let plan = plan(&inv, &facts).0;
        assert!(plan.phases.iter().all(|p| p.width == Width::All), "the members change side by side");
        let of = |wanted: &dyn Fn(&Part) -> bool| -> Vec<usize> {
            let phases = plan.phases.iter().enumerate();
            let has = |s: &Step| matches!(s, Step::Restore(r) if wanted(&r.part));
            phases.filter(|(_, p)| p.hosts.iter().flat_map(|h| &h.steps).any(|s| has(&s.step))).map(|(at, _)| at).collect()
        };
        let phase = |stage: Stage| of(&|part| part.stage() == stage);
        let order = [
            Stage::Prepared,
            Stage::ApiStopped,
            Stage::EtcdStopped,
            Stage::Exchanged,
            Stage::EtcdStarted,
            Stage::EtcdServes,
            Stage::ApiStarted,
            Stage::Finished,
            Stage::Kubelet,
        ];
        assert_eq!(order.map(phase), std::array::from_fn(|at| vec![at]), "each stage is a phase of its own, in this order");
        for (at, hosts) in [(1, inv.control_planes().count()), (2, inv.etcd_hosts().len()), (3, inv.etcd_hosts().len())] {
            assert_eq!(plan.phases[at].hosts.len(), hosts, "{}", plan.phases[at].name);
        }
    }
}

#[test]
fn a_snapshot_that_all_members_have_restored_is_not_restored_again() {
    let (inv, facts) = clusters().remove(0);
    let after = plan(&inv, &facts).1;
    let snapshot = target("t1").snapshot;
    assert_eq!(restore::token_of(&inv, &after, &snapshot).as_deref(), Some("t1"));
    assert_eq!(restore::token_of(&inv, &after, "another snapshot"), None);
    // A member that came later has no mark, so the cluster is not the one that was restored.
    let mut grown = after.clone();
    grown.host_mut("m3").files.remove(layout::RESTORE_MARK);
    assert_eq!(restore::token_of(&inv, &grown, &snapshot), None);
    // Another restore of the same snapshot is planned from its beginning.
    let again = Plan::of(&restore::desired_steps(&inv, &after, &target("t2")), &after).0;
    assert_eq!(again.steps().count(), plan(&inv, &facts).0.steps().count());
}

fn with_mark(facts: &mut Facts, host: &str, snapshot: &str, stage: Stage) {
    let mark = Mark { snapshot: snapshot.into(), token: "t1".into(), stage, from: "m1".into() };
    let file = FileFact { kind: FileKind::File(mark.text().into()), mode: 0o600, uid: 0, gid: 0 };
    facts.host_mut(host).files.insert(layout::RESTORE_MARK.into(), file);
}

#[test]
fn the_command_that_goes_on_is_named() {
    let (inv, mut facts) = clusters().remove(0);
    let fix = |facts: &Facts| world::whole(&Goal::Keep, &inv, facts).refusals.into_iter().find(|r| r.name == "restore-unfinished");
    with_mark(&mut facts, "m1", RECOVER, Stage::Begun);
    assert_eq!(fix(&facts).expect("it is refused").fix, "go on with it: `clusterctl etcd recover --from m1`");
    with_mark(&mut facts, "m2", "ab", Stage::Exchanged);
    let refusal = fix(&facts).expect("it is refused");
    assert_eq!(refusal.fix, "go on with it: `clusterctl etcd restore m1`");
    assert_eq!(refusal.message, "a restore of etcd has not finished on m1 (begun), m2 (exchanged)");
}

fn rehearsed(ca: Option<&str>) -> Rehearsed {
    Rehearsed { tool: "etcdutl".into(), status: MemberStatus::default(), keys: vec![], ca: ca.map(String::from), mark: String::new() }
}

/// The names of the refusals of a restore. `room` is the free space on each host in bytes.
fn refused(inv: &Inventory, facts: &Facts, rehearsed: Option<&Rehearsed>, room: u64, allow_foreign: bool) -> Vec<(String, &'static str)> {
    let room: BTreeMap<String, Room> = inv.etcd_hosts().into_iter().map(|h| (h.name.clone(), Room { state: room, data: room })).collect();
    let inputs = Inputs { size: 1 << 30, room: &room, rehearsed, allow_foreign };
    of_restore(inv, facts, &inputs).into_iter().map(|r| (r.host, r.name)).collect()
}

#[test]
fn a_restore_is_refused_before_anything_stops() {
    let ca = world::authorities()["ca.crt"].clone();
    let own = rehearsed(std::str::from_utf8(ca.expose()).ok());
    for (inv, facts) in clusters() {
        let free = 4 << 30;
        let member = inv.etcd_hosts()[0].name.clone();
        let on = |name: &'static str| vec![(member.clone(), name)];
        assert_eq!(refused(&inv, &facts, Some(&own), free, false), []);
        assert_eq!(refused(&inv, &facts, None, free, false), []);
        assert_eq!(refused(&inv, &facts, Some(&own), 1 << 30, false).len(), 6, "both file systems of each member");
        let foreign = rehearsed(Some("-----BEGIN CERTIFICATE-----\nother\n-----END CERTIFICATE-----\n"));
        assert_eq!(refused(&inv, &facts, Some(&foreign), free, false), [(String::new(), "foreign-snapshot")]);
        assert_eq!(refused(&inv, &facts, Some(&rehearsed(None)), free, false), [(String::new(), "unknown-snapshot")]);
        assert_eq!(refused(&inv, &facts, Some(&foreign), free, true), []);
        let mut away = facts.clone();
        away.hosts.remove(&member);
        assert_eq!(refused(&inv, &away, Some(&own), free, false), on("unreachable"));
        let mut mounted = facts.clone();
        mounted.host_mut(&member).mounts = vec!["/var/lib/etcd/member".into()];
        assert_eq!(refused(&inv, &mounted, Some(&own), free, false), on("mount"));
        let mut bare = facts.clone();
        bare.host_mut(&member).files.retain(|path, _| path != layout::ETCD_UNIT && !path.ends_with("/etcd.yaml"));
        assert_eq!(refused(&inv, &bare, Some(&own), free, false), on("no-member"));
    }
    // A restore that goes on needs no more space on a host that has its data already.
    let (inv, mut facts) = clusters().remove(0);
    with_mark(&mut facts, "m1", "ab", Stage::Exchanged);
    assert_eq!(refused(&inv, &facts, None, 0, false).iter().filter(|(host, _)| host == "m1").count(), 0);
    assert_eq!(step::restore::kept("t1"), "/var/lib/etcd/member.before-t1");
}
