# Cordons a node and evicts its pods by kubectl's own rules: DaemonSets stay, disruption budgets are obeyed.
# $1: API server address. $2: node. $3: seconds; 0: no limit. $4: returns or stays. Rest: flags of kubectl drain.
# That we cordoned it is written on the node, so that whoever goes on knows what may be undone; where the node stays out of service by the
# operator's word, that mark goes at the end.
conf=/etc/kubernetes/super-admin.conf
[ -r $conf ] || conf=/etc/kubernetes/admin.conf
address=$1 node=$2 limit=$3 then=$4
shift 4
selector=
for flag; do case $flag in --pod-selector=*) selector=${flag#*=} ;; esac; done
k() { /usr/local/bin/kubectl --kubeconfig $conf --server "https://$address:6443" --cache-dir /run/clusterctl-kubectl "$@"; }
mark() { k patch node "$node" --type merge -p "{\"metadata\":{\"annotations\":{\"clusterctl/cordoned\":$1}}${2:-}}" >/dev/null; }
found=$(k get node "$node" --ignore-not-found -o 'jsonpath={.metadata.name} {.spec.unschedulable} {.metadata.annotations.clusterctl/cordoned}.')
[ -n "${found%.}" ] || exit 0
case $found in
  *' true '*) ;;
  *) mark '"drain"' ',"spec":{"unschedulable":true}'
     found="$node true drain." ;;
esac
end=$(($(date +%s) + limit)) left=$limit silent=0
while :; do
  # In rounds, so that a machine that dies meanwhile is seen: nobody ends its pods any more, and no deadline helps them.
  round=30
  [ "$limit" = 0 ] || [ $left -gt $round ] || round=$left
  if said=$(k drain "$node" --ignore-daemonsets --timeout "${round}s" "$@" 2>&1); then
    [ "$then" = returns ] || mark null
    exit 0
  fi
  # What the flags do not allow stays so; everything else may come right by itself: a budget, an API server that changes hands.
  case $said in *'cannot delete '*) break ;; esac
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
case $said in
  *'cannot delete '*) echo "pods of node $node may not go:" >&2 ;;
  *) if [ $silent -ge 2 ]; then
       echo "the pods of node $node cannot leave: its kubelet says nothing any more, and nobody else ends them:" >&2
     else
       echo "the pods of node $node did not all leave within $limit s:" >&2
     fi ;;
esac
# A line per reason; kubectl says each many times, and wraps them.
printf '%s\n' "$said" | grep -v '^WARNING\|^evicting\|^node/\|^pod/\|^There are\|^ \|^$\|already cordoned\|aborting command\|timeout reached' |
  sed 's/^error: //; s/^error when evicting \(pods*\)\/"\([^"]*\)" -n "\([^"]*\)"[^:]*: /\3\/\2: /' | awk '!seen[$0]++' | tail -n 12 >&2
pods=$(k get pods --all-namespaces --field-selector "spec.nodeName=$node" -l "$selector" -o \
  'jsonpath={range .items[*]}{.metadata.ownerReferences[0].kind}{" "}{.metadata.namespace}{"/"}{.metadata.name}{"\n"}{end}' 2>/dev/null |
  sed -n '/^DaemonSet \|^Node /!s/^[^ ]* //p') || :
[ -z "$pods" ] || echo "still there: $(printf '%s\n' "$pods" | head -n 20 | tr '\n' ' ')" >&2
# A budget is named only if it covers a pod that is left: its own selector says so.
tab=$(printf '\t')
{ k get poddisruptionbudgets --all-namespaces -o 'go-template={{range .items}}{{.metadata.namespace}}{{"\t"}}{{.metadata.name}}{{"\t"}}{{with .status.disruptionsAllowed}}{{.}}{{else}}0{{end}}{{"\t"}}{{with .status.currentHealthy}}{{.}}{{else}}0{{end}}{{"\t"}}{{with .status.expectedPods}}{{.}}{{else}}0{{end}}{{"\t"}}{{with .status.desiredHealthy}}{{.}}{{else}}0{{end}}{{"\t"}}{{with .spec.selector}}{{range $k, $v := .matchLabels}}{{$k}}={{$v}},{{end}}{{range .matchExpressions}}{{if eq .operator "Exists"}}{{.key}}{{else if eq .operator "DoesNotExist"}}!{{.key}}{{else}}{{.key}} {{if eq .operator "In"}}in{{else}}notin{{end}} ({{range $i, $v := .values}}{{if $i}},{{end}}{{$v}}{{end}}){{end}},{{end}}{{end}}{{"\n"}}{{end}}' 2>/dev/null || :; } |
  while IFS="$tab" read -r namespace name allowed healthy expected needed covers; do
    case $said in *'more than one'*) ;; *) [ "$allowed" = 0 ] || continue ;; esac
    printf '%s\n' "$pods" | grep -q "^$namespace/" || continue
    [ -n "$covers" ] || continue
    # The pods it covers on the node, of those that are left.
    names=$(k get pods -n "$namespace" --field-selector "spec.nodeName=$node" -l "${covers%,}" -o 'jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}{"\n"}{end}' 2>/dev/null |
      while read -r pod; do printf '%s\n' "$pods" | grep -qxF "$pod" && printf '%s ' "$pod"; done) || :
    [ -z "$names" ] || echo "disruption budget $namespace/$name allows $allowed: of $expected pods $healthy are healthy, $needed must be; it covers $names" >&2
  done
case $found in
  *' drain.')
    mark null ',"spec":{"unschedulable":null}'
    echo "node $node takes pods again" >&2 ;;
  *) echo "node $node stays cordoned, as it was before" >&2 ;;
esac
exit 1
