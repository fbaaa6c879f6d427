//! The findings for a table of pods, budgets and nodes.

use super::*;
use crate::facts::evictions::PODS;
use crate::facts::project::projected;
use serde_json::json;

/// A running, ready pod of a ReplicaSet with the label `app`.
fn pod(name: &str, app: &str, node: &str) -> Value {
    json!({
        "metadata": {"namespace": "shop", "name": name, "labels": {"app": app}, "ownerReferences": [{"kind": "ReplicaSet", "controller": true}]},
        "spec": {"nodeName": node},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

/// Returns `object` with some changes, each of which is a path of keys separated by dots, and the new value.
fn with(mut object: Value, changes: &[(&str, Value)]) -> Value {
    for (path, value) in changes {
        let at = path.split('.').fold(&mut object, |at, key| &mut at[key]);
        *at = value.clone();
    }
    object
}

fn unready(object: Value) -> Value {
    with(object, &[("status.conditions", json!([{"type": "Ready", "status": "False"}]))])
}

/// A PodDisruptionBudget for the pods with the label `app`, with a rule in its spec, and with these numbers of pods in its status.
fn budget(app: &str, rule: (&str, Value), [healthy, needed, expected]: [i64; 3]) -> Value {
    json!({
        "metadata": {"namespace": "shop", "name": app, "generation": 1},
        "spec": {"selector": {"matchLabels": {"app": app}}, rule.0: rule.1},
        "status": {"observedGeneration": 1, "currentHealthy": healthy, "desiredHealthy": needed, "expectedPods": expected,
            "disruptionsAllowed": (healthy - needed).max(0)},
    })
}

fn nodes() -> BTreeMap<String, Value> {
    let node = |name: &str, zone: &str| (name.to_string(), json!({"metadata": {"labels": {"zone": zone, "kubernetes.io/hostname": name}}}));
    let mut all: BTreeMap<String, Value> = [node("w1", "a"), node("w2", "b"), node("w3", "b")].into();
    let taint = json!([{"key": "node-role.kubernetes.io/master", "effect": "NoSchedule"}]);
    all.insert("m1".into(), json!({"metadata": {"labels": {"zone": "a"}}, "spec": {"taints": taint}}));
    all
}

struct World {
    pods: Vec<Value>,
    budgets: Vec<Value>,
    order: &'static [&'static str],
    at_once: usize,
    returns: bool,
    options: DrainOptions,
    evictions: BTreeMap<PodName, Answer>,
}

fn world(pods: &[Value], budgets: &[Value]) -> World {
    let mut options = DrainOptions::leaving(std::time::Duration::from_secs(60));
    (options.force, options.delete_emptydir_data) = (false, false);
    World { pods: pods.to_vec(), budgets: budgets.to_vec(), order: &["w1"], at_once: 1, returns: true, options, evictions: BTreeMap::new() }
}

/// The findings for a test case. Each pod has only the fields that an observation keeps.
fn found(w: &World) -> Vec<Finding> {
    let order: Vec<String> = w.order.iter().map(ToString::to_string).collect();
    findings(&Inputs {
        order: &order,
        at_once: w.at_once,
        returns: w.returns,
        options: &w.options,
        nodes: &nodes(),
        pods: &projected(PODS, json!({"items": w.pods})),
        budgets: &json!({"apiVersion": "policy/v1", "items": w.budgets}),
        evictions: &w.evictions,
    })
}

/// The findings as text: `never` if the finding is certain and `maybe` if not, the subject, and the reason.
fn said(w: &World) -> Vec<String> {
    found(w).iter().map(|f| format!("{} {f}", if f.certain { "never" } else { "maybe" })).collect()
}

fn two() -> [Value; 2] {
    [pod("web-1", "web", "w1"), pod("web-2", "web", "w2")]
}

#[test]
fn budgets_that_allow_nothing_at_best() {
    for (rule, [healthy, needed, expected], want) in [
        (("minAvailable", json!(2)), [2, 2, 2], "minAvailable 2: of 2 pods 2 must be healthy, so none may ever go (2 are healthy)"),
        (("minAvailable", json!("100%")), [2, 2, 2], "minAvailable 100%: of 2 pods 2 must be healthy, so none may ever go (2 are healthy)"),
        (("maxUnavailable", json!(0)), [2, 2, 2], "maxUnavailable 0: of 2 pods 2 must be healthy, so none may ever go (2 are healthy)"),
        (("minAvailable", json!(5)), [1, 5, 2], "minAvailable 5: of 2 pods 5 must be healthy, so none may ever go (1 are healthy)"),
    ] {
        let w = world(&two(), &[budget("web", rule, [healthy, needed, expected])]);
        assert_eq!(said(&w), [format!("never disruption budget shop/web: {want}")]);
        let f = &found(&w)[0];
        assert_eq!((f.pods.join(" "), f.nodes.join(" ")), ("shop/web-1".into(), "w1".into()));
    }
}

#[test]
fn budgets_that_allow_one_are_no_matter() {
    let b = budget("web", ("minAvailable", json!(1)), [2, 1, 2]);
    assert!(said(&world(&two(), std::slice::from_ref(&b))).is_empty());
    assert!(said(&World { order: &["w1", "w2"], at_once: 2, ..world(&two(), &[b]) }).is_empty());
}

#[test]
fn what_is_not_asked_or_not_covered() {
    let never = budget("web", ("maxUnavailable", json!(0)), [2, 2, 2]);
    let elsewhere = with(never.clone(), &[("metadata.namespace", json!("other"))]);
    assert!(said(&world(&two(), &[elsewhere])).is_empty());
    let w = world(&[pod("db-1", "db", "w1"), pod("web-2", "web", "w2")], std::slice::from_ref(&never));
    assert!(said(&w).is_empty());
    let w1 = || pod("web-1", "web", "w1");
    for left in [
        with(w1(), &[("status.phase", json!("Pending"))]),
        with(w1(), &[("status.phase", json!("Succeeded"))]),
        with(w1(), &[("metadata.deletionTimestamp", json!("2026-01-01T00:00:00Z"))]),
        with(w1(), &[("metadata.ownerReferences", json!([{"kind": "DaemonSet", "controller": true}]))]),
        with(w1(), &[("metadata.annotations", json!({"kubernetes.io/config.mirror": "x"}))]),
    ] {
        assert!(said(&world(&[left], std::slice::from_ref(&never))).is_empty());
    }
    let mut w = world(&two(), &[never]);
    w.options.disable_eviction = true;
    assert!(said(&w).is_empty());
}

#[test]
fn nothing_now_is_no_refusal() {
    let b = budget("web", ("minAvailable", json!(2)), [2, 2, 3]);
    assert_eq!(
        said(&world(&two(), &[b])),
        ["maybe disruption budget shop/web: minAvailable 2: none may go now, for 2 of 3 pods are healthy and 2 must be"]
    );
    let stale = with(budget("web", ("minAvailable", json!(2)), [2, 2, 2]), &[("metadata.generation", json!(2))]);
    assert_eq!(
        said(&world(&two(), &[stale])),
        ["maybe disruption budget shop/web: minAvailable 2: not counted yet by the controller manager"]
    );
}

#[test]
fn pods_that_are_not_ready() {
    let pods = [unready(pod("web-1", "web", "w1")), pod("web-2", "web", "w2")];
    let b = budget("web", ("minAvailable", json!(2)), [1, 2, 3]);
    assert_eq!(
        said(&world(&pods, std::slice::from_ref(&b))),
        ["maybe disruption budget shop/web: minAvailable 2: none may go now, for 1 of 3 pods are healthy and 2 must be; \
          1 pod not ready may not go either before that (unhealthyPodEvictionPolicy IfHealthyBudget)"]
    );
    let always = with(b, &[("spec.unhealthyPodEvictionPolicy", json!("AlwaysAllow"))]);
    assert!(said(&world(&pods, &[always])).is_empty());
}

#[test]
fn two_budgets_over_one_pod() {
    let one = budget("web", ("minAvailable", json!(1)), [2, 1, 2]);
    let all = with(one.clone(), &[("metadata.name", json!("everything")), ("spec.selector", json!({}))]);
    let w = world(&two(), &[one, all]);
    assert_eq!(
        said(&w),
        ["never disruption budget shop/everything: 1 pod of 2 budgets (everything, web), and the API never evicts a pod of more than one"]
    );
    assert_eq!(found(&w)[0].what, What::Budgets);
}

#[test]
fn an_empty_selector_of_the_old_api_covers_nothing() {
    let never = with(budget("web", ("maxUnavailable", json!(0)), [2, 2, 2]), &[("spec.selector", json!({}))]);
    assert_eq!(said(&world(&two(), std::slice::from_ref(&never))).len(), 1);
    assert!(said(&world(&two(), &[with(never, &[("apiVersion", json!("policy/v1beta1"))])])).is_empty());
}

#[test]
fn pods_that_can_go_nowhere_else() {
    let zone = |p: Value| with(p, &[("spec.nodeSelector", json!({"zone": "a"}))]);
    let field = |p: Value| {
        let terms = json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["w1"]}]}]);
        with(p, &[("spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms", terms)])
    };
    let tolerant = |p: Value| with(zone(p), &[("spec.tolerations", json!([{"operator": "Exists"}]))]);
    let pods = |pin: &dyn Fn(Value) -> Value| [pin(pod("db-1", "db", "w1")), pin(pod("db-2", "db", "w1")), pod("db-3", "db", "w2")];
    let b = budget("db", ("minAvailable", json!(2)), [3, 2, 3]);
    let want = "never disruption budget shop/db: minAvailable 2: of 3 pods 2 must be healthy, so 1 may be gone at once, and 2 that can run \
                nowhere else are to leave w1";
    // m1 is in zone a as well, but its taint keeps these pods away.
    assert_eq!(said(&world(&pods(&zone), std::slice::from_ref(&b))), [want]);
    assert_eq!(said(&world(&pods(&field), std::slice::from_ref(&b))), [want]);
    assert!(said(&world(&pods(&tolerant), std::slice::from_ref(&b))).is_empty());
}

