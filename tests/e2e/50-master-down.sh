#!/bin/bash
# Any one master may stop: the API goes on through the balancer, and the master comes back without help.
. "$(dirname "$0")/lib.sh"
all_vote() { [ "$(members "$1")" = "m1 m2 m3" ]; }
for m in "${MASTERS[@]}"; do
    lab kill "$m" >/dev/null 2>&1
    check "the API answers through the balancer without $m" until_true 15 kubectl --request-timeout 2s get nodes
    check "it accepts writes without $m" until_true 20 stored "without-$m"
    check "twenty reads in a row succeed without $m" reads "without-$m"
    expect "status says what is wrong without $m" 1 ctl status
    lab start "$m" >/dev/null 2>&1
    check "$m comes back by itself" until_true 120 on "$m" curl -sfk https://127.0.0.1:6443/readyz
    check "all members vote again" until_true 60 all_vote "$m"
done
check "all nodes are Ready" until_true 90 nodes_ready 5
check "nothing differs afterwards" until_true 60 "$CTL" plan
finish
