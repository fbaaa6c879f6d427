#!/bin/bash
# An apply that replaces every API server is killed (SIGKILL), each time after one more step; the hosts themselves complete what was begun.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
# killed_after N: runs the apply and kills it after N completed steps; prints the last completed step, or nothing if the apply exited by itself
killed_after() {
    local line at='' pid n=0
    rm -f "$NOTES/fifo"; mkfifo "$NOTES/fifo"
    ctl apply >"$NOTES/fifo" 2>&1 & pid=$!
    while read -r line; do
        case $line in
            *' ... still running'*|*'has its quorum'*) ;;
            *': '*' ... '*) n=$((n + 1)); [ $n -lt "$1" ] || { kill -KILL "$pid" 2>/dev/null; at=${line% ... *}; break; } ;;
        esac
    done <"$NOTES/fifo"
    wait "$pid" 2>/dev/null
    echo "$at"
}

fault 1 "SIGKILL of clusterctl at step boundaries of an apply"
change
kills=0
for n in $(seq "${KILLS:-5}"); do
    check "I8: the lock of a run that was killed is released" wait_until 45 unlocked
    at=$(killed_after "$n")
    [ -n "$at" ] || break
    kills=$((kills + 1))
    note_files
    say "killed after: $(cut -c1-100 <<<"$at")"
    check "the hosts complete what was begun without clusterctl" wait_until 240 settled
    check "every API server serves" wait_until 60 all_serve
    note_files
done
check "the apply was killed at least three times ($kills)" test "$kills" -ge 3
recovers
changed_everywhere
holds
finish
