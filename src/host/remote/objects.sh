# Applies the objects on input. $1: API server address. Rest: options for kubectl apply.
address=$1
shift
conf=/etc/kubernetes/super-admin.conf
[ -r $conf ] || conf=/etc/kubernetes/admin.conf
exec /usr/local/bin/kubectl --kubeconfig $conf --server "https://$address:6443" --cache-dir /run/clusterctl-kubectl --request-timeout 30s \
  apply --server-side --force-conflicts --field-manager clusterctl -f - "$@" >/dev/null
