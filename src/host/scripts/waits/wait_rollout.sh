# Waits until a workload is rolled out.
# Arguments, see also kubectl.sh: `workload`, as kind/name; `namespace`; `patience`, the time in seconds without progress after which the script fails,
# and `limit`, the time in seconds after which it fails in any case; and `part`, which is `whole`, or `first` to wait only for the first new pod of a
# DaemonSet. A rollout over many nodes takes long, so a rollout is given up for lack of progress and not for its duration.
# A DaemonSet wants a pod on every node, also on a node whose machine is dead. Nodes that are not Ready are therefore left out.
k() { once -n "$namespace" "$@"; }
# Prints the names of the nodes that are not Ready, one per line.
not_ready() {
  k get nodes -o 'jsonpath={range .items[*]}{.metadata.name}{" "}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' | awk '$2 != "True" { print $1 }'
}
labels_of() { k get "$workload" -o 'jsonpath={.spec.selector.matchLabels}' | tr -d '{}" ' | tr : =; }
# Succeeds if some nodes are not Ready, and if the pods of a DaemonSet on all other nodes are new and ready. A pod is new if it has the generation of
# the DaemonSet's template in its label.
complete_elsewhere() {
  case $workload in daemonset/*) ;; *) return 1 ;; esac
  away=$(not_ready 2>/dev/null) && [ -n "$away" ] || return 1
  numbers=$(k get "$workload" -o 'jsonpath={.metadata.generation}|{.status.observedGeneration}|{.status.desiredNumberScheduled}|{.metadata.annotations.deprecated\.daemonset\.template\.generation}' 2>/dev/null) || return 1
  labels=$(labels_of 2>/dev/null) && [ -n "$labels" ] || return 1
  pods=$(k get pods -l "$labels" -o 'jsonpath={range .items[*]}{.spec.nodeName}|{.metadata.labels.pod-template-generation}|{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' 2>/dev/null) || return 1
  printf '%s\n' "$numbers" "$away" - "$pods" | awk -F '|' '
    NR == 1 { seen = $2 != "" && $2 + 0 >= $1 + 0; all = $3 + 0; template = $4; next }
    !listed && $0 == "-" { listed = 1; next }
    !listed { away[$1] = 1; next }
    $1 in away { if (!($1 in counted)) { counted[$1] = 1; all-- }; next }
    $2 == template && $3 == "True" { new++ }
    END { exit !(seen && template != "" && new + 0 >= all) }'
}
# Succeeds if the first new pod of a DaemonSet is available. A DaemonSet replaces one pod after another, so that is true if a second pod was replaced,
# or if one pod was replaced and all pods are available.
begun() {
  k get "$workload" -o 'jsonpath={.metadata.generation}|{.status.observedGeneration}|{.status.desiredNumberScheduled}|{.status.updatedNumberScheduled}|{.status.numberAvailable}|' 2>/dev/null | {
    IFS='|' read -r generation seen all new available || [ -n "$generation" ] || return 1
    [ "${seen:-0}" -ge "$generation" ] || return 1
    [ "${new:-0}" -le 1 ] || return 0
    [ "${new:-0}" = 1 ] && { [ "${available:-0}" = "$all" ] || [ "$((${available:-0} + $(not_ready 2>/dev/null | grep -c .)))" -ge "$all" ]; }
  }
}
# kubectl watches for up to 5 s and returns as soon as the rollout is complete. `ask` sets no --request-timeout, which would end the watch early.
complete() { ask -n "$namespace" rollout status "$workload" --timeout 5s >/dev/null 2>&1 || complete_elsewhere; }
arrived() { if [ "$part" = first ]; then begun; else complete; fi; }
# Prints the progress of the rollout; prints nothing if the API server does not answer.
progress() {
  k get "$workload" -o 'jsonpath={.status.observedGeneration} {.status.updatedNumberScheduled}{.status.updatedReplicas} {.status.numberAvailable}{.status.availableReplicas}' 2>/dev/null || :
}
evidence() {
  away=$(not_ready | paste -sd, -) || away=
  if [ -n "$away" ]; then
    echo "these nodes are not Ready: $away; bring them back, or take a node whose machine is gone for good out of the cluster with \`clusterctl remove NODE --dead\`"
  fi
  k get "$workload" -o wide || :
  labels=$(labels_of) || :
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
