//! Tests of `drain.sh` and `cordon.sh`: after a drain, the node has no pods and is cordoned. After a drain that failed, the node takes pods again,
//! unless somebody else had cordoned it, the lock was lost, or the API server does not answer.

use std::time::Duration;

use clusterctl::step::drain::{DrainExtras, DrainOptions};
use clusterctl::step::{Cordon, Drain, Step, Uncordon};

use super::pods::{all, ended, same};
use super::runs::{anything, killed, under};
use super::sandbox::{Fault, Sandbox};
use super::table::Table;

/// A script for the stub of kubectl, for a cluster with the node `w1`. The file `node` has two lines: `true` if the node is cordoned, and the value
/// of the annotation `clusterctl/cordoned`. Either line may be empty. The file `node-pods` has one line per pod on the node.
const NODE: &str = r#"
{ read -r cordoned; read -r word; } <"$STUB/node"
case " $* " in
  *' patch node '*)
    case "$*" in *'"clusterctl/cordoned":null'*) word= ;; *'"clusterctl/cordoned":"drain"'*) word=drain ;; esac
    case "$*" in *'"unschedulable":true'*) cordoned=true ;; *'"unschedulable":null'*) cordoned= ;; esac
    printf '%s\n%s\n' "$cordoned" "$word" >"$STUB/node" ;;
  *' get node '*'status.conditions'*) [ ! -e "$STUB/ready" ] || /bin/cat "$STUB/ready" ;;
  *' get node '*'metadata.name'*) [ ! -e "$STUB/node-is-gone" ] || exit 0; printf 'w1 %s %s.' "$cordoned" "$word" ;;
  *' get node '*) printf '%s' "$word" ;;
  *' drain '*)
    [ ! -e "$STUB/on-drain" ] || . "$STUB/on-drain"
    [ ! -s "$STUB/refusal" ] || { /bin/cat "$STUB/refusal" >&2; exit 1; }
    [ "$cordoned" = true ] || { echo "drained while it takes pods" >>"$STUB/wrong"; }
    : >"$STUB/node-pods" ;;
  *' get pods '*) /bin/cat "$STUB/node-pods" ;;
esac
"#;

const NO_ANSWER: &str = "the API server at 10.0.0.1:6443 does not answer";
const BUDGET: &str = "error when evicting pods/\"web-1\" -n \"shop\" (will retry after 5s): Cannot evict pod as it would violate the pod's disruption budget.\n";

/// The flags of kubectl do not allow the deletion of a pod.
const ALONE: &str = "error: cannot delete Pods that declare no controller: shop/alone\n";

/// A webhook of the cluster denies an eviction, in words that kubectl also uses.
const DENIED: &str = "error: unable to drain node \"w1\" due to error: error when evicting pods/\"db-0\" -n \"shop\": admission webhook \
                      \"guard.shop\" denied the request: cannot delete Pods of a leader, continuing command...\n";

/// The same refusal as [`ALONE`] in the words of a newer kubectl, with a second one.
const BOTH: &str = "error: unable to drain node \"w1\" due to error: [cannot delete Pods that declare no controller (use --force to override): \
                    shop/alone, cannot delete Pods with local storage (use --delete-emptydir-data to override): shop/cache], continuing command...\n";

fn host(cordoned: &str, word: &str) -> Sandbox {
    let host = Sandbox::new();
    host.stub("kubectl.script", NODE);
    host.stub("node", &format!("{cordoned}\n{word}\n"));
    host.stub("ready", "True");
    host.stub("node-pods", "ReplicaSet shop/web-1\n");
    host
}

fn drain(seconds: u64, stays: bool) -> Drain {
    Drain {
        via: "m1".into(),
        address: [10, 0, 0, 1].into(),
        node: "w1".into(),
        options: DrainOptions::leaving(Duration::from_secs(seconds)),
        until_version: None,
        extras: DrainExtras { stays, ..DrainExtras::default() },
    }
}

fn uncordon(whoever: bool) -> Uncordon {
    Uncordon { via: "m1".into(), address: [10, 0, 0, 1].into(), node: "w1".into(), whoever }
}

fn cordon() -> Cordon {
    Cordon { via: "m1".into(), address: [10, 0, 0, 1].into(), node: "w1".into() }
}

