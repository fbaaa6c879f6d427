# Cordons or uncordons a node. $1: API server address. $2: node. $3: cordon or uncordon, by the operator's word; ours: uncordon what we cordoned.
conf=/etc/kubernetes/super-admin.conf
[ -r $conf ] || conf=/etc/kubernetes/admin.conf
address=$1 node=$2
k() { /usr/local/bin/kubectl --kubeconfig $conf --server "https://$address:6443" --cache-dir /run/clusterctl-kubectl --request-timeout 30s "$@"; }
spec=null
case $3 in
  cordon) spec=true ;;
  ours) [ -n "$(k get node "$node" -o 'jsonpath={.metadata.annotations.clusterctl/cordoned}')" ] || exit 0 ;;
esac
k patch node "$node" --type merge -p "{\"metadata\":{\"annotations\":{\"clusterctl/cordoned\":null}},\"spec\":{\"unschedulable\":$spec}}" >/dev/null
