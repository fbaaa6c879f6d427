# Cordons or uncordons a node; see kubectl.sh. $1, by then: node. $2: cordon or uncordon, by the operator's word; ours: uncordon what we
# cordoned.
node=$1
spec=null
case $2 in
  cordon) spec=true ;;
  ours) [ -n "$(k get node "$node" -o 'jsonpath={.metadata.annotations.clusterctl/cordoned}')" ] || exit 0 ;;
esac
k patch node "$node" --type merge -p "{\"metadata\":{\"annotations\":{\"clusterctl/cordoned\":null}},\"spec\":{\"unschedulable\":$spec}}" >/dev/null
