# Waits until a host is back in service after work on it.
# Arguments, see also serving.sh: `limit` in seconds; `node` of this host, or empty; `server`, the URL of an API server that is asked for the node; and
# `want`, which is `ready`, or `registered` if there is no CNI that makes nodes Ready.
cert=$KUBELET_CLIENT_CURRENT
end=$(($(date +%s) + limit))
said=
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
  member && served -sk && ready && exit 0
  sleep 0.3
done
echo "it is not back in service after $limit s: $said" >&2
[ -z "$node" ] || journalctl -u kubelet -n 12 --no-pager -o cat >&2 2>/dev/null || :
exit 1
