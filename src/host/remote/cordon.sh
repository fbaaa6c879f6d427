# Cordons or uncordons a node; see kubectl.sh, which removes the address from the arguments.
# After that, $1: the node. $2: `cordon` or `uncordon`, which the operator asked for, or `ours`, which uncordons a node only if clusterctl cordoned
# it.
node=$1
spec=null
case $2 in
  cordon) spec=true ;;
  ours)
    mark=$(k get node "$node" --ignore-not-found -o 'jsonpath={.metadata.annotations.clusterctl/cordoned}')
    [ -n "$mark" ] || exit 0 ;;
esac
k patch node "$node" --type merge -p "{\"metadata\":{\"annotations\":{\"clusterctl/cordoned\":null}},\"spec\":{\"unschedulable\":$spec}}" >/dev/null
