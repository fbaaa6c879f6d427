#!/bin/bash
# An upgrade of 3+2 is killed again and again, after every few steps, and the same command continues it; then a worker dies during its change: the
# other worker is upgraded, the dead one is named, and the next run changes only that one.
# Needs: the hosts and the inventory of 80-upgrade.sh, with or without a cluster. Leaves: the 3+2 cluster at the next release.
. "$(dirname "$0")/lib.sh"
every=${EVERY:-3}
check "reset before" sh -c "ctl reset --yes --keep-software || lab fresh"
set_version "$VERSION"
set_etcd_tag "$ETCD_TAG"
check "init" ctl init
check "kubeconfig" ctl kubeconfig --yes --output-file "$KUBECONFIG"
web_manifest | kubectl apply -f - >/dev/null
set_etcd_tag "$ETCD_NEXT"
write_begin

# killed_after N: runs the upgrade and kills it right after N completed steps or when the phase of the workers begins. Prints the last step, `workers`
# if that phase has begun, `locked` if an earlier run still holds a lock, or nothing if the run exited by itself.
killed_after() {
    local line at='' pid n=0
    rm -f "$WORK/fifo"; mkfifo "$WORK/fifo"
    ctl upgrade --version $NEXT >"$WORK/fifo" 2>&1 &
    pid=$!
    while read -r line; do
        echo "$line" >>"$WORK/upgrade-crash.log"
        case $line in
            'workers ('*) kill -KILL "$pid" 2>/dev/null; at=workers; break ;;
            *': '*' ... still running'*) ;;
            # Steps that every run repeats are not counted, so that each run makes progress before it is killed.
            *'check the flags of '*|*'save a snapshot'*|*'has its quorum'*) ;;
            *': '*' ... '*) n=$((n + 1)); [ $n -lt "$1" ] || { kill -KILL "$pid" 2>/dev/null; at=${line% ... *}; break; } ;;
            *'is locked'*) at=locked; break ;;
        esac
    done <"$WORK/fifo"
    wait "$pid" 2>/dev/null
    echo "$at"
}
: >"$WORK/upgrade-crash.log"
kills=0
for _ in $(seq 80); do
    at=$(killed_after "$every")
    [ -n "$at" ] && [ "$at" != workers ] || break
    [ "$at" = locked ] && continue
    kills=$((kills + 1))
    say "killed after: $(cut -c1-110 <<<"$at")"
done
check "killed at 15 steps or more, the upgrade reaches the workers ($kills kills)" test "$kills" -ge 15 -a "$at" = workers
check "the control plane is upgraded" test -z "$(kubectl get nodes --no-headers | awk '$1 ~ /^m/ && $5 != "'$NEXT'"')"

# The worker w2 dies during its change. Both workers are drained at the same time, and w2 does not return, so no PodDisruptionBudget could be kept and
# that of web.yaml is deleted.
kubectl delete poddisruptionbudget web >/dev/null
rm -f "$WORK/fifo"; mkfifo "$WORK/fifo"
wait_until 60 sh -c "! ctl upgrade --version $NEXT --dry-run 2>&1 | grep -q locked"
ctl upgrade --version $NEXT --max-unavailable 2 >"$WORK/fifo" 2>&1 &
pid=$!
while read -r line; do
    echo "$line" >>"$WORK/upgrade-crash.log"
    # w2 is killed after its pods have left it, because the drain would wait for pods of a dead machine until its deadline.
    case $line in *'still running'*) ;; *'w2: drain node w2 ... '*) lab kill w2 ;; esac
done <"$WORK/fifo"
wait $pid; status=$?
# Depending on the step that w2 is at when it dies, its connection breaks or clusterctl waits in vain for the node to be Ready. Both end with exit
# status 1.
check "a worker dies during its change: exit 1" test $status = 1
check "the worker is named" sh -c "tail -n 20 '$WORK/upgrade-crash.log' | grep -q '^error: w2'"
check "the other worker is upgraded" test "$(kubectl get node w1 -o jsonpath='{.status.nodeInfo.kubeletVersion}')" = $NEXT
lab start w2
wait_until 60 on w2 systemctl is-active -q kubelet
ctl upgrade --version $NEXT >"$WORK/last.log" 2>&1; status=$?
check "the next run completes the work" test $status = 0
check "the next run changes no other node" sh -c "! grep -E '^  (w1|m[123]): (drain|run static|start or restart)' '$WORK/last.log'"

kill "$WRITER"; wait "$WRITER"
say "writer: $(cat "$WORK/writer.out")"; tail -n 5 "$WORK/writer.log"
check "no acknowledged write is missing" grep -q ' missing 0 ' "$WORK/writer.out"
check "five nodes are Ready at $NEXT" wait_until 60 at_version $NEXT 5
check "no node stays cordoned" test -z "$(kubectl get nodes --no-headers | grep SchedulingDisabled)"
check "three voting members" test "$(members m2)" = "m1 m2 m3"
expect "nothing is left to do" 0 ctl plan
for h in "${HOSTS[@]}"; do
    check "no incomplete file is on $h" sh -c "! on $h find /etc /usr/local /var/lib/kubelet/pki /var/lib/clusterctl \( -name '*.clusterctl-new' -o -name '*.part' -o -name '.*.swap' \) 2>/dev/null | grep ."
done
rm -f "$WORK"/ha-etcd-*.db
finish
