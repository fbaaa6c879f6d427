//! Calculates whether PodDisruptionBudgets allow the pods of drained nodes to be evicted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::select::{covers, homes};
use super::{Finding, Inputs, Pod, What, items, plural};

/// A PodDisruptionBudget with the numbers in its status.
struct Budget<'a> {
    namespace: &'a str,
    name: &'a str,
    object: &'a Value,
    healthy: i64,
    needed: i64,
    expected: i64,
    allowed: i64,
    /// Whether the controller manager has calculated the numbers for the present spec of the budget.
    counted: bool,
}

impl<'a> Budget<'a> {
    fn of(object: &'a Value) -> Self {
        let (meta, status) = (&object["metadata"], &object["status"]);
        let text = |v: &'a Value| v.as_str().unwrap_or_default();
        let number = |v: &Value| v.as_i64().unwrap_or_default();
        Budget {
            namespace: text(&meta["namespace"]),
            name: text(&meta["name"]),
            object,
            healthy: number(&status["currentHealthy"]),
            needed: number(&status["desiredHealthy"]),
            expected: number(&status["expectedPods"]),
            allowed: number(&status["disruptionsAllowed"]),
            counted: status["observedGeneration"].as_i64().is_some_and(|seen| seen >= number(&meta["generation"])),
        }
    }

    fn covers(&self, pod: &Pod<'_>) -> bool {
        let empty = self.object["apiVersion"] != "policy/v1beta1";
        self.namespace == pod.namespace && covers(&self.object["spec"]["selector"], &pod.object["metadata"]["labels"], empty)
    }

    /// The rule in the budget's spec as text, such as `minAvailable 2`.
    fn rule(&self) -> String {
        let spec = &self.object["spec"];
        let of = |name: &str| (!spec[name].is_null()).then(|| format!("{name} {}", spec[name].to_string().trim_matches('"')));
        of("maxUnavailable").or_else(|| of("minAvailable")).unwrap_or_else(|| "minAvailable 1".into())
    }

