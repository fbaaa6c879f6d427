# Prints which deprecated APIs clients have requested from this host's API server since it started; changes nothing.
# $1: the address of the API server.
# Output: the lines of the metric apiserver_requested_deprecated_apis.
export LC_ALL=C
conf=/etc/kubernetes/super-admin.conf
[ -r $conf ] || conf=/etc/kubernetes/admin.conf
/usr/local/bin/kubectl --kubeconfig $conf --server "https://$1:6443" --cache-dir /run/clusterctl-kubectl --request-timeout 15s \
  get --raw /metrics | grep '^apiserver_requested_deprecated_apis{' || :
