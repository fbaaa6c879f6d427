//! Tests of `objects.sh`, `objects_gone.sh`, `node_meta.sh`, `delete_node.sh` and `delete_tokens.sh`, which change the API with kubectl by the functions of
//! `kubectl.sh`: a step is done only if the API server has accepted every change.

use clusterctl::step::objects_gone::entries;
use clusterctl::step::token::Purpose;
use clusterctl::step::{Ids, NodeGone, NodeMeta, Object, ObjectsGone, Step, Token, TokensGone};
use serde_json::json;

use super::pods::{all, ended, same};
use super::runs::{anything, killed, under};
use super::sandbox::{Fault, Sandbox};
use super::table::Table;

const ADDRESS: [u8; 4] = [10, 0, 0, 1];
const MOVED: &str = "Error from server: etcdserver: leader changed";

fn object() -> Step {
    let map =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "kube-system"}, "data": {"k": "v'$(x)"}});
    Object { address: ADDRESS.into(), objects: vec![map] }.into()
}

fn token() -> Step {
    let object = json!({"kind": "Secret", "metadata": {"name": "bootstrap-token-abcdef"}}).to_string();
    Token { address: ADDRESS.into(), id: "abcdef".into(), object: object.into(), purpose: Purpose::Operator }.into()
}

fn meta() -> Step {
    NodeMeta {
        address: ADDRESS.into(),
        node: "w1".into(),
        labels: [("a".to_string(), "b".to_string())].into(),
        annotations: [].into(),
        taints: vec!["dedicated=x:NoSchedule".into()],
        outdated_taints: vec!["old=:NoExecute".into()],
        pod_cidr: None,
        capacity: [].into(),
    }
    .into()
}

fn node_gone() -> Step {
    NodeGone { address: ADDRESS.into(), node: "w1".into() }.into()
}

fn tokens_gone() -> Step {
    TokensGone { address: ADDRESS.into(), ids: Ids::These(vec!["abcdef".into(), "ghijkl".into()]) }.into()
}

fn objects_gone() -> Step {
    let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}});
    let of_others = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    ObjectsGone { address: ADDRESS.into(), wanted: entries(&[map("a")]), gone: entries(&[of_others, map("b")]) }.into()
}

/// Adds rows for what is deleted and what is not, by the field managers that the API reports.
fn gone(t: &mut Table) {
    let deletes = |host: &Sandbox| host.log().lines().filter(|l| l.contains(" delete --ignore-not-found ")).count();
    for (what, managers, deleted) in [
        ("clusterctl has applied it", "clusterctl", 1),
        ("clusterctl and another have applied it", "other clusterctl", 1),
        ("another has applied it", "clusterctl-of-others", 0),
        ("it is gone already", "", 0),
    ] {
        t.row(format!("objects gone: {what} -> deleted: {deleted}, and the record is changed"), || {
            let host = Sandbox::new();
            host.stub(
                "kubectl.script",
                &format!("case \"$*\" in *' get '*) /bin/cat >\"$STUB/asked\"; printf '%s' '{managers}' ;; esac\n"),
            );
            let end = host.apply(objects_gone());
            let record = host.read("/stub/applied").unwrap_or_default();
            let wanted = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b","namespace":"shop"}}"#;
            let asked = host.read("/stub/asked").unwrap_or_default();
            all(
                &host,
                [
                    ended(&end, "done"),
                    same(deletes(&host), deleted, "deletions"),
                    same(asked.trim(), wanted, "the object that was asked for; a Namespace is not"),
                    same(record.contains(r"v1 ConfigMap shop a\n") && !record.contains("shop b"), true, "the record"),
                ],
            )
        });
    }
    t.row("objects gone: the kind of the object is unknown -> it is gone, and the record is changed", || {
        let host = Sandbox::new();
        host.stub(
            "kubectl.script",
            "case \"$*\" in *' get '*) echo 'error: no matches for kind \"Lamp\" in version \"x/v1\"' >&2; exit 1 ;; esac\n",
        );
        let end = host.apply(objects_gone());
        all(&host, [ended(&end, "done"), same(deletes(&host), 0, "deletions"), asked(&host, &[APPLY])])
    });
    t.row("objects gone: the object cannot be deleted -> the step fails, and the record still has it", || {
        let host = Sandbox::new();
        host.stub(
            "kubectl.script",
            "case \"$*\" in *' get '*) echo clusterctl ;; *' delete '*) echo 'timed out waiting for the condition' >&2; exit 1 ;; esac\n",
        );
        let end = host.apply(objects_gone());
        all(&host, [ended(&end, "timed out waiting for the condition"), same(host.log().contains(APPLY), false, "the record was changed")])
    });
    t.row("objects gone: the lock is lost before an object would be deleted -> it stays", || {
        let host = Sandbox::new();
        host.stub(
            "kubectl.script",
            "case \"$*\" in *' get '*) echo clusterctl; echo 'run2 other' >\"$ROOT/var/lib/clusterctl/lock\" ;; esac\n",
        );
        let end = host.apply(objects_gone());
        all(&host, [ended(&end, "fenced"), same(deletes(&host), 0, "deletions")])
    });
}

const APPLY: &str = " apply --server-side --force-conflicts --field-manager clusterctl -f -";