    fn lets_unready_go(&self) -> bool {
        self.object["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    }

    /// How many pods may be unavailable at once if all pods are healthy.
    fn at_best(&self) -> i64 {
        (self.expected - self.needed).max(0)
    }

    fn finding(&self, pods: &[&Pod<'_>], why: String, certain: bool) -> Finding {
        Finding {
            what: What::Budget,
            namespace: self.namespace.into(),
            name: self.name.into(),
            pods: pods.iter().map(|p| p.full_name()).collect(),
            nodes: pods.iter().map(|p| p.node.to_string()).collect::<BTreeSet<_>>().into_iter().collect(),
            why,
            certain,
        }
    }
}

/// The findings about the eviction of these pods, for all PodDisruptionBudgets.
pub(super) fn findings(i: &Inputs<'_>, pods: &[&Pod<'_>]) -> Vec<Finding> {
    let api = i.budgets["apiVersion"].as_str().unwrap_or_default();
    // The items of a list do not contain their API version; the list does.
    let all: Vec<Value> = items(i.budgets)
        .map(|b| {
            let mut b = b.clone();
            if b["apiVersion"].is_null() {
                b["apiVersion"] = api.into();
            }
            b
        })
        .collect();
    let budgets: Vec<Budget<'_>> = all.iter().map(Budget::of).collect();
    let mut out = several(&budgets, pods);
    let stuck: BTreeSet<String> = out.iter().flat_map(|f| f.pods.clone()).collect();
    for budget in &budgets {
        let covered = |p: &&&Pod<'_>| budget.covers(p) && !stuck.contains(&p.full_name());
        let asked = |p: &&&Pod<'_>| p.ready() || !budget.lets_unready_go();
        let covered: Vec<&Pod<'_>> = pods.iter().filter(covered).filter(asked).copied().collect();
        if !covered.is_empty() {
            out.extend(judged(i, budget, &covered));
        }
    }
    out
}

/// Makes one finding for each group of pods that are selected by the same two or more PodDisruptionBudgets.
fn several(budgets: &[Budget<'_>], pods: &[&Pod<'_>]) -> Vec<Finding> {
    let mut by_budgets: BTreeMap<Vec<&str>, (&Budget<'_>, Vec<&Pod<'_>>)> = BTreeMap::new();
    for pod in pods {
        let mut covering: Vec<&Budget<'_>> = budgets.iter().filter(|b| b.covers(pod)).collect();
        covering.sort_by_key(|b| b.name);
        if let [first, _, ..] = covering[..] {
            let key = [first.namespace].into_iter().chain(covering.iter().map(|b| b.name)).collect();
            by_budgets.entry(key).or_insert((first, vec![])).1.push(pod);
        }
    }
    let finding = |(key, (first, pods)): (Vec<&str>, (&Budget<'_>, Vec<&Pod<'_>>))| {
        let names = key[1..].join(", ");
        let why = format!(
            "{} of {} budgets ({names}), and the API never evicts a pod of more than one",
            plural(pods.len(), "pod"),
            key.len() - 1
        );
        Finding { what: What::Budgets, ..first.finding(&pods, why, true) }
    };
    by_budgets.into_iter().map(finding).collect()
}

/// The finding about the eviction of `pods`, all of which the PodDisruptionBudget `b` selects. `None` if the budget allows the eviction.
fn judged(i: &Inputs<'_>, b: &Budget<'_>, pods: &[&Pod<'_>]) -> Option<Finding> {
    let (rule, healthy, needed, expected) = (b.rule(), b.healthy, b.needed, b.expected);
    let ask = evidence(i, pods);
    if !b.counted {
        return Some(b.finding(pods, format!("{rule}: not counted yet by the controller manager{ask}"), false));
    }
    if b.at_best() == 0 {
        // A pod that is not ready may be evicted while enough other pods are healthy, so only the other pods are certain to stay.
        let (kept, free): (Vec<&Pod<'_>>, Vec<&Pod<'_>>) = pods.iter().partition(|p| p.ready() || healthy < needed);
        if kept.is_empty() {
            let why = format!(
                "{rule}: of {expected} pods {needed} must be healthy; {} not ready may become so and then stay{ask}",
                plural(free.len(), "pod")
            );
            return Some(b.finding(&free, why, false));
        }
        let why = format!("{rule}: of {expected} pods {needed} must be healthy, so none may ever go ({healthy} are healthy){ask}");
        return Some(b.finding(&kept, why, true));
    }
    let bound = bound(i, pods);
    if let Some((node, count)) = bound.iter().find(|(_, count)| **count > b.at_best()) {
        let why = format!(
            "{rule}: of {expected} pods {needed} must be healthy, so {} may be gone at once, and {count} that can run nowhere else are to leave {node}{ask}",
            b.at_best()
        );
        return Some(b.finding(pods, why, true));
    }
    if b.allowed < 1 {
        let unready = pods.iter().filter(|p| !p.ready()).count();
        let policy = if unready > 0 && healthy < needed {
            format!("; {} not ready may not go either before that (unhealthyPodEvictionPolicy IfHealthyBudget)", plural(unready, "pod"))
        } else {
            String::new()
        };
        let why = format!("{rule}: none may go now, for {healthy} of {expected} pods are healthy and {needed} must be{policy}{ask}");
        return Some(b.finding(pods, why, false));
    }
    let mut counts: Vec<i64> = bound.values().copied().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let together: i64 = counts.iter().take(i.at_once.max(1)).sum();
    (i.returns && together > b.at_best()).then(|| {
        let why = format!(
            "{rule}: {} of {expected} pods may be gone at once, and {together} that can run nowhere else are on {} nodes drained at once; fewer at once will do{ask}",
            b.at_best(),
            i.at_once.min(counts.len())
        );
        b.finding(pods, why, false)
    })
}

/// For each drained node, how many of these pods can run on no node until the drained node is back in service. If drained nodes stay out of
/// service, the pods of the nodes that are drained before this one count as well.
fn bound<'a>(i: &Inputs<'a>, pods: &[&Pod<'_>]) -> BTreeMap<&'a str, i64> {
    let homes: Vec<BTreeSet<String>> = pods.iter().map(|p| homes(p, i.nodes)).collect();
    let mut out = BTreeMap::new();
    for (at, node) in i.order.iter().enumerate() {
        let away = if i.returns { std::slice::from_ref(node) } else { &i.order[..=at] };
        let nowhere = |(pod, homes): &(&&Pod<'_>, &BTreeSet<String>)| {
            away.iter().any(|n| n == pod.node) && homes.contains(pod.node) && homes.iter().all(|h| away.contains(h))
        };
        let count = pods.iter().zip(&homes).filter(nowhere).count();
        out.insert(node.as_str(), i64::try_from(count).unwrap_or(i64::MAX));
    }
    out
}

/// The part of a message about the dry runs of the eviction of `pods`; empty if there were no dry runs of them.
fn evidence(i: &Inputs<'_>, pods: &[&Pod<'_>]) -> String {
    let answers: Vec<_> = pods.iter().filter_map(|p| i.evictions.get(&(p.namespace.to_string(), p.name.to_string()))).collect();
    let refused = answers.iter().filter(|a| a.refuses()).count();
    match answers.len() {
        0 => String::new(),
        all => format!("; in a dry run the API refuses {refused} of {all}"),
    }
}
