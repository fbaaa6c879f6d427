# Cordons a node and evicts its pods by kubectl's rules. Pods of DaemonSets stay, and PodDisruptionBudgets are respected.
# Arguments, see also kubectl.sh: `node`; `limit` in seconds, where 0 means no limit; and `then`, which is `returns`, or `stays` for a node that stays
# out of service. The words are flags of kubectl drain. An annotation on the node records that clusterctl has cordoned it, so that a later run may
# uncordon it. With `stays`, the annotation is removed after the drain, so no later run does. If the drain fails, a node with the annotation is
# uncordoned.
selector=
for flag; do case $flag in --pod-selector=*) selector=${flag#*=} ;; esac; done
mark() { k patch node "$node" --type merge -p "{\"metadata\":{\"annotations\":{\"clusterctl/cordoned\":$1}}${2:-}}" >/dev/null; }
found=$(k get node "$node" --ignore-not-found -o 'jsonpath={.metadata.name} {.spec.unschedulable} {.metadata.annotations.clusterctl/cordoned}.')
[ -n "${found%.}" ] || exit 0
case $found in
  *' true '*) ;;
  *) mark '"drain"' ',"spec":{"unschedulable":true}'
     found="$node true drain." ;;
esac
# may_not_go: succeeds if kubectl has refused the drain because its flags do not allow the deletion of a pod. The message of a webhook that denies an
# eviction may have the same words at another place.
may_not_go() { printf '%s\n' "$said" | grep -qE '(^error: |due to error: )\[?cannot delete (Pods|DaemonSet-managed Pods) '; }
end=$(($(date +%s) + limit)) left=$limit silent=0
while :; do
  still_ours
  # kubectl drain runs in rounds of at most 30 s. After each round, the script checks that the node's kubelet still reports, and otherwise gives up:
  # without a kubelet, no pod of the node ever terminates.
  round=30
  [ "$limit" = 0 ] || [ $left -gt $round ] || round=$left
  if said=$(longest=$((round + 30)); once drain "$node" --ignore-daemonsets --timeout "${round}s" "$@" 2>&1); then
    [ "$then" = returns ] || mark null
    exit 0
  fi
  # If the flags do not allow the eviction of a pod, the script gives up. Every other cause may be temporary, such as a PodDisruptionBudget or an API
  # server that is being replaced, so the next round follows.
  ! may_not_go || break
  if [ "$limit" -gt 0 ]; then
    left=$((end - $(date +%s)))
    [ $left -gt 0 ] || break
  fi
  case $(k get node "$node" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null) in
  Unknown) silent=$((silent + 1)) ;;
  *) silent=0 ;;
  esac
  [ $silent -lt 2 ] || break
  sleep 0.5
done
if may_not_go; then
  echo "pods of node $node may not go:" >&2
elif [ $silent -ge 2 ]; then
  echo "the pods of node $node cannot leave: its kubelet says nothing any more, and nobody else ends them:" >&2
else
  echo "the pods of node $node did not all leave within $limit s:" >&2
fi
# Prints each reason once; kubectl repeats and wraps its messages.
printf '%s\n' "$said" | grep -v '^WARNING\|^evicting\|^node/\|^pod/\|^There are\|^ \|^$\|already cordoned\|aborting command\|timeout reached' |
  sed 's/^error: //; s/^error when evicting \(pods*\)\/"\([^"]*\)" -n "\([^"]*\)"[^:]*: /\3\/\2: /' | awk '!seen[$0]++' | tail -n 12 >&2
pods=$(k get pods --all-namespaces --field-selector "spec.nodeName=$node" -l "$selector" -o \
  'jsonpath={range .items[*]}{.metadata.ownerReferences[0].kind}{" "}{.metadata.namespace}{"/"}{.metadata.name}{"\n"}{end}' 2>/dev/null |
  sed -n '/^DaemonSet \|^Node /!s/^[^ ]* //p') || :
[ -z "$pods" ] || echo "still there: $(printf '%s\n' "$pods" | head -n 20 | tr '\n' ' ')" >&2
# Prints the PodDisruptionBudgets that allow no eviction and whose selector matches a pod that is still on the node. If a pod has more than one
# PodDisruptionBudget, they are printed whatever they allow.
tab=$(printf '\t')
{ k get poddisruptionbudgets --all-namespaces -o 'go-template={{range .items}}{{.metadata.namespace}}{{"\t"}}{{.metadata.name}}{{"\t"}}{{with .status.disruptionsAllowed}}{{.}}{{else}}0{{end}}{{"\t"}}{{with .status.currentHealthy}}{{.}}{{else}}0{{end}}{{"\t"}}{{with .status.expectedPods}}{{.}}{{else}}0{{end}}{{"\t"}}{{with .status.desiredHealthy}}{{.}}{{else}}0{{end}}{{"\t"}}{{with .spec.selector}}{{range $k, $v := .matchLabels}}{{$k}}={{$v}},{{end}}{{range .matchExpressions}}{{if eq .operator "Exists"}}{{.key}}{{else if eq .operator "DoesNotExist"}}!{{.key}}{{else}}{{.key}} {{if eq .operator "In"}}in{{else}}notin{{end}} ({{range $i, $v := .values}}{{if $i}},{{end}}{{$v}}{{end}}){{end}},{{end}}{{end}}{{"\n"}}{{end}}' 2>/dev/null || :; } |
  while IFS="$tab" read -r namespace name allowed healthy expected needed covers; do
    case $said in *'more than one'*) ;; *) [ "$allowed" = 0 ] || continue ;; esac
    printf '%s\n' "$pods" | grep -q "^$namespace/" || continue
    [ -n "$covers" ] || continue
    # The pods on the node that the PodDisruptionBudget selects.
    names=$(k get pods -n "$namespace" --field-selector "spec.nodeName=$node" -l "${covers%,}" -o 'jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}{"\n"}{end}' 2>/dev/null |
      while read -r pod; do printf '%s\n' "$pods" | grep -qxF "$pod" && printf '%s ' "$pod"; done) || :
    [ -z "$names" ] || echo "disruption budget $namespace/$name allows $allowed: of $expected pods $healthy are healthy, $needed must be; it covers $names" >&2
  done
still_ours
case $found in
  *' drain.')
    mark null ',"spec":{"unschedulable":null}' || { echo "node $node cannot be given back and stays cordoned" >&2; exit 1; }
    echo "node $node takes pods again" >&2 ;;
  *) echo "node $node stays cordoned, as it was before" >&2 ;;
esac
exit 1