type Make = fn() -> Step;
/// The steps, each with the arguments of the kubectl calls that it makes, word for word.
const STEPS: [(&str, Make, &[&str]); 5] = [
    ("objects", object, &[" apply --server-side --force-conflicts --field-manager clusterctl -f -"]),
    ("token", token, &[" apply --server-side --force-conflicts --field-manager clusterctl -f -"]),
    (
        "node",
        meta,
        &[
            " taint node w1 old=:NoExecute-",
            " apply --server-side --force-conflicts --field-manager clusterctl -f -",
            " taint node w1 --overwrite dedicated=x:NoSchedule",
        ],
    ),
    ("node gone", node_gone, &[" delete node w1 --ignore-not-found --wait=false"]),
    ("tokens gone", tokens_gone, &[" -n kube-system delete secret --ignore-not-found bootstrap-token-abcdef bootstrap-token-ghijkl"]),
];

fn asked(host: &Sandbox, wanted: &[&str]) -> Result<(), String> {
    let log = host.log();
    let all = wanted.iter().all(|w| log.lines().any(|l| l.starts_with("- kubectl") && l.ends_with(w)));
    same(all, true, &format!("kubectl was asked {wanted:?}"))
}

fn not_asked(host: &Sandbox) -> Result<(), String> {
    same(host.log().contains("- kubectl"), false, "kubectl was asked")
}

pub fn table(t: &mut Table) {
    gone(t);
    for (name, step, calls) in STEPS {
        t.row(format!("{name}: the API takes it -> done, by exactly these calls"), || {
            let host = Sandbox::new();
            let end = host.apply(step());
            let count = host.log().matches("- kubectl").count();
            all(&host, [ended(&end, "done"), asked(&host, calls), same(count, calls.len(), "calls")])
        });
        for (n, call) in calls.iter().enumerate() {
            let pattern = format!("*{call}*");
            let pattern: &'static str = pattern.leak();
            t.row(format!("{name}: call {n} fails -> the step fails in kubectl's words, after one attempt"), || {
                let host = Sandbox::new();
                host.inject(Fault::CallFails("kubectl", pattern));
                let end = host.apply(step());
                all(&host, [ended(&end, "kubectl: it fails"), same(host.log().matches("- kubectl").count(), n + 1, "calls")])
            });
            t.row(format!("{name}: call {n} is not answered -> the step ends and names the API server"), || {
                let host = Sandbox::new();
                host.inject(Fault::Hangs("kubectl", pattern));
                let end = host.apply(step());
                all(
                    &host,
                    [ended(&end, "kubectl did not end within 40 s"), ended(&end, "the API server at 10.0.0.1:6443 does not answer it")],
                )
            });
        }
        t.row(format!("{name}: etcd's leader changes twice -> it is asked again, and done"), || {
            let host = Sandbox::new();
            host.stub(
                "kubectl.script",
                &format!("echo x >>\"$STUB/tries\"; [ \"$(wc -l <\"$STUB/tries\")\" -gt 2 ] || {{ echo '{MOVED}' >&2; exit 1; }}\n"),
            );
            let end = host.apply(step());
            all(&host, [ended(&end, "done"), asked(&host, calls), same(host.log().matches("- kubectl").count(), calls.len() + 2, "calls")])
        });
        t.row(format!("{name}: etcd's leader changes for ever -> the step ends with that after half a minute"), || {
            let host = Sandbox::new();
            host.stub("kubectl.script", &format!("echo '{MOVED}' >&2; exit 1\n"));
            let end = host.apply(step());
            let took = host.read("/stub/clock").and_then(|c| c.trim().parse::<u64>().ok()).unwrap_or_default() - 1_000_000_000;
            all(&host, [ended(&end, MOVED), same((25_000..40_000).contains(&took), true, &format!("it took {took} ms"))])
        });
        t.row(format!("{name}: the lock is lost while it is asked again -> it is not asked any more"), || {
            let host = Sandbox::new();
            host.stub("kubectl.script", &format!("echo '{MOVED}' >&2; exit 1\n"));
            host.stub("on-sleep", "echo 'run2 other' >\"$ROOT/var/lib/clusterctl/lock\"");
            let end = host.apply(step());
            all(&host, [ended(&end, "fenced"), same(host.log().matches("- kubectl").count(), 1, "calls")])
        });
        t.row(format!("{name}: the lock belongs to another run -> nothing is asked"), || {
            let host = Sandbox::new();
            host.write("/var/lib/clusterctl/lock", "run2 other\n");
            under(Fault::None, &host, step(), "fenced", not_asked)
        });
        t.sweep(format!("{name}: killed at a call -> the next run ends the work"), 1, |n| {
            killed(Fault::KilledAtCall(n), &Sandbox::new(), step(), anything, |h| asked(h, calls))
        });
    }
    for (name, step, calls) in STEPS.into_iter().filter(|(_, _, calls)| calls[0].contains(" apply ")) {
        let whole = Sandbox::new();
        whole.apply(step());
        let length = whole.input_length();
        t.row(format!("{name}: the objects reach the API as they are, and never the command line"), || {
            let applied = whole.read("/stub/applied").unwrap_or_default();
            let secret = whole.log().contains("v'$(x)") || whole.log().contains("\"Secret\"");
            all(&whole, [same(applied.len() + 64, length, &applied), same(secret, false, "on the command line"), asked(&whole, calls)])
        });
        for n in [0, 1, length / 2, length - 66, length - 65, length - 1] {
            t.row(format!("{name}: the input ends after {n} bytes -> nothing is asked"), || {
                under(Fault::InputEnds(n), &Sandbox::new(), step(), "nothing was changed", not_asked)
            });
        }
        t.row(format!("{name}: the lock is lost while the input arrives -> nothing is asked"), || {
            under(Fault::LockLostInInput(length / 2), &Sandbox::new(), step(), "fenced", not_asked)
        });
        t.row(format!("{name}: /run is full -> nothing is asked"), || {
            under(Fault::DiskFull("cat", "*"), &Sandbox::new(), step(), "cannot be kept in /run", not_asked)
        });
    }
}
