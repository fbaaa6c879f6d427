#!/bin/bash
# etcd members are added and removed while a writer runs: 1+1 grows to 3+3 and shrinks again, and no acknowledged write is lost.
# Needs: nothing; makes its own prepared hosts. Leaves: the cluster of m1 and w1 behind lb1, and unused hosts.
. "$(dirname "$0")/lib.sh"
CTL_LOG=$WORK/members.log
: >"$CTL_LOG"
logged() { ctl "$@" 2>&1 | tee -a "$CTL_LOG"; return "${PIPESTATUS[0]}"; }
# write_end WHAT: stops writer.py and checks that no acknowledged write is lost. Failed requests are only printed and not judged, because on a busy
# machine one may fail.
write_end() {
    kill "$WRITER"; wait "$WRITER"
    say "writer: $(cat "$WORK/writer.out")"
    check "$1: no acknowledged write is missing" grep -q ' missing 0 ' "$WORK/writer.out"
    tail -n 5 "$WORK/writer.log"
}

lab down >/dev/null 2>&1
check "prepared hosts for 3+3 start, which no cluster has used" lab up --masters 3 --workers 3 --prepared
lab_inventory ha-haproxy.yaml
sed -i "s|^  - name: lb1|  - name: w3\n    address: $SUBNET.23\n    roles: [worker]\n  - name: lb1|" "$CLUSTERCTL_INVENTORY"
cp "$CLUSTERCTL_INVENTORY" "$FULL"
inventory_of m1 w1 lb1
check "init of 1+1" logged init
check "kubeconfig" ctl kubeconfig --yes --output-file "$KUBECONFIG"
kubectl create deployment stays --image="$AGNHOST" -- /agnhost netexec >/dev/null

write_begin
inventory_of m1 m2 m3 w1 w2 w3 lb1
expect "a dry run of join changes nothing" 0 ctl join --dry-run
start=$(millis)
check "join of two masters and two workers" logged join
say "join of 2 masters and 2 workers: $(($(millis) - start)) ms"
check "six nodes are Ready" nodes_ready 6
check "three voting members" test "$(members m2)" = "m1 m2 m3"
expect "etcd status finds etcd healthy" 0 tried etcd status
check "three members may lose one" output_has '3 healthy; quorum 2, 1 may fail'
check "etcd keys counts the keys of the six nodes" output_has '^6 *nodes' ctl etcd keys
check "etcd keys lists the keys below a prefix" output_has '^/registry/minions/w3$' ctl etcd keys minions/
check "etcd get describes a key" output_has 'encoding *protobuf' ctl etcd get namespaces/default
expect "certs list finds no certificate that expires within 30 days" 0 ctl certs list
expect "certs list finds some that expire within 400 days" 1 ctl certs list --within 400d
expect "a further join changes nothing" 0 ctl join
expect "nothing is left to do after the join" 0 ctl plan
# etcd is maintained while the writer runs.
check "there is no alarm" output_has '^no alarm' ctl etcd alarm list
check "small databases are left as they are" output_has 'm1 is left as it is: its database has only' ctl etcd defrag
last() { test "$(ctl etcd defrag --all --dry-run | grep -o '[^ ]*: defragment' | tail -n 1)" = "$(ctl etcd status | awk '/leads/ { print $1 }'): defragment"; }
check "a dry run of defrag shows the leader's database last" last
start=$(millis)
expect "all databases are defragmented" 0 tried etcd defrag --all --yes
say "defragmentation of three members: $(($(millis) - start)) ms"
check "the sizes before and after are shown" output_has '^m3 .* MiB .* MiB'
check "there is no alarm to disarm" output_has 'nothing to do' ctl etcd alarm disarm
check "the history is compacted" ctl etcd compact --keep 100 --yes
check "etcd is healthy afterwards" ctl etcd status
# m3 is removed first. Before that, its etcd member is made the leader, so that the removal must hand the leadership over.
check "the leadership moves to m3" ctl etcd move-leader m3
check "moving it there again is nothing to do" output_has 'nothing to do' ctl etcd move-leader m3
leads() { etcdctl_on "$1" -w json endpoint status | python3 -c 'import json, sys; s = json.load(sys.stdin)[0]["Status"]; sys.exit(s["leader"] != s["header"]["member_id"])'; }
check "m3 leads" leads m3
start=$(millis)
check "remove of two masters and two workers, one by one" sh -c "for h in m3 w3 m2 w2; do ctl remove --yes \$h >>'$CTL_LOG' 2>&1 || exit 1; done"
say "remove of 2 masters and 2 workers: $(($(millis) - start)) ms"
inventory_of m1 w1 lb1
check "two nodes are Ready" nodes_ready 2
check "leadership was handed over, not elected" on m1 sh -c 'grep -q MsgTimeoutNow /var/log/pods/kube-system_etcd-*/etcd/*.log'
check "one voting member" test "$(members m1)" = m1
check "no file of the cluster is left on m3" on m3 test ! -e /etc/kubernetes -a ! -e /var/lib/etcd/member
expect "nothing is left to do" 0 ctl plan
write_end "1+1 to 3+3 to 1+1"
finish
