#!/bin/bash
# etcd on hosts of its own: the API stays available when one of them dies, and another machine takes its place.
# Needs: nothing; makes its own hosts, of which those for etcd are bare. Leaves: two control-plane hosts, a worker and a balancer without a cluster.
. "$(dirname "$0")/lib.sh"
kind=${CLUSTERCTL_LAB_HOSTS:-debian12} prepared=$kind-prepared
lab down >/dev/null 2>&1
check "prepared nodes, a prepared balancer and bare hosts for etcd start" lab up --masters 2 --workers 1 --etcds 3 \
    --hosts "$prepared,$prepared,$prepared,$prepared,$kind,$kind,$kind"
lab_inventory external-etcd.yaml
start=$(millis)
check "init" ctl init
say "init with external etcd, etcd hosts bare: $(($(millis) - start)) ms"
check "kubeconfig" ctl kubeconfig --yes --output-file "$KUBECONFIG"
check "three nodes are Ready" nodes_ready 3
check "three voting members" test "$(members e2)" = "e1 e2 e3"
check "their databases are defragmented" ctl etcd defrag --all --yes
check "the leadership moves to another member" ctl etcd move-leader
check "etcd's CA key is on no master" on m1 test ! -e /etc/kubernetes/pki/etcd/ca.key
check "no etcd runs on a master" on m1 sh -c '! pgrep -x etcd'
check "status reports a healthy cluster" ctl status
expect "nothing is left to do" 0 ctl plan

write_begin
lab kill e1
check "the API accepts writes without e1" wait_until 20 can_write without-e1
# An API server may detect that the member of e1 is gone only when a request to it fails, so the reads are repeated until they all succeed.
check "twenty reads in a row succeed without e1" wait_until 20 can_read without-e1
lab destroy e1
check "a dead member is removed" ctl remove e1 --dead --yes
check "two voting members are left" test "$(members e2)" = "e2 e3"
lab add e1 $SUBNET.41 >/dev/null
check "a new machine joins" ctl join
check "three voting members again" test "$(members e2)" = "e1 e2 e3"
kill "$WRITER"; wait "$WRITER"
say "writer during the death and the replacement of a member: $(cat "$WORK/writer.out")"
check "no acknowledged write is missing" grep -q ' missing 0 ' "$WORK/writer.out"
check "every API server knows the members" on m2 grep -q -- "--etcd-servers=https://$SUBNET.41:2379,https://$SUBNET.42:2379,https://$SUBNET.43:2379" /etc/kubernetes/manifests/kube-apiserver.yaml
expect "nothing is left to do after the replacement" 0 ctl plan

# Another etcd image is rolled out, one member after another. Then an etcd that does not start is rolled out, and the host puts the previous one back
# by itself.
# process HOST: prints the start time of the etcd process, the path of its executable, the image from which the executable came, and /etc/etcd.env
process() { on "$1" sh -c 'pid=$(pgrep -xo etcd) && stat -c %Y /proc/$pid && readlink /proc/$pid/exe && sed -n 2p /var/lib/clusterctl/binaries/etcd && cat /etc/etcd.env'; }
same() { process "$1" | cmp -s - "$WORK/etcd-$1"; }
keep() { for e in e1 e2 e3; do process $e >"$WORK/etcd-$e"; done; }
check "releases that are broken on purpose are built" lab build --broken
write_begin
keep
set_etcd_tag "$ETCD_NEXT"
check "another etcd is applied" tried apply
for e in e1 e2 e3; do
    check "$e runs the other etcd" sh -c "on $e cat /var/lib/clusterctl/binaries/etcd | grep -q etcd:$ETCD_NEXT"
    if same $e; then fail "$e was restarted for it"; else pass "$e was restarted for it"; fi
    check "nothing is kept on $e any more" on $e test ! -e /var/lib/clusterctl/spare
done
expect "nothing is left to do after the change of etcd" 0 ctl plan
good=$(cat "$CLUSTERCTL_INVENTORY")
keep
set_etcd_tag "$ETCD_BROKEN"
start=$(millis)
expect "an etcd that does not start is put back" 1 tried apply
say "found and put back in $(($(millis) - start)) ms"
check "the message has the last lines of its log" output_has 'broken on purpose'
check "the previous etcd serves" output_has 'the previous etcd is back and serves'
untouched=0
for e in e1 e2 e3; do same $e && untouched=$((untouched + 1)); done
check "the other two were not touched" test $untouched = 2
check "three voting members" test "$(members e2)" = "e1 e2 e3"
printf '%s\n' "$good" >"$CLUSTERCTL_INVENTORY"
check "an apply without the broken etcd succeeds" ctl apply
expect "nothing is left to do after the rollback" 0 ctl plan
on e2 rm /etc/etcd.env
expect "plan shows a deleted file of etcd" 6 ctl plan
check "apply writes the file again" ctl apply
expect "nothing is left to do after that" 0 ctl plan
kill "$WRITER"; wait "$WRITER"
say "writer during both changes: $(cat "$WORK/writer.out")"
check "no acknowledged write is missing" grep -q ' missing 0 ' "$WORK/writer.out"
check "reset" ctl reset --yes --keep-software
check "no data and no service is left on e2" on e2 sh -c '[ ! -e /var/lib/etcd/member ] && [ ! -e /etc/systemd/system/etcd.service ] && ! pgrep -x etcd'
for e in e1 e2 e3; do lab destroy $e; done
finish
