# Waits until a workload is rolled out. $1: API server address. $2: kind/name. $3: namespace. $4: seconds.
# Until its group is bound, from 1.29 on, admin.conf may do nothing.
conf=/etc/kubernetes/super-admin.conf
[ -r $conf ] || conf=/etc/kubernetes/admin.conf
address=$1 what=$2 namespace=$3 limit=$4
k() { /usr/local/bin/kubectl --kubeconfig $conf --server "https://$address:6443" --cache-dir /run/clusterctl-kubectl -n "$namespace" "$@"; }
k rollout status "$what" --timeout "${limit}s" >/dev/null || { k get "$what" >&2; k get events --sort-by .lastTimestamp 2>/dev/null | tail -n 8 >&2; exit 1; }
