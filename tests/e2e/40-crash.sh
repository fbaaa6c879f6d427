#!/bin/bash
# An init is killed at any point, and the same command then completes the same cluster; a further run changes nothing.
# $CRASHES (default: 12) runs are killed at random times, on hosts that have their software already.
# Needs: the 3+2 cluster, which is made on prepared hosts if it does not exist. Leaves: that cluster.
. "$(dirname "$0")/lib.sh"
needs_cluster
crashes=${CRASHES:-12}
check "reset before" ctl reset --yes --keep-software
start=$(millis)
check "one init without a crash" ctl init
whole=$(($(millis) - start))
ca=$(on m1 sha256sum /etc/kubernetes/pki/ca.crt | cut -c1-64)
say "an init of prepared hosts takes $whole ms; $crashes random points in that time"
ctl reset --yes --keep-software >/dev/null 2>&1 || fail "reset"
RANDOM=${SEED:-$(date +%s)}
say "seed ${SEED:-$RANDOM}"

n=0
while [ $n -lt "$crashes" ]; do
    # Each run is killed after at most a fifth of the time of a whole init, and the next run continues its work, so the kills are spread over the
    # whole init. If a run completes before it is killed, the cluster is reset.
    delay=$((RANDOM % (whole / 5) + 100))
    ctl init >"$WORK/crash.log" 2>&1 &
    pid=$!
    sleep "$(printf '%d.%03d' $((delay / 1000)) $((delay % 1000)))"
    if kill -KILL $pid 2>/dev/null; then
        n=$((n + 1))
        say "killed after $delay ms at: $(tail -n 1 "$WORK/crash.log" | cut -c1-100)"
    fi
    wait $pid 2>/dev/null; status=$?
    if [ $status = 0 ]; then
        expect "after a run that ended, nothing is left to do" 0 ctl plan
        ctl reset --yes --keep-software >/dev/null 2>&1 || fail "reset"
    elif [ $status != 137 ] && [ $status != 7 ]; then
        fail "an interrupted run was not continued: exit $status: $(tail -n 5 "$WORK/crash.log")"
    fi
done
# A host releases the lock of a killed run when the SSH connection of that run is closed or, at the latest, 30 s after it received the last sign of
# life of that run. Until then, the init is refused and repeated.
check "the same command completes the work" wait_until 240 ctl init
check "a further run changes nothing" sh -c "ctl init | grep -q 'nothing to do'"
ctl kubeconfig --yes --output-file "$KUBECONFIG" >/dev/null
check "five nodes are Ready" wait_until 60 nodes_ready 5
for m in "${MASTERS[@]}"; do check "$m sees three voting members" test "$(members "$m")" = "m1 m2 m3"; done
for m in m2 m3; do
    check "$m has the same CA" test "$(on m1 cat /etc/kubernetes/pki/ca.crt | sha256sum)" = "$(on $m cat /etc/kubernetes/pki/ca.crt | sha256sum)"
done
check "the CA is not that of the cluster that was reset" test "$ca" != "$(on m1 sha256sum /etc/kubernetes/pki/ca.crt | cut -c1-64)"
for h in "${HOSTS[@]}"; do
    check "no incomplete file is on $h" sh -c "! on $h find /etc /usr/local /var/lib/kubelet/pki /var/lib/clusterctl -name '*.clusterctl-new' -o -name '*.part' -o -name '.*.swap' 2>/dev/null | grep ."
done
finish