/// Checks that the file `node` has these two values (see [`NODE`]), and that no pod was evicted before the node was cordoned.
fn node(host: &Sandbox, cordoned: &str, word: &str) -> Result<(), String> {
    same(host.read("/stub/node").unwrap_or_default(), format!("{cordoned}\n{word}\n"), "the node")?;
    same(host.read("/stub/wrong"), None, "what went wrong")
}

/// Checks that the node is neither cordoned nor annotated, as in [`host`] with two empty values.
fn as_before(host: &Sandbox) -> Result<(), String> {
    node(host, "", "")
}

fn drained(host: &Sandbox, cordoned: &str, word: &str) -> Result<(), String> {
    node(host, cordoned, word)?;
    same(host.read("/stub/node-pods").unwrap_or_default(), String::new(), "pods")
}

pub fn table(t: &mut Table) {
    drains(t);
    troubles(t);
    cordons(t);
}

fn drains(t: &mut Table) {
    for (before, word, stays, after) in [
        ("", "", false, "drain"),
        ("", "", true, ""),
        ("true", "", false, ""),
        ("true", "drain", false, "drain"),
        ("true", "drain", true, ""),
    ] {
        t.row(format!("drain: cordoned {before:?} by {word:?}, it stays: {stays} -> no pods, cordoned by {after:?}"), || {
            under(Fault::None, &host(before, word), drain(60, stays), "done", |h| drained(h, "true", after))
        });
    }
    t.row("drain: the node is gone -> there is nothing to do", || {
        let host = host("", "");
        host.stub("node-is-gone", "");
        under(Fault::None, &host, drain(60, false), "done", as_before)
    });
    for (before, word, after, said) in
        [("", "", "", "takes pods again"), ("true", "", "true", "stays cordoned, as it was"), ("true", "drain", "", "takes pods again")]
    {
        t.row(
            format!("drain: a budget holds it up, cordoned {before:?} by {word:?} -> the budget is named, and the node is {after:?}"),
            || {
                let host = host(before, word);
                host.stub("refusal", BUDGET);
                let end = host.apply(drain(60, false));
                all(
                    &host,
                    [
                        ended(&end, "did not all leave within 60 s"),
                        ended(&end, "shop/web-1: Cannot evict pod"),
                        ended(&end, "still there: shop/web-1"),
                        ended(&end, said),
                        node(&host, after, ""),
                    ],
                )
            },
        );
    }
    for (which, refusal) in [("a pod", ALONE), ("two pods", BOTH)] {
        t.row(format!("drain: {which} that the flags do not allow -> it fails at once"), || {
            let host = host("", "");
            host.stub("refusal", refusal);
            let end = host.apply(drain(0, false));
            let rounds = host.log().matches(" drain w1").count();
            all(&host, [ended(&end, "may not go"), ended(&end, "shop/alone"), same(rounds, 1, "rounds"), node(&host, "", "")])
        });
    }
    t.row("drain: a webhook denies an eviction twice, in the words of kubectl -> it is asked again, and done", || {
        let host = host("", "");
        host.stub("refusal", DENIED);
        host.stub("on-drain", "echo x >>\"$STUB/rounds\"; [ \"$(wc -l <\"$STUB/rounds\")\" -lt 3 ] || : >\"$STUB/refusal\"\n");
        under(Fault::None, &host, drain(0, false), "done", |h| drained(h, "true", "drain"))
    });
    t.row("drain: without a limit, and the node's machine is dead -> it ends with that", || {
        let host = host("", "");
        host.stub("refusal", BUDGET);
        host.stub("ready", "Unknown");
        under(Fault::None, &host, drain(0, false), "its kubelet says nothing any more", as_before)
    });
    t.row("drain: a budget that lets it go in the third round -> done", || {
        let host = host("", "");
        host.stub("refusal", BUDGET);
        host.stub("on-drain", "echo x >>\"$STUB/rounds\"; [ \"$(wc -l <\"$STUB/rounds\")\" -lt 3 ] || : >\"$STUB/refusal\"\n");
        under(Fault::None, &host, drain(0, false), "done", |h| drained(h, "true", "drain"))
    });
}

