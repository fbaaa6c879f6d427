//! Tests of `hand_over.sh`: an etcd member that is the leader hands its leadership over before a script stops or removes it.

use clusterctl::step::{Member, MemberState};

use super::pods::{all, ended, manifest, pod, same, standing};
use super::sandbox::Sandbox;
use super::table::Table;

/// A host whose etcd member is the leader of a cluster of two members.
fn leader() -> Sandbox {
    let host = standing(&["etcd"]);
    host.stub("etcdctl.endpoint-status", r#"[{"Endpoint":"x","Status":{"header":{"cluster_id":5,"member_id":10501334649042878790,"raft_term":2},"leader":10501334649042878790}}]"#);
    host.stub("etcdctl.member-list", "91bc3c398fb3c146, started, m1, https://10.0.0.1:2380, https://10.0.0.1:2379, false\nb, started, m2, https://10.0.0.2:2380, https://10.0.0.2:2379, false\n");
    host
}

fn handed_over(host: &Sandbox) -> Result<(), String> {
    same(host.log().matches("move-leader b").count(), 1, "leadership is handed over")
}

pub fn table(t: &mut Table) {
    t.row("a leader whose static pod is swapped -> leadership goes first", || {
        let host = leader();
        let end = host.apply(pod("etcd", manifest("etcd", "3.5.1", ""), 0));
        all(&host, [ended(&end, "done"), handed_over(&host)])
    });
    t.row("a leader that is removed -> leadership goes first", || {
        let host = leader();
        host.stub("etcdctl.endpoint-health", r#"[{"endpoint":"https://10.0.0.2:2379","health":true}]"#);
        host.stub("etcdctl.script", "case \"$*\" in *'member remove'*) : >\"$STUB/etcdctl.member-list\" ;; esac\n");
        let through = vec!["https://10.0.0.2:2379".to_string()];
        let member = Member { name: "m1".into(), peer_url: "https://10.0.0.1:2380".into(), through, want: MemberState::Gone };
        let end = host.apply(member);
        all(&host, [ended(&end, "done"), handed_over(&host)])
    });
}
