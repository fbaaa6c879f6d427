#!/bin/bash
# Somebody deletes the bootstrap token of a join as soon as it exists, and the run that made a token is killed: no token is left behind.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
tokens() { kubectl -n kube-system get secrets --field-selector type=bootstrap.kubernetes.io/token -o name; }
some_token() { [ -n "$(tokens)" ]; }
joined() { [ -n "$(kubectl get node w2 --ignore-not-found -o name)" ]; }

fault 22 "somebody deletes the bootstrap token in the middle of a join"
expect "w2 is removed" 0 tried remove w2 --yes
expect "the machine of w2 is clean" 0 on w2 test ! -e /var/lib/kubelet/pki
begin join w2 --wait-timeout 1m
check "the token exists" wait_until 120 some_token
tokens | xargs -r kubectl -n kube-system delete >/dev/null
wait "$RUN"; status=$?; RUN=
say "the join ended with $status"
case $status in
    0) pass "the kubelet was faster, or another token was made" ;;
    *) check "I9: the message names w2, the step, the cause and what to do" explains w2 'not ready|token|nauthorized' ;;
esac
note_files
recovers join w2
holds

fault 22 "the run that made a bootstrap token is killed"
expect "w2 is removed" 0 tried remove w2 --yes
begin join w2
check "the token exists" wait_until 120 some_token
kill -KILL "$RUN"; wait "$RUN" 2>/dev/null; RUN=
first=$(tokens)
note_files
recovers join w2
check "the token of the killed run is deleted" test -z "$(tokens | grep -F "${first:-none}")"
check "w2 has joined" joined
holds
finish
