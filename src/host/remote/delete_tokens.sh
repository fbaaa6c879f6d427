# Deletes bootstrap tokens. $1: API server address. Rest: token ids.
# Until its group is bound, from 1.29 on, admin.conf may do nothing.
conf=/etc/kubernetes/super-admin.conf
[ -r $conf ] || conf=/etc/kubernetes/admin.conf
address=$1
shift
for id; do set -- "$@" "bootstrap-token-$id"; shift; done
exec /usr/local/bin/kubectl --kubeconfig $conf --server "https://$address:6443" --cache-dir /run/clusterctl-kubectl --request-timeout 30s \
  -n kube-system delete secret --ignore-not-found "$@" >/dev/null
