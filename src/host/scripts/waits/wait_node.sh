# Waits for this host's Node, which is read with the kubelet's own certificate.
# Arguments: `server`, the URL of an API server; `node`; `version` that its kubelet must have; `want`, which is `ready` or `registered`; and `limit`
# in seconds.
cert=$KUBELET_CLIENT_CURRENT
end=$(($(date +%s) + limit))
said="the kubelet has no client certificate yet"
while [ "$(date +%s)" -lt $end ]; do
  if [ -r $cert ]; then
    node_of "$server" "$node"
    case $body in
    *'"kubeletVersion":"'"$version"'"'*)
      [ "$want" = registered ] && exit 0
      node_ready "$body" && exit 0 ;;
    *'"kind":"Node"'*) said="its kubelet is not at $version" ;;
    *) said=$(printf %s "$answer" | head -c 300) ;;
    esac
  fi
  sleep 0.2
done
echo "node $node is not $want at $version after $limit s: $said" >&2
journalctl -u kubelet -n 12 --no-pager -o cat >&2 2>/dev/null || :
exit 1
