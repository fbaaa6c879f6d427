#!/bin/bash
# A fourth master joins: the join is refused while an etcd member is dead, and if the new host loses its power as a learner, the same command
# completes the work.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
# with_m4: adds a fourth master to the inventory and starts its host, which is prepared
with_m4() {
    cp "$CLUSTERCTL_INVENTORY" "$NOTES/inventory"
    sed -i "s|^  - name: w1\$|  - name: m4\n    address: $SUBNET.14\n    roles: [control-plane]\n&|" "$CLUSTERCTL_INVENTORY"
    lab destroy m4 >/dev/null 2>&1
    lab add m4 "$SUBNET.14" debian12-prepared >/dev/null 2>&1
}
# without_m4: removes the host m4, and its entry in the inventory
without_m4() { cat "$NOTES/inventory" >"$CLUSTERCTL_INVENTORY"; lab destroy m4 >/dev/null 2>&1; }
clean_m4() { on m4 sh -c '[ ! -e /etc/kubernetes/manifests/etcd.yaml ] && [ ! -e /var/lib/etcd/member ]'; }
learner() { etcdctl_on m1 member list | grep -q 'true$'; }
one_url_each() { [ -z "$(etcdctl_on m1 member list | cut -d, -f4 | sort | uniq -d)" ]; }
away_m3() { ! etcdctl_on m3 endpoint health; }

fault 8 "one of three members is dead when a master is to join"
check "a fourth host is added" with_m4
on m3 mv /etc/kubernetes/manifests/etcd.yaml /run/etcd.yaml
check "the member of m3 is dead" wait_until 60 away_m3
expect "the join is refused" 4 tried join m4
check "I9: the refusal names the check and what to do" refuses - etcd-member-away
check "the refusal names m3 and how to remove it" output_has 'm3.*a newcomer would only raise the quorum'
check "nothing is on the new host" clean_m4
check "there are still three members" test "$(etcdctl_on m1 member list | wc -l)" = 3
on m3 mv /run/etcd.yaml /etc/kubernetes/manifests/etcd.yaml
check "the member is back" wait_until 120 all_vote
without_m4
change
recovers
holds

fault 4 "a master loses its power in the middle of a join, after MemberAdd"
check "a fourth host is added" with_m4
begin join m4
check "its member is a learner" wait_until 120 learner
lab kill m4
wait "$RUN"; status=$?; RUN=
check "exit 1 or 5 (exit $status)" test "$status" = 1 -o "$status" = 5
check "I9: the message names m4, its step and what to do" explains m4 .
check "no two members have one peer URL" one_url_each
lab start m4 >/dev/null 2>&1
recovers join m4
check "no two members have one peer URL" one_url_each
check "four members vote" test "$(members m1)" = "m1 m2 m3 m4"
expect "m4 is removed" 0 tried remove m4 --yes
without_m4
holds
finish
