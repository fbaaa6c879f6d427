//! Tests of `refuse.sh`, which inserts packet filter rules that reject connections during a swap: every rule is removed, or stays recorded so that a
//! later step removes it.

use clusterctl::step::wait;

use super::pods::{all, clean, ended, in_place, manifest, pod, same, standing};
use super::sandbox::Fault;
use super::table::Table;

const API: &str = "kube-apiserver";
const RECORD: &str = "/var/lib/clusterctl/static-pods/kube-apiserver.rules";

pub fn table(t: &mut Table) {
    t.row("the xtables lock is held for a moment -> the rule is removed", || {
        let host = standing(&[API]);
        host.stub("on-sleep", "grep -q '^iptables' \"$STUB/rules\" && [ ! -e \"$STUB/held-once\" ] && : >\"$STUB/held-once\" && echo 3 >\"$STUB/xtables-held\"");
        let end = host.apply(pod(API, manifest(API, "new", ""), 0));
        all(&host, [ended(&end, "done"), clean(&host)])
    });
    for later in ["the next swap", "the wait afterwards"] {
        t.row(format!("the xtables lock is held for long -> the rule stays recorded, and {later} removes it"), || {
            let host = standing(&[API]);
            host.stub("on-sleep", "! grep -q '^iptables' \"$STUB/rules\" || echo 999 >\"$STUB/xtables-held\"");
            let first = host.apply(pod(API, manifest(API, "new", ""), 0));
            let there = host.read("/stub/rules").unwrap_or_default();
            let recorded = host.read(RECORD).unwrap_or_default();
            let listed = recorded.lines().all(|rule| there.contains(rule)) && !recorded.is_empty();
            host.remove("/stub/on-sleep");
            host.stub("xtables-held", "0\n");
            let next = match later {
                "the next swap" => host.apply(pod(API, manifest(API, "next", ""), 0)),
                _ => host.apply(wait::Settled),
            };
            all(&host, [ended(&first, "done"), same(listed, true, "recorded"), ended(&next, "done"), clean(&host)])
        });
    }
    t.row("the rules are gone by themselves, as after a boot -> the record is removed", || {
        let host = standing(&[API]);
        host.write(RECORD, "iptables INPUT -p tcp --dport 6443 --syn -s 10.0.0.9 ! -i lo\n");
        let end = host.apply(pod(API, manifest(API, "new", ""), 0));
        all(&host, [ended(&end, "done"), clean(&host)])
    });
    t.row("a watch is killed while it puts the old manifest back -> no rule stays", || {
        for n in 40..400 {
            let host = standing(&[API]);
            host.stub("on-sleep", "[ ! -e \"$STUB/units/clusterctl-watch-kube-apiserver\" ] || echo 000 >\"$STUB/serves-kube-apiserver\"");
            host.inject(Fault::KilledAt(n));
            host.apply(pod(API, manifest(API, "new", ""), 30));
            // The swap inserts the first rule, and the rollback to the old static pod manifest inserts the second. Kills before the second rule are
            // tested by another table, so the loop goes on to a later kill.
            let rules = host.log().matches(" -I INPUT").count();
            if !host.was_killed() {
                return Err("the watch is never killed with rules in place".into());
            }
            if rules >= 2 {
                let old = manifest(API, "old", "");
                return all(
                    &host,
                    [
                        same(host.read("/stub/rules").unwrap_or_default(), String::new(), "rules"),
                        in_place(&host, API, &[&old, &manifest(API, "new", "")]),
                    ],
                );
            }
        }
        Ok(())
    });
}
