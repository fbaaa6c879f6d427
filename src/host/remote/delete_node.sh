# Deletes a node's object. $1: API server address. $2: node.
# Until its group is bound, from 1.29 on, admin.conf may do nothing.
conf=/etc/kubernetes/super-admin.conf
[ -r $conf ] || conf=/etc/kubernetes/admin.conf
exec /usr/local/bin/kubectl --kubeconfig $conf --server "https://$1:6443" --cache-dir /run/clusterctl-kubectl --request-timeout 30s \
  delete node "$2" --ignore-not-found --wait=false >/dev/null
