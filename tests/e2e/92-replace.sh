#!/bin/bash
# A join is killed at every step and continues; a dead master is replaced by a new machine; hosts that must not join are refused.
# Needs: what 90-members.sh leaves. Leaves: the cluster of m1, m2, m3, w1 and w2 behind lb1.
. "$(dirname "$0")/lib.sh"
# At the beginning, the cluster has the hosts m1, w1 and lb1, and m2, m3, w2 and w3 have been removed from it.
# killed_at_step LAST: runs `ctl join m2` and kills it right after the first step of m2 that is not LAST, the step after which the previous run was
# killed. Prints that step, `locked` if the previous run still holds a lock, or nothing if the run exited by itself.
killed_at_step() {
    local line at='' pid last=$1
    rm -f "$WORK/fifo"; mkfifo "$WORK/fifo"
    ctl join m2 >"$WORK/fifo" 2>&1 &
    pid=$!
    while read -r line; do
        echo "$line" >>"$WORK/replace.log"
        case $line in
            "${last:-none} ... "*) ;;
            # No run is killed after these steps, because every run repeats them and would make no progress.
            *'check the flags of '*|*'has its quorum'*) ;;
            'm2: '*' ... '*) kill -KILL "$pid" 2>/dev/null; at=${line% ... *}; break ;;
            *'holds the lock'*|*'is locked'*) at=locked; break ;;
        esac
    done <"$WORK/fifo"
    wait "$pid" 2>/dev/null
    echo "$at"
}
one_url_each() { [ -z "$(etcdctl_on m1 member list | cut -d, -f4 | sort | uniq -d)" ]; }
no_learner() { ! etcdctl_on m1 member list | grep -q 'true$'; }

: >"$WORK/replace.log"
inventory_of m1 m2 w1 lb1
kills=0 last=''
for _ in $(seq 60); do
    at=$(killed_at_step "$last")
    [ -n "$at" ] || break
    [ "$at" = locked ] && continue
    kills=$((kills + 1)) last=$at
    say "killed after: $(cut -c1-100 <<<"$at")"
    one_url_each || fail "two members with one peer URL"
done
check "a join killed at each of at least 10 steps ends in the same cluster ($kills kills)" test "$kills" -ge 10
check "the same command completes the work" wait_until 120 ctl join m2
check "two voting members" test "$(members m1)" = "m1 m2"
check "no learner is left" no_learner
expect "nothing is left to do" 0 ctl plan
inventory_of m1 m2 m3 w1 lb1
check "a third master joins" ctl join m3

# A host of another cluster, a host with leftovers, and a clone of another machine are refused by name, and nothing is changed.
inventory_of m1 m2 m3 w1 w2 lb1
refused() { out=$(ctl join 2>&1); [ $? = 4 ] && grep -q "$1" <<<"$out"; }
on w2 sh -c 'mkdir -p /var/lib/clusterctl; printf "cluster: other\nca: 0123456789abcdef\n" >/var/lib/clusterctl/cluster'
check "a host of another cluster is refused" refused 'belongs to cluster other'
on w2 rm -rf /var/lib/clusterctl
on w2 sh -c 'mkdir -p /var/lib/etcd/member; echo x >/var/lib/etcd/member/snap'
check "a host with leftovers is refused" refused 'leftovers'
on w2 rm -rf /var/lib/etcd/member
id=$(on w2 cat /etc/machine-id)
on m1 cat /etc/machine-id | on w2 sh -c 'cat >/etc/machine-id'
check "a clone is refused" refused 'same machine-id as m1'
echo "$id" | on w2 sh -c 'cat >/etc/machine-id'
check "no node was made for the clone" sh -c "! kubectl get node w2"

# Of the hosts that are to join, w3 does not answer: w2 joins, and the message names w3.
inventory_of m1 m2 m3 w1 w2 w3 lb1
lab kill w3
out=$(ctl join 2>&1); status=$?
check "one of several hosts is unreachable: exit 1" test $status = 1
check "the unreachable host is named" grep -q w3 <<<"$out"
check "the other host has joined" nodes_ready 5
lab start w3
inventory_of m1 m2 m3 w1 w2 lb1

# The control-plane host m1 has failed for good: it is removed, and a new machine of the same name joins.
lab destroy m1
expect "a dead master is not removed without --dead" 4 ctl remove m1 --yes
check "a dead master is removed with --dead" ctl remove m1 --dead --yes
check "two voting members are left" test "$(members m2)" = "m2 m3"
expect "a running master is not removed with --dead" 4 ctl remove m2 --dead --yes
lab add m1 $SUBNET.11 >/dev/null
start=$(millis)
check "a new machine of the same name joins" ctl join
say "join of a bare master: $(($(millis) - start)) ms"
check "three voting members" test "$(members m2)" = "m1 m2 m3"
check "five nodes are Ready" nodes_ready 5
expect "nothing is left to do" 0 ctl plan

# The new host w3 replaces the running worker w2.
inventory_of m1 m2 m3 w1 w2 w3 lb1
expect "a dry run of replace changes nothing" 0 ctl replace w2 w3 --dry-run
check "no node was made for w3" sh -c "! kubectl get node w3"
check "replace of a running worker" ctl replace w2 w3 --yes
inventory_of m1 m2 m3 w1 w3 lb1
expect "nothing is left to do after the replacement" 0 ctl plan
check "w3 has replaced w2" sh -c "kubectl get node w3 && ! kubectl get node w2"
# The worker w3 has failed for good, and w2, which was removed above, replaces it.
inventory_of m1 m2 m3 w1 w2 w3 lb1
lab destroy w3
check "replace of a dead worker" ctl replace w3 w2 --dead --yes
inventory_of m1 m2 m3 w1 w2 lb1
expect "nothing is left to do after the replacement of a dead worker" 0 ctl plan
check "w2 has replaced w3" sh -c "kubectl get node w2 && ! kubectl get node w3"
# While m1 and m2 are down, a removal of m3 would break the quorum of etcd, so it is refused.
lab kill m1
lab kill m2
out=$(ctl remove m3 --yes 2>&1); status=$?
check "a change that would break the quorum is refused" test $status = 4
lab start m1; lab start m2
check "all members are back" wait_until 120 sh -c "ctl status"
finish
