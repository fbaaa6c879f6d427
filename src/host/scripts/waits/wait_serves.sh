# Waits until this host's etcd member and its API server serve with certificates that are valid.
# Arguments: `limit` in seconds; `api`, the host:port at which this host serves the API, or empty; and `etcd`, which is `member` if the host has an etcd
# member, and otherwise empty.
end=$(($(date +%s) + limit))
said=
member() {
  [ "$etcd" = member ] && [ -x $ETCDCTL ] || return 0
  health=$(own_member --command-timeout 3s endpoint health 2>&1) ||
    { said="its etcd member: $(printf %s "$health" | tail -n 1 | head -c 300)"; return 1; }
}
# The certificate of the API server is verified, because a server that has not read its new certificate yet serves with the expired one.
served() {
  [ -n "$api" ] || return 0
  code=$(curl -sS -m 3 --cacert $PKI_DIR/ca.crt -o /dev/null -w '%{http_code}' "https://$api/readyz" 2>&1) || :
  [ "$code" = 200 ] || { said="the API at $api: /readyz answers $code"; return 1; }
}
until member && served; do
  [ "$(date +%s)" -lt $end ] || {
    echo "it does not serve with its new certificates after $limit s: $said" >&2
    systemctl is-active -q kubelet || [ -z "$api" ] || echo "the kubelet is not running" >&2
    for c in ${etcd:+etcd} ${api:+kube-apiserver}; do
      log=$(for folder in $(own_logs $c); do for f in "$folder"/*.log; do [ ! -s "$f" ] || echo "$f"; done; done | xargs -r ls -t | head -n 1)
      [ -z "$log" ] || { echo "last lines of $c:" >&2; tail -n 8 "$log" >&2; }
    done
    exit 1
  }
  sleep 0.3
done
