#!/bin/bash
# etcd on hosts of its own: the API outlives one of them, and another machine takes its place.
. "$(dirname "$0")/lib.sh"
member_names() {
    local p=/etc/kubernetes/pki/etcd
    on "$1" env ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 --cacert $p/ca.crt --cert $p/healthcheck-client.crt \
        --key $p/healthcheck-client.key member list 2>/dev/null | grep 'started.*false$' | cut -d, -f3 | sort | xargs
}
check "hosts" lab up --masters 2 --workers 1 --etcds 3
lab_inventory external-etcd.yaml
start=$(millis)
check "init" ctl init
say "init with external etcd, etcd hosts bare: $(($(millis) - start)) ms"
check "kubeconfig" ctl kubeconfig --yes --output-file "$KUBECONFIG"
check "three nodes are Ready" nodes_ready 3
check "three voting members" test "$(member_names e2)" = "e1 e2 e3"
check "etcd's CA key is on no master" on m1 test ! -e /etc/kubernetes/pki/etcd/ca.key
check "no etcd runs on a master" on m1 sh -c '! pgrep -x etcd'
check "status says healthy" ctl status
expect "nothing is left to do" 0 ctl plan

write_begin
lab kill e1
check "the API accepts writes without e1" kubectl create configmap without-e1
for _ in $(seq 20); do kubectl get --raw /readyz >/dev/null || fail "a read without e1"; done
lab destroy e1
check "a dead member is removed" ctl remove e1 --dead --yes
check "two voting members are left" test "$(member_names e2)" = "e2 e3"
lab add e1 172.30.0.41 >/dev/null
check "a new machine joins" ctl join
check "three voting members again" test "$(member_names e2)" = "e1 e2 e3"
kill "$WRITER"; wait "$WRITER"
say "writer through the death and the replacement of a member: $(cat "$WORK/writer.out")"
check "no acknowledged write is missing" grep -q ' missing 0 ' "$WORK/writer.out"
check "every API server knows the members" on m2 grep -q -- '--etcd-servers=https://172.30.0.41:2379,https://172.30.0.42:2379,https://172.30.0.43:2379' /etc/kubernetes/manifests/kube-apiserver.yaml
expect "nothing is left to do after it" 0 ctl plan
check "reset" ctl reset --yes --keep-software
check "no data and no service is left on e2" on e2 sh -c '[ ! -e /var/lib/etcd/member ] && [ ! -e /etc/systemd/system/etcd.service ] && ! pgrep -x etcd'
for e in e1 e2 e3; do lab destroy $e; done
finish
