# Cordons or uncordons a node; see kubectl.sh. $1, by then: node. $2: cordon or uncordon, by the operator's word; ours: uncordon what we
# cordoned.
node=$1
spec=null
case $2 in
  cordon) spec=true ;;
  ours)
    mark=$(k get node "$node" --ignore-not-found -o 'jsonpath={.metadata.annotations.clusterctl/cordoned}')
    [ -n "$mark" ] || exit 0 ;;
esac
k patch node "$node" --type merge -p "{\"metadata\":{\"annotations\":{\"clusterctl/cordoned\":null}},\"spec\":{\"unschedulable\":$spec}}" >/dev/null
