//! Tests of the plans and the refusals of `etcd defrag`, `etcd move-leader`, `etcd alarm disarm` and `etcd compact`.

use clusterctl::facts::Facts;
use clusterctl::facts::etcd::{Alarm, Health, MemberAnswer, MemberStatus};
use clusterctl::inventory::Inventory;
use clusterctl::plan::{Plan, Width, etcd, refusals};

use super::world;

const MIB: u64 = 1_048_576;

/// Facts of a finished cluster whose etcd members have answered. Each has a database of 100 MiB, of which half is in use, and the member whose name
/// ends with 1 leads.
fn asked(inv: &Inventory) -> Facts {
    let mut facts = world::finished(inv);
    let leader = facts.members().and_then(|all| all.iter().find(|m| m.leader)).map(|m| m.id.clone());
    for h in inv.etcd_hosts() {
        let status = MemberStatus {
            member: format!("id-{}", h.name),
            leader: leader.clone(),
            database: 100 * MIB,
            in_use: 50 * MIB,
            revision: 50_000,
            index: 90_000,
            ..MemberStatus::default()
        };
        let health = Health { healthy: true, took_ms: 2.0, error: String::new() };
        let answer = MemberAnswer {
            status: Some(status),
            health: Some(health),
            alarms: Some(vec![]),
            sync_ms: Some(1.0),
            quota: Some(2048 * MIB),
            compacted: Some(30_000),
            ..MemberAnswer::default()
        };
        facts.host_mut(&h.name).etcd = Some(answer);
    }
    facts
}

fn answer<'f>(facts: &'f mut Facts, host: &str) -> &'f mut MemberAnswer {
    facts.host_mut(host).etcd.as_mut().expect("the member has answered")
}

fn status<'f>(facts: &'f mut Facts, host: &str) -> &'f mut MemberStatus {
    answer(facts, host).status.as_mut().expect("the member has answered")
}

fn defrag(inv: &Inventory, facts: &Facts, needless: bool) -> Plan {
    let hosts: Vec<String> = inv.hosts.iter().map(|h| h.name.clone()).collect();
    Plan::of(&etcd::defrag(inv, facts, &hosts, needless), facts).0
}

fn hosts(plan: &Plan) -> Vec<&str> {
    plan.steps().map(|(_, host, _)| host.as_str()).collect()
}

#[test]
fn members_are_defragmented_one_after_another_and_the_leader_last() {
    for (inv, wanted) in [(world::inventory("v1.34.2"), ["m2", "m3", "m1"]), (world::external("v1.34.2", 3), ["e2", "e3", "e1"])] {
        let facts = asked(&inv);
        let plan = defrag(&inv, &facts, false);
        assert_eq!(hosts(&plan), wanted);
        assert!(plan.phases.iter().all(|p| p.width == Width::One));
        let mut now = facts;
        for (done, (_, host, planned)) in plan.steps().enumerate() {
            assert_eq!(hosts(&defrag(&inv, &now, false)), wanted[done..], "after any prefix, the rest is planned");
            planned.step.predict(host, &mut now);
        }
        assert!(defrag(&inv, &now, false).is_empty());
    }
}

#[test]
fn a_database_that_would_hardly_shrink_is_left_unless_all_are_asked_for() {
    let inv = world::inventory("v1.34.2");
    let mut facts = asked(&inv);
    status(&mut facts, "m2").in_use = 90 * MIB;
    status(&mut facts, "m3").database = 20 * MIB;
    assert_eq!(hosts(&defrag(&inv, &facts, false)), ["m1"]);
    assert_eq!(hosts(&defrag(&inv, &facts, true)), ["m2", "m3", "m1"]);
    assert_eq!(hosts(&Plan::of(&etcd::defrag(&inv, &facts, &["m2".into()], true), &facts).0), ["m2"], "only the hosts that were chosen");
}

#[test]
fn nothing_is_defragmented_while_a_member_is_not_healthy() {
    let inv = world::inventory("v1.34.2");
    let mut facts = asked(&inv);
    assert_eq!(refusals::etcd::of_defrag(&inv, &facts), []);
    answer(&mut facts, "m2").health = Some(Health { healthy: false, took_ms: 3000.0, error: "context deadline exceeded".into() });
    facts.hosts.remove("m3");
    let refused = refusals::etcd::of_defrag(&inv, &facts);
    let said: Vec<(&str, &str)> = refused.iter().map(|r| (r.host.as_str(), r.message.as_str())).collect();
    assert_eq!(
        said,
        [("m2", "its etcd member is not healthy: context deadline exceeded"), ("m3", "its etcd member is not healthy: it does not answer")]
    );
    // A host of the inventory that has not joined the cluster yet has no member, so the others do not wait for it.
    let small = world::hosts("v1.34.2", &[("m1", 11, "control-plane"), ("w1", 21, "worker"), ("lb1", 31, "load-balancer")]);
    let grown = Facts { hosts: world::growing(&small, &inv).hosts.into_iter().chain(asked(&small).hosts).collect(), ..Facts::default() };
    assert_eq!(refusals::etcd::of_defrag(&inv, &grown), []);
    assert_eq!(hosts(&defrag(&inv, &grown, false)), ["m1"]);
}