#[test]
fn nodes_that_stay_away_add_up() {
    let zone = |p: Value| with(p, &[("spec.nodeSelector", json!({"zone": "b"}))]);
    let pods = [zone(pod("db-1", "db", "w2")), zone(pod("db-2", "db", "w3")), pod("db-3", "db", "w1")];
    let b = budget("db", ("maxUnavailable", json!(1)), [3, 2, 3]);
    let base = || World { order: &["w2", "w3"], ..world(&pods, std::slice::from_ref(&b)) };
    assert!(said(&base()).is_empty(), "one comes back before the other goes");
    let f = found(&World { returns: false, ..base() });
    assert!(f[0].certain && f[0].why.ends_with("2 that can run nowhere else are to leave w3"), "{f:?}");
}

#[test]
fn too_many_at_once() {
    let on = |p: Value, node: &str| with(p, &[("spec.nodeSelector", json!({"kubernetes.io/hostname": node}))]);
    let pods = [on(pod("db-1", "db", "w1"), "w1"), on(pod("db-2", "db", "w2"), "w2"), pod("db-3", "db", "w3")];
    let b = budget("db", ("maxUnavailable", json!(1)), [3, 2, 3]);
    let w = World { order: &["w1", "w2"], at_once: 2, ..world(&pods, &[b]) };
    assert_eq!(
        said(&w),
        [
            "maybe disruption budget shop/db: maxUnavailable 1: 1 of 3 pods may be gone at once, and 2 that can run nowhere else are on 2 nodes \
          drained at once; fewer at once will do"
        ]
    );
}

