#!/bin/bash
# The load balancer is down, or uses a wrong backend, during a rollout: clusterctl reaches the masters without it, and names it.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
fault 20 "the machine of the load balancer is down during a change"
change
lab kill lb1
tried apply; status=$?
check "exit 1 (exit $status)" test $status = 1
check "I9: the message names the balancer and what to do" explains lb1 'connect|no answer|reach|refused|route'
for m in "${MASTERS[@]}"; do check "the change is on $m nevertheless" changed "$m"; done
note_files
lab start lb1
check "the balancer is back" wait_until 60 kubectl --request-timeout 2s get --raw /readyz
check "every node is Ready again" wait_until 120 nodes_ready 5
recovers
holds

fault 20 "the load balancer uses a wrong backend"
on lb1 sh -c "sed -i '/^ *server m/s/:6443/:6444/' /etc/haproxy/haproxy.cfg && systemctl restart haproxy"
change
expect "plan shows the difference" 6 tried plan
check "plan names the balancer's configuration" output_has 'haproxy.cfg'
recovers
changed_everywhere
holds
finish
