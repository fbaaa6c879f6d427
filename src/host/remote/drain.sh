# Cordons a node and evicts its pods by kubectl's own rules: DaemonSets stay, disruption budgets are obeyed. $1: API server address. $2: node. $3: seconds.
conf=/etc/kubernetes/super-admin.conf
[ -r $conf ] || conf=/etc/kubernetes/admin.conf
address=$1 node=$2 limit=$3
k() { /usr/local/bin/kubectl --kubeconfig $conf --server "https://$address:6443" --cache-dir /run/clusterctl-kubectl "$@"; }
[ -n "$(k get node "$node" --ignore-not-found -o name)" ] || exit 0
if ! said=$(k drain "$node" --ignore-daemonsets --delete-emptydir-data --force --timeout "${limit}s" 2>&1); then
  echo "node $node stays cordoned; its pods did not all leave within $limit s:" >&2
  printf '%s\n' "$said" | grep -v '^WARNING\|^evicting\|^node/' | tail -n 8 >&2
  exit 1
fi
