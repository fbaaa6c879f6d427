# Waits for this host's Node, which is read with the kubelet's own certificate.
# Arguments: $1 is the URL of an API server, $2 is the node, $3 is the version that its kubelet must have, $4 is `ready` or `registered`, and $5 is
# the limit in seconds.
server=$1 node=$2 version=$3 want=$4 limit=$5
cert=/var/lib/kubelet/pki/kubelet-client-current.pem
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
