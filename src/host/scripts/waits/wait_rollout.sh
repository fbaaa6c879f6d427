# Waits until a workload is rolled out.
# Arguments, see also kubectl.sh: `workload`, as kind/name; `namespace`; `patience`, the time in seconds without progress after which the script fails,
# and `limit`, the time in seconds after which it fails in any case; and `part`, which is `whole`, or `first` to wait only for the first new pod of a
# DaemonSet. A rollout over many nodes takes long, so a rollout is given up for lack of progress and not for its duration.
k() { once -n "$namespace" "$@"; }
# Succeeds if the first new pod of a DaemonSet is available. A DaemonSet replaces one pod after another, so that is true if a second pod was replaced,
# or if one pod was replaced and all pods are available.
begun() {
  k get "$workload" -o 'jsonpath={.metadata.generation}|{.status.observedGeneration}|{.status.desiredNumberScheduled}|{.status.updatedNumberScheduled}|{.status.numberAvailable}|' 2>/dev/null | {
    IFS='|' read -r generation seen all new available || [ -n "$generation" ] || return 1
    [ "${seen:-0}" -ge "$generation" ] || return 1
    [ "${new:-0}" -gt 1 ] || { [ "${new:-0}" = 1 ] && [ "${available:-0}" = "$all" ]; }
  }
}
# kubectl watches for up to 5 s and returns as soon as the rollout is complete. `ask` sets no --request-timeout, which would end the watch early.
complete() { ask -n "$namespace" rollout status "$workload" --timeout 5s >/dev/null 2>&1; }
arrived() { if [ "$part" = first ]; then begun; else complete; fi; }
# Prints the progress of the rollout; prints nothing if the API server does not answer.
progress() {
  k get "$workload" -o 'jsonpath={.status.observedGeneration} {.status.updatedNumberScheduled}{.status.updatedReplicas} {.status.numberAvailable}{.status.availableReplicas}' 2>/dev/null || :
}
evidence() {
  k get "$workload" -o wide || :
  labels=$(k get "$workload" -o 'jsonpath={.spec.selector.matchLabels}' | tr -d '{}" ' | tr : =) || :
  [ -z "$labels" ] || k get pods -l "$labels" -o 'jsonpath={range .items[*]}{.metadata.name}{" on "}{.spec.nodeName}{": "}{.status.phase}{range .status.conditions[?(@.status=="False")]}{" "}{.message}{end}{range .status.containerStatuses[*]}{" "}{.state.waiting.reason}{" "}{.state.waiting.message}{.lastState.terminated.message}{end}{"\n"}{end}' | cut -c1-400 | head -n 12
  k get events --sort-by .lastTimestamp | tail -n 8 || :
}
now=$(date +%s)
end=$((now + limit)) still=$((now + patience)) before=unknown
until arrived; do
  now=$(date +%s)
  at=$(progress)
  if [ "$at" != "$before" ]; then before=$at still=$((now + patience)); fi
  if [ "$now" -ge $still ] || [ "$now" -ge $end ]; then
    if [ "$now" -ge $end ]; then said="is not complete after $limit s"; else said="has made no progress for $patience s"; fi
    echo "the rollout of $workload in namespace $namespace $said:" >&2
    evidence >&2 2>&1
    exit 1
  fi
  sleep 0.5
done