fn troubles(t: &mut Table) {
    for (when, refusal) in [
        ("between two rounds -> no pod is evicted any more, and the node is the other run's", BUDGET),
        ("in the last round -> the node is not given back", ALONE),
    ] {
        t.row(format!("drain: the lock is lost {when}"), || {
            let host = host("", "");
            host.stub("refusal", refusal);
            host.stub("on-drain", "echo 'run2 other' >\"$ROOT/var/lib/clusterctl/lock\"\n");
            under(Fault::None, &host, drain(0, false), "fenced", |h| {
                same(h.log().matches(" drain w1").count(), 1, "rounds")?;
                node(h, "true", "drain")
            })
        });
    }
    for what in ["*get node*", "*patch node*"] {
        t.row(format!("drain: kubectl {what} fails at first -> no pod is evicted"), || {
            under(Fault::CallFails("kubectl", what), &host("", ""), drain(60, false), "kubectl: it fails", |h| {
                same(h.log().contains(" drain w1"), false, "drained")?;
                as_before(h)
            })
        });
        t.row(format!("drain: kubectl {what} hangs -> the step ends and names the API server"), || {
            under(Fault::Hangs("kubectl", what), &host("", ""), drain(60, false), NO_ANSWER, as_before)
        });
    }
    t.row("drain: kubectl drain hangs -> the step ends within its limit, names it, and gives the node back", || {
        under(Fault::Hangs("kubectl", "* drain w1*"), &host("", ""), drain(60, false), "kubectl did not end within", as_before)
    });
    t.row(
        "drain: the API server hangs from the second call on -> the step ends within its limit, and says that the node stays cordoned",
        || {
            let host = host("true", "drain");
            host.stub("on-drain", "echo '*' >\"$STUB/hang-kubectl\"; exit 1\n");
            host.stub("refusal", BUDGET);
            let end = host.apply(drain(60, false));
            let took = host.read("/stub/clock").and_then(|c| c.trim().parse::<u64>().ok()).unwrap_or_default() - 1_000_000_000;
            all(
                &host,
                [
                    ended(&end, "does not answer"),
                    ended(&end, "cannot be given back"),
                    same(took < 360_000, true, "within the limit of the command"),
                    node(&host, "true", "drain"),
                ],
            )
        },
    );
    for stays in [false, true] {
        t.sweep(format!("drain: killed at a call, it stays: {stays} -> the next run ends the work"), 1, |n| {
            // A node that is cordoned without the annotation would stay cordoned, because the next run would take it for one that somebody else has
            // cordoned.
            let can_be_given_back = |host: &Sandbox| {
                let now = host.read("/stub/node").unwrap_or_default();
                same(["\n\n", "true\ndrain\n"].contains(&now.as_str()), true, &format!("{now:?} can be given back"))
            };
            let word = if stays { "" } else { "drain" };
            killed(Fault::KilledAtCall(n), &host("", ""), drain(60, stays), can_be_given_back, |h| drained(h, "true", word))
        });
    }
}

fn cordons(t: &mut Table) {
    type Make = fn() -> Step;
    let steps: [(&str, Make); 3] =
        [("cordon", || cordon().into()), ("uncordon", || uncordon(true).into()), ("uncordon ours", || uncordon(false).into())];
    let states = [("", ""), ("true", ""), ("true", "drain")];
    for (name, step) in steps {
        for (before, word) in states {
            let (after, kept) = match (name, word) {
                ("cordon", _) => ("true", ""),
                ("uncordon ours", "") => (before, word),
                _ => ("", ""),
            };
            t.row(format!("{name}: cordoned {before:?} by {word:?} -> {after:?}"), || {
                under(Fault::None, &host(before, word), step(), "done", |h| node(h, after, kept))
            });
        }
        let calls: &[&str] = if name == "uncordon ours" { &["*get node*", "*patch node*"] } else { &["*patch node*"] };
        for what in calls {
            for (how, fault, wanted) in [
                ("fails -> the step fails", Fault::CallFails("kubectl", what), "kubectl: it fails"),
                ("hangs -> the step ends and names the API server", Fault::Hangs("kubectl", what), NO_ANSWER),
            ] {
                t.row(format!("{name}: kubectl {what} {how}"), || {
                    under(fault, &host("true", "drain"), step(), wanted, |h| node(h, "true", "drain"))
                });
            }
        }
        t.sweep(format!("{name}: killed at a call -> the next run ends the work"), 1, |n| {
            let cordoned = if name == "cordon" { "true" } else { "" };
            killed(Fault::KilledAtCall(n), &host("true", "drain"), step(), anything, |h| node(h, cordoned, ""))
        });
    }
}
