#!/bin/bash
# Any one master may stop: the API stays available through the balancer, and the master recovers without help. If the static pod manifests of all API
# servers are deleted, `apply` restores them.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
needs_cluster
all_vote() { [ "$(members "$1")" = "m1 m2 m3" ]; }
for m in "${MASTERS[@]}"; do
    lab kill "$m" >/dev/null 2>&1
    check "the API answers through the balancer without $m" wait_until 15 kubectl --request-timeout 2s get nodes
    check "it accepts writes without $m" wait_until 20 can_write "without-$m"
    check "twenty reads in a row succeed without $m" can_read "without-$m"
    expect "status reports the fault without $m" 1 ctl status
    lab start "$m" >/dev/null 2>&1
    check "the API server of $m recovers by itself" wait_until 120 on "$m" curl -sfk https://127.0.0.1:6443/readyz
    check "all members vote again" wait_until 60 all_vote "$m"
done
check "all nodes are Ready" wait_until 90 nodes_ready 5
check "nothing differs afterwards" wait_until 60 ctl plan

write_begin
check "a ConfigMap is written" wait_until 20 can_write before-the-end
for m in "${MASTERS[@]}"; do on "$m" rm /etc/kubernetes/manifests/kube-apiserver.yaml; done
none_left() { local m; for m in "${MASTERS[@]}"; do ! on "$m" pgrep -x kube-apiserver >/dev/null || return 1; done; }
check "no API server runs" wait_until 120 none_left
expect "plan shows the steps that restore them" 6 tried plan
check "plan has such a step for every master" test "$(grep -c 'run static pod kube-apiserver' "$WORK/tried.log")" = 3
start=$(millis)
check "one apply restores them" ctl apply
took=$(($(millis) - start))
say "from no API server to a cluster without differences: $took ms"
check "that took less than two minutes" test $took -lt 120000
check "every node is Ready" wait_until 60 nodes_ready 5
expect "nothing is left to do" 0 wait_until 60 ctl plan
kill "$WRITER"; wait "$WRITER"
say "writer: $(tail -n 1 "$WORK/writer.out")"
check "no acknowledged write is missing" grep -q ' missing 0 ' "$WORK/writer.out"
finish