#[test]
fn pods_that_need_a_flag() {
    let naked = with(pod("naked", "x", "w1"), &[("metadata.ownerReferences", json!([]))]);
    let cache = with(pod("cache", "y", "w1"), &[("spec.volumes", json!([{"name": "v", "emptyDir": {}}]))]);
    let mut w = world(&[naked, cache], &[]);
    assert_eq!(
        said(&w),
        [
            "never node w1: 1 pod that nothing would make anew: shop/naked; with `--force` they go and are lost",
            "never node w1: 1 pod with data in emptyDir volumes: shop/cache; with `--delete-emptydir-data` they go and are lost",
        ]
    );
    (w.options.force, w.options.delete_emptydir_data) = (true, true);
    assert!(said(&w).is_empty());
}

#[test]
fn dry_runs_are_evidence() {
    let answer = |status: u16| Answer { status, message: "no".into() };
    let name = |n: &str| ("shop".to_string(), n.to_string());
    let mut w = world(&two(), &[budget("web", ("maxUnavailable", json!(0)), [2, 2, 2])]);
    w.evictions = [(name("web-1"), answer(429))].into();
    assert!(said(&w)[0].ends_with("(2 are healthy); in a dry run the API refuses 1 of 1"));
    w.budgets.clear();
    assert_eq!(said(&w), ["maybe pod shop/web-1: the API would not evict it now (429): no"]);
    w.evictions = [(name("web-1"), answer(404))].into();
    assert!(said(&w).is_empty());
    assert_eq!(evicted(&["w1".to_string()], &json!({"items": two()})), [name("web-1")]);
}
