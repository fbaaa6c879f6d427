# Waits until a host is back in service after work on it.
# Arguments: $1 is the limit in seconds. $2 is the node of this host, or empty. $3 is the URL of an API server that is asked for the node. $4 is
# `ready`, or `registered` if there is no CNI that makes nodes Ready. $5 is the host:port at which this host serves the API, or empty. $6 is `etcd` if
# the host has an etcd member.
limit=$1 node=$2 server=$3 want=$4 api=$5 etcd=$6
cert=/var/lib/kubelet/pki/kubelet-client-current.pem
e=/etc/kubernetes/pki/etcd
end=$(($(date +%s) + limit))
said=
served() {
  [ -n "$api" ] || return 0
  code=$(curl -sk -m 3 -o /dev/null -w '%{http_code}' "https://$api/readyz") || :
  [ "$code" = 200 ] || { said="the API at $api: /readyz answers $code"; return 1; }
}
member() {
  [ "$etcd" = etcd ] && [ -x /usr/local/bin/etcdctl ] || return 0
  health=$(/usr/local/bin/etcdctl --endpoints https://127.0.0.1:2379 --cacert $e/ca.crt --cert $e/healthcheck-client.crt \
    --key $e/healthcheck-client.key --command-timeout 3s --dial-timeout 1s endpoint health 2>&1) ||
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
