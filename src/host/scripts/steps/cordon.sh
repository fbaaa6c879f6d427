# Cordons or uncordons a node; see kubectl.sh, which removes the address of the API server from the arguments. Arguments after that: $1 is the node.
# $2 is `cordon` or `uncordon`, which the operator asked for, or `ours`, which uncordons the node only if clusterctl cordoned it.
node=$1
spec=null
case $2 in
  cordon) spec=true ;;
  ours)
    mark=$(k get node "$node" --ignore-not-found -o 'jsonpath={.metadata.annotations.clusterctl/cordoned}')
    [ -n "$mark" ] || exit 0 ;;
esac
k patch node "$node" --type merge -p "{\"metadata\":{\"annotations\":{\"clusterctl/cordoned\":null}},\"spec\":{\"unschedulable\":$spec}}" >/dev/null
