#!/bin/bash
# clusterctl is stopped (SIGSTOP) for longer than its lease, another run takes the lock, and then clusterctl continues; two operators; a killed
# holder.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
fault 29 "SIGSTOP for longer than the lease, a takeover, SIGCONT"
change
begin apply
check "the API server of m1 is being replaced" wait_until 180 swapping m1
kill -STOP "$RUN"
second() { timeout 120 "$WORK/bin/ctl" apply >"$WORK/second.log" 2>&1; }
second; status=$?
check "I8: during the lease, another run is refused (exit $status)" test "$status" = 7
check "I9: the message names the holder, its machine and its time" grep -qE 'is locked by run [0-9a-f]+ .*@.* since ' "$WORK/second.log"
check "I8: the lease ends" wait_until 60 unlocked
ctl apply >"$WORK/second.log" 2>&1 & taker=$!
comes() { grep -qE 'm[12]: run static pod kube-apiserver .* \.\.\. |m2: ' "$WORK/second.log"; }
check "the other run makes progress" wait_until 120 comes
note_files
kill -CONT "$RUN"
ends "the first run stops: its lock was taken over" 7
check "I9: the message names the other run" output_has 'the lock was taken over by run\|now belongs to run'
wait $taker; status=$?
check "the other run completes its work (exit $status)" test $status = 0
changed_everywhere
recovers
holds

fault 15 "two operators, and SIGKILL of the one that holds the lock"
change
begin apply
check "the API server of m1 is being replaced" wait_until 180 swapping m1
second; status=$?
check "the second run is refused (exit $status)" test $status = 7
check "I9: the message names the host and the holder" grep -qE '^error: m[123] is locked by run .*@.* age [0-9]+s' "$WORK/second.log"
check "I9: the message has a hint" grep -q '^hint: ' "$WORK/second.log"
kill -KILL "$RUN"; wait "$RUN" 2>/dev/null; RUN=
note_files
recovers
changed_everywhere
holds
finish
