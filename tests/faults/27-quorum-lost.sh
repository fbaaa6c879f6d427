#!/bin/bash
# Two of three masters are down: every command that would change the cluster is refused or changes nothing, and works again when they are back.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
fault 27 "etcd has lost its quorum"
# This fault itself makes two etcd members unavailable, so away.py, which counts that as a violation of I3, is terminated before.
check "the members are watched" wait_until 20 test -e "$NOTES/away.log"
kill "$AWAY"; wait "$AWAY"; AWAY=''
change
lab kill m2
lab kill m3
# answers COMMAND: checks that the command fails and has a hint that names what to do next
answers() {
    # shellcheck disable=SC2086
    timeout 300 "$WORK/bin/ctl" $1 >"$WORK/tried.log" 2>&1; status=$?
    check "$1 fails (exit $status)" test $status != 0
    check "I9: $1: the message has a hint" grep -q '^hint: ' "$WORK/tried.log"
    check "$1: nothing was changed on m1" unchanged m1
}
# The hosts m2 and m3 do not answer, but they may come back with their data, so etcd must not continue from m1 alone.
for verb in "remove w2 --yes" "remove m2 --dead --yes" "reset --limit m1 --yes" "etcd recover --from m1 --yes"; do
    answers "$verb"
    check "$verb is refused" test $status = 4
done
for verb in apply "upgrade --version $VERSION" "join w2" "drain w2 --timeout 5s" "maintenance m1 -- true"; do
    answers "$verb"
    check "$verb is refused" test $status = 4
    check "I9: $verb: the refusal is about the quorum of etcd" refuses - etcd-quorum
done
check "nothing was changed on m1" unchanged m1
lab start m2
lab start m3
check "the members are back" wait_until 180 all_vote
check "every API server serves" wait_until 120 all_serve
check "five nodes are Ready again" wait_until 120 nodes_ready 5
recovers
changed_everywhere
holds
finish
