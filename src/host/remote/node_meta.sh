# Sets what we own on a node. $1: API server address. $2: node. Input: the node as an object to apply. Rest: taints `key=value:effect`.
# Until its group is bound, from 1.29 on, admin.conf may do nothing.
conf=/etc/kubernetes/super-admin.conf
[ -r $conf ] || conf=/etc/kubernetes/admin.conf
address=$1 node=$2
shift 2
k() { /usr/local/bin/kubectl --kubeconfig $conf --server "https://$address:6443" --cache-dir /run/clusterctl-kubectl --request-timeout 30s "$@"; }
k apply --server-side --force-conflicts --field-manager clusterctl -f - >/dev/null
[ $# = 0 ] || k taint node "$node" --overwrite "$@" >/dev/null