#[test]
fn without_a_leader_nothing_is_changed() {
    let inv = world::inventory("v1.34.2");
    let mut facts = asked(&inv);
    assert_eq!(refusals::etcd::without_leader(&facts), None);
    for host in ["m1", "m2", "m3"] {
        status(&mut facts, host).leader = None;
    }
    assert_eq!(refusals::etcd::without_leader(&facts).map(|r| r.name), Some("etcd-quorum"));
}

#[test]
fn the_next_leader_is_healthy_up_to_date_and_fast() {
    let inv = world::inventory("v1.34.2");
    let mut facts = asked(&inv);
    let next = |facts: &Facts| etcd::next_leader(&inv, facts).map(|h| h.name.clone());
    answer(&mut facts, "m1").sync_ms = Some(0.1);
    answer(&mut facts, "m3").sync_ms = Some(0.5);
    assert_eq!(next(&facts).as_deref(), Some("m3"), "m1 leads already, and m3 is faster than m2");
    status(&mut facts, "m3").index -= 6000;
    assert_eq!(next(&facts).as_deref(), Some("m2"), "m3 is late");
    answer(&mut facts, "m2").health = None;
    assert_eq!(next(&facts).as_deref(), Some("m3"), "m2 is not healthy");
    let to = inv.host("m3").expect("it is in the inventory");
    let (plan, after) = Plan::of(&etcd::move_leader(to), &facts);
    assert_eq!(world::steps_of(&plan), ["m3: make its etcd member the leader"]);
    assert!(Plan::of(&etcd::move_leader(to), &after).0.is_empty());
    assert_eq!(refusals::etcd::of_leader(inv.host("m2").expect("it is in the inventory"), &facts).map(|r| r.name), Some("etcd-unhealthy"));
    assert_eq!(refusals::etcd::of_leader(inv.host("w1").expect("it is in the inventory"), &facts).map(|r| r.name), Some("etcd-vote"));
}

#[test]
fn alarms_are_disarmed_only_after_their_cause_is_gone() {
    let inv = world::inventory("v1.34.2");
    let mut facts = asked(&inv);
    let through = |facts: &Facts| etcd::disarm(etcd::through(&inv, facts).expect("a member is healthy"), false);
    assert!(Plan::of(&through(&facts), &facts).0.is_empty(), "there is no alarm");
    let alarm = |kind: &str| Alarm { member: "id-m2".into(), alarm: kind.into() };
    for host in ["m1", "m2", "m3"] {
        answer(&mut facts, host).alarms = Some(vec![alarm("NOSPACE")]);
    }
    assert_eq!(refusals::etcd::of_disarm(&facts, false), []);
    let (plan, after) = Plan::of(&through(&facts), &facts);
    assert_eq!(plan.to_string(), "disarm alarms\n  m1: disarm the alarms of etcd\n      NOSPACE of m2\n1 step on 1 host\n");
    assert!(Plan::of(&through(&after), &after).0.is_empty());

    status(&mut facts, "m2").database = 2048 * MIB;
    let refused = refusals::etcd::of_disarm(&facts, false);
    assert_eq!((refused[0].host.as_str(), refused[0].name), ("m2", "etcd-space"));
    assert!(refused[0].fix.contains("etcd compact") && refused[0].fix.contains("etcd defrag"), "{}", refused[0].fix);
    status(&mut facts, "m2").database = 100 * MIB;
    answer(&mut facts, "m2").quota = None;
    assert_eq!(refusals::etcd::of_disarm(&facts, false)[0].name, "etcd-space", "the quota is not known");
    facts.hosts.remove("m2");
    assert_eq!(refusals::etcd::of_disarm(&facts, false)[0].name, "etcd-space", "the size is not known");

    for host in ["m1", "m3"] {
        answer(&mut facts, host).alarms = Some(vec![alarm("CORRUPT")]);
    }
    assert_eq!(refusals::etcd::of_disarm(&facts, false)[0].name, "etcd-corrupt");
    assert_eq!(refusals::etcd::of_disarm(&facts, true), []);
}

#[test]
fn a_history_that_is_compacted_already_is_left() {
    let inv = world::inventory("v1.34.2");
    let facts = asked(&inv);
    let plan = |revision, facts: &Facts| Plan::of(&etcd::compact(etcd::through(&inv, facts).expect("one is healthy"), revision), facts);
    assert!(plan(30_000, &facts).0.is_empty());
    let (some, after) = plan(40_000, &facts);
    assert_eq!(
        some.to_string(),
        "compact etcd\n  m1: compact the history of etcd up to revision 40000\n      newest revision 50000, compacted up to 30000\n1 step on 1 host\n"
    );
    assert!(plan(40_000, &after).0.is_empty());
}
