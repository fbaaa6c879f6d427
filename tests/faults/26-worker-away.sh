#!/bin/bash
# One worker does not answer from the start, and one dies in the middle of a run: all other work is done, and the worker is reported.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
differs() { local h; for h in "$@"; do on "$h" sh -c 'echo "maxPods: 7" >>/var/lib/kubelet/config.yaml'; done; }
mended() { ! on "$1" grep -q '^maxPods: 7' /var/lib/kubelet/config.yaml; }

fault 26 "a worker does not answer from the start"
differs w1
change
lab cut w2
tried apply; status=$?
check "exit 1, and the other hosts are changed (exit $status)" test $status = 1
check "I9: the message names w2, the cause and what to do" explains w2 'no answer within|connection|timed out'
changed_everywhere
check "w1 is corrected" mended w1
no_token_made() { ! grep -q 'make a bootstrap token for w2' "$WORK/tried.log"; }
check "no bootstrap token is made for a node of the cluster that does not answer" no_token_made
lab heal w2
check "w2 is Ready again" wait_until 60 nodes_ready 5
recovers
holds

fault 26 "a worker dies in the middle of a run"
differs w1 w2
change
begin apply
reaches 'm1: run static pod kube-apiserver .* \.\.\. '
lab kill w2
wait "$RUN"; status=$?; RUN=
check "exit 1, and the other hosts are changed (exit $status)" test "$status" = 1
check "I9: the message names w2, its step, the cause and what to do" explains w2 '.'
for m in "${MASTERS[@]}"; do check "steps of the control plane do not wait for w2: the change is on $m" changed "$m"; done
check "w1 is corrected" mended w1
lab start w2
check "w2 is Ready again" wait_until 120 nodes_ready 5
recovers
holds
finish
