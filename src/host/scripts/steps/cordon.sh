# Cordons or uncordons a node; see kubectl.sh.
# Arguments: `node`; and `action`, which is `cordon` or `uncordon`, which the operator asked for, or `ours`, which uncordons the node only if
# clusterctl cordoned it.
spec=null
case $action in
  cordon) spec=true ;;
  ours)
    mark=$(k get node "$node" --ignore-not-found -o 'jsonpath={.metadata.annotations.clusterctl/cordoned}')
    [ -n "$mark" ] || exit 0 ;;
esac
k patch node "$node" --type merge -p "{\"metadata\":{\"annotations\":{\"clusterctl/cordoned\":null}},\"spec\":{\"unschedulable\":$spec}}" >/dev/null
