# Waits until a host is back in service after work on it.
# Arguments: `limit` in seconds; `node` of this host, or empty; `server`, the URL of an API server that is asked for the node; `want`, which is
# `ready`, or `registered` if there is no CNI that makes nodes Ready; `api`, the host:port at which this host serves the API, or empty; and `etcd`,
# which is `member` if the host has an etcd member, and otherwise empty.
cert=$KUBELET_CLIENT_CURRENT
end=$(($(date +%s) + limit))
said=
served() {
  [ -n "$api" ] || return 0
  code=$(curl -sk -m 3 -o /dev/null -w '%{http_code}' "https://$api/readyz") || :
  [ "$code" = 200 ] || { said="the API at $api: /readyz answers $code"; return 1; }
}
member() {
  [ "$etcd" = member ] && [ -x $ETCDCTL ] || return 0
  health=$(own_member --command-timeout 3s endpoint health 2>&1) ||
    { said="its etcd member: $(printf %s "$health" | tail -n 1 | head -c 300)"; return 1; }
}
ready() {
  [ -n "$node" ] || return 0
  [ -r $cert ] || { said="the kubelet has no client certificate"; return 1; }
  node_of "$server" "$node"
  case $body in
  *'"kind":"Node"'*) [ "$want" = registered ] || node_ready "$body" ;;
  *) said=$(printf %s "$answer" | head -c 300); return 1 ;;
  esac
}
while [ "$(date +%s)" -lt $end ]; do
  member && served && ready && exit 0
  sleep 0.3
done
echo "it is not back in service after $limit s: $said" >&2
[ -z "$node" ] || journalctl -u kubelet -n 12 --no-pager -o cat >&2 2>/dev/null || :
exit 1
