#!/bin/bash
# The bootstrap token of a join is deleted by somebody as soon as it is there; and the run that made one is killed: no token is left behind.
# Needs: the 3+2 cluster, which is founded on prepared hosts where it does not stand. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
tokens() { kubectl -n kube-system get secrets --field-selector type=bootstrap.kubernetes.io/token -o name; }
some_token() { [ -n "$(tokens)" ]; }
joined() { [ -n "$(kubectl get node w2 --ignore-not-found -o name)" ]; }

fault 22 "somebody deletes the bootstrap token in the middle of a join"
expect "w2 leaves" 0 tried remove w2 --yes
expect "its machine is clean" 0 on w2 test ! -e /var/lib/kubelet/pki
begin join w2 --wait-timeout 1m
check "the token is there" until_true 120 some_token
tokens | xargs -r kubectl -n kube-system delete >/dev/null
wait "$RUN"; status=$?; RUN=
say "the join ended with $status"
case $status in
    0) pass "the kubelet was faster, or another token was made" ;;
    *) check "I9: w2, the step, the cause, what to do" explains w2 'not ready|token|nauthorized' ;;
esac
note_files
recovers join w2
holds

fault 22 "the run that made a bootstrap token is killed"
expect "w2 leaves" 0 tried remove w2 --yes
begin join w2
check "the token is there" until_true 120 some_token
kill -KILL "$RUN"; wait "$RUN" 2>/dev/null; RUN=
first=$(tokens)
note_files
recovers join w2
check "the token of the killed run is gone" test -z "$(tokens | grep -F "${first:-none}")"
check "w2 is in once" joined
holds
finish
