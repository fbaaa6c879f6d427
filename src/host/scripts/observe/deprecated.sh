# Prints which deprecated APIs clients have requested from this host's API server since it started; changes nothing.
# Argument: `address` of the API server.
# Output: the lines of the metric apiserver_requested_deprecated_apis.
export LC_ALL=C
conf=$SUPER_ADMIN_CONF
[ -r $conf ] || conf=$ADMIN_CONF
$KUBECTL --kubeconfig $conf --server "https://$address:$API_SERVER_PORT" --cache-dir $KUBECTL_CACHE_DIR --request-timeout 15s \
  get --raw /metrics | grep '^apiserver_requested_deprecated_apis{' || :
