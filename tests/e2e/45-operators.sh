#!/bin/bash
# Two operators at once: pairs of commands that change the same cluster start within a second of each other. One of the two succeeds; the other one
# exits with 7 and names the run that holds the lock. Two etcd members are never unavailable at the same time.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
needs_cluster

# away_begin: starts away.py, which records every moment in which two or more etcd members did not answer
away_begin() {
    local urls; mapfile -t urls < <(member_urls)
    python3 "$E2E/away.py" "$(etcd_client)" "$WORK" "${urls[@]}" & AWAY=$!
}
# differs HOST...: changes the kubelet's configuration on these hosts. The apply that corrects it restarts the kubelet, so it runs for some time, in
# which the other command of a pair starts.
differs() { local h; for h in "$@"; do on "$h" sh -c 'echo "maxPods: 7" >>/var/lib/kubelet/config.yaml'; done; }
# pair DELAY A -- B: runs clusterctl with the arguments A and, DELAY seconds later, with the arguments B; checks that one run succeeds, and that the
# other one exits with 7 and names the run that it met
pair() {
    local delay=$1 a=$2 b=$4 one two first second
    ctl $a >"$WORK/first.log" 2>&1 & first=$!
    sleep "$delay"
    ctl $b >"$WORK/second.log" 2>&1 & second=$!
    wait $first; one=$?
    wait $second; two=$?
    case $one/$two in
        0/7) says_who second || return ;;
        7/0) says_who first || return ;;
        *) fail "$a, and $b after $delay s: exits $one and $two"; said "$(cat "$WORK/first.log")"; said "$(cat "$WORK/second.log")"; return ;;
    esac
    pass "$a, and $b after $delay s: exits $one and $two"
}
# says_who WHICH: checks that the run that exited with 7 names the other run; WHICH, `first` or `second`, is the one of the pair that exited with 7
says_who() {
    grep -qE 'is locked by run|was changed by run' "$WORK/$1.log" && return
    fail "the run that had to stop does not name the other one"
    said "$(cat "$WORK/$1.log")"
    return 1
}
# mended: runs another apply, which makes the changes that the run with exit status 7 did not make, and checks that plan is then empty
mended() { expect "nothing is left to do after another apply" 0 sh -c 'ctl apply >/dev/null 2>&1; ctl plan'; }

away_begin
for delay in 0 0.7; do
    differs m2 m3
    pair $delay "apply --limit m2" -- "apply --limit m3"
    mended
    differs m1
    pair $delay "apply" -- "maintenance m2 -- sleep 2"
    mended
    differs m3
    pair $delay "maintenance m2 -- sleep 2" -- "apply --limit m3"
    mended
    pair $delay "maintenance m1 -- sleep 4" -- "maintenance m3 -- sleep 4"
    pair $delay "maintenance m2 m3 -- sleep 2" -- "maintenance m3 m2 -- sleep 2"
    differs w1
    pair $delay "apply" -- "apply"
    mended
    differs w1
    pair $delay "maintenance w1 -- sleep 3" -- "apply --limit w1"
    mended
    pair $delay "maintenance w1 -- sleep 4" -- "maintenance w1 -- sleep 4"
    pair $delay "maintenance w2 -- sleep 5" -- "remove w2 --yes"
    ctl remove w2 --yes >/dev/null 2>&1
    pair $delay "join w2" -- "join w2"
    expect "nothing is left to do after another join" 0 sh -c 'ctl join w2 >/dev/null 2>&1; ctl plan'
done
kill "$AWAY"; wait "$AWAY"
check "two etcd members were never unavailable at the same time" grep -q '^moments 0 ' "$WORK/away.out"
cat "$WORK/away.out"
check "three voting members" test "$(members m2)" = "m1 m2 m3"
check "five nodes are Ready" nodes_ready 5
check "no node is cordoned" test -z "$(kubectl get nodes --no-headers | grep SchedulingDisabled)"
finish
