#!/bin/bash
# The load balancer is gone, or sends to a wrong backend, while a change is rolled out: the masters are reached without it, and it is named.
# Needs: the 3+2 cluster, which is founded on prepared hosts where it does not stand. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
fault 20 "the machine of the load balancer is gone during a change"
change
lab kill lb1
tried apply; status=$?
check "exit 1 (exit $status)" test $status = 1
check "I9: the balancer is named, and what to do" explains lb1 'connect|no answer|reach|refused|route'
for m in "${MASTERS[@]}"; do check "the change is on $m all the same" changed "$m"; done
note_files
lab start lb1
check "the balancer is back" until_true 60 kubectl --request-timeout 2s get --raw /readyz
check "every node is Ready again" until_true 120 nodes_ready 5
recovers
holds

fault 20 "the load balancer sends to a wrong backend"
on lb1 sh -c "sed -i '/^ *server m/s/:6443/:6444/' /etc/haproxy/haproxy.cfg && systemctl restart haproxy"
change
expect "plan shows it" 6 tried plan
check "the balancer's configuration" says 'haproxy.cfg'
recovers
changed_everywhere
holds
finish
