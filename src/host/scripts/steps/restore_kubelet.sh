# Restarts the kubelet, and waits until its node is back. A kubelet remembers pods and revisions from before the restore of etcd.
# Arguments, see also restore_mark.sh: `server`, the URL of an API server; `node`; `want`, which is `ready` or `registered`; and `limit` in seconds.
my_turn
cert=$KUBELET_CLIENT_CURRENT
within 190 systemctl restart kubelet
said="the kubelet has no client certificate"
back() {
  [ -r $cert ] || return 1
  node_of "$server" "$node"
  case $body in
  *'"kind":"Node"'*) [ "$want" = registered ] || node_ready "$body" ;;
  *) said=$(printf %s "$answer" | head -c 300); return 1 ;;
  esac
}
comes "$limit" back || {
  echo "node $node is not $want after $limit s: $said" >&2
  journalctl -u kubelet -n 12 --no-pager -o cat >&2 2>/dev/null || :
  exit 1
}
mark kubelet
