# Waits until a workload is rolled out. $1: API server address. $2: kind/name. $3: namespace. $4: seconds without any progress.
# $5: `whole`, or `first` for the first new pod of a DaemonSet.
# Node by node takes its time on many nodes: what goes on is waited for, what stands still is not.
# Until its group is bound, from 1.29 on, admin.conf may do nothing.
conf=/etc/kubernetes/super-admin.conf
[ -r $conf ] || conf=/etc/kubernetes/admin.conf
address=$1 what=$2 namespace=$3 limit=$4 part=$5
k() { /usr/local/bin/kubectl --kubeconfig $conf --server "https://$address:6443" --cache-dir /run/clusterctl-kubectl -n "$namespace" "$@"; }
# One after another: a second pod is replaced once the first is available, and between them all are.
begun() {
  k get "$what" -o 'jsonpath={.metadata.generation}|{.status.observedGeneration}|{.status.desiredNumberScheduled}|{.status.updatedNumberScheduled}|{.status.numberAvailable}|' 2>/dev/null | {
    IFS='|' read -r generation seen all new available || [ -n "$generation" ] || return 1
    [ "${seen:-0}" -ge "$generation" ] || return 1
    [ "${new:-0}" -gt 1 ] || { [ "${new:-0}" = 1 ] && [ "${available:-0}" = "$all" ]; }
  }
}
if [ "$part" = first ]; then
  end=$(($(date +%s) + limit))
  while [ "$(date +%s)" -lt $end ]; do
    ! begun || exit 0
    sleep 0.5
  done
fi
before=
while [ "$part" = whole ]; do
  k rollout status "$what" --timeout "${limit}s" >/dev/null 2>&1 && exit 0
  now=$(k get "$what" -o 'jsonpath={.status.observedGeneration} {.status.updatedNumberScheduled}{.status.updatedReplicas} {.status.numberAvailable}{.status.availableReplicas}' 2>&1)
  [ "$now" != "$before" ] || break
  before=$now
done
k get "$what" >&2
k get events --sort-by .lastTimestamp 2>/dev/null | tail -n 8 >&2
exit 1
