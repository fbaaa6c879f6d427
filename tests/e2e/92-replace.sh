#!/bin/bash
# A join is killed at every step and goes on; a master dies for good and a new machine takes its place; hosts that may not join are refused.
# Needs: what 90-members.sh leaves. Leaves: the cluster of m1, m2, m3, w1 and w2 behind lb1.
. "$(dirname "$0")/lib.sh"
# Begins with the cluster of m1, w1 and lb1 that 90-members.sh left, and bare hosts beside it.
# killed_at_step LAST: runs the join and kills it right after the first step of m2 in this run that is not LAST; prints that step, or
# nothing when the run ended by itself
killed_at_step() {
    local line at='' pid last=$1
    rm -f "$WORK/fifo"; mkfifo "$WORK/fifo"
    ctl join m2 >"$WORK/fifo" 2>&1 &
    pid=$!
    while read -r line; do
        echo "$line" >>"$WORK/replace.log"
        case $line in
            "${last:-none} ... "*) ;;
            # What is asked anew each time is no progress.
            *'take their flags ... '*|*'has its quorum'*) ;;
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
check "the same command ends the work" until_true 120 ctl join m2
check "two voting members" test "$(members m1)" = "m1 m2"
check "no learner is left" no_learner
expect "nothing is left to do" 0 ctl plan
inventory_of m1 m2 m3 w1 lb1
check "a third one joins" ctl join m3

# A host of another cluster, one with leftovers, a clone of another machine: each is named, and nothing is touched.
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
check "no node was made for it" sh -c "! kubectl get node w2"

# One of several does not answer: the others join, it is named.
inventory_of m1 m2 m3 w1 w2 w3 lb1
lab kill w3
out=$(ctl join 2>&1); status=$?
check "an unreachable one among several: exit 1" test $status = 1
check "it is named" grep -q w3 <<<"$out"
check "the other one is in" nodes_ready 5
lab start w3
inventory_of m1 m2 m3 w1 w2 lb1

# The first master dies for good.
lab destroy m1
expect "a dead master is not removed without being called dead" 4 ctl remove m1 --yes
check "it is, when it is" ctl remove m1 --dead --yes
check "two voting members are left" test "$(members m2)" = "m2 m3"
expect "a living one is not taken for dead" 4 ctl remove m2 --dead --yes
lab add m1 $SUBNET.11 >/dev/null
start=$(millis)
check "a new machine of the same name joins" ctl join
say "join of a bare master: $(($(millis) - start)) ms"
check "three voting members" test "$(members m2)" = "m1 m2 m3"
check "five nodes are Ready" nodes_ready 5
expect "nothing is left to do" 0 ctl plan

# A living host gives its place to another.
inventory_of m1 m2 m3 w1 w2 w3 lb1
expect "a dry run of replace changes nothing" 0 ctl replace w2 w3 --dry-run
check "no node was made for w3" sh -c "! kubectl get node w3"
check "replace of a living worker" ctl replace w2 w3 --yes
inventory_of m1 m2 m3 w1 w3 lb1
expect "nothing is left to do after it" 0 ctl plan
check "w3 is in, w2 is not" sh -c "kubectl get node w3 && ! kubectl get node w2"
# A worker dies for good, and the host that was removed just now takes its place.
inventory_of m1 m2 m3 w1 w2 w3 lb1
lab destroy w3
check "replace of a dead worker" ctl replace w3 w2 --dead --yes
inventory_of m1 m2 m3 w1 w2 lb1
expect "nothing is left to do after that" 0 ctl plan
check "w2 is in, w3 is not" sh -c "kubectl get node w2 && ! kubectl get node w3"
# The quorum is arithmetic, not a matter of taste.
lab kill m1
lab kill m2
out=$(ctl remove m3 --yes 2>&1); status=$?
check "what would break the quorum is refused" test $status = 4
lab start m1; lab start m2
check "all members are back" until_true 120 sh -c "ctl status"
finish
