# Head of scripts that wait until the etcd member and the API server of this host serve; needs etcdctl.sh.
# Arguments of these scripts: `api`, the host:port at which this host serves the API, or empty; and `etcd`, which is `member` if the host has an etcd
# member, and otherwise empty. A function that fails leaves the reason in $said.
# member: succeeds if the etcd member of this host is healthy, or if the host has none.
member() {
  [ "$etcd" = member ] && [ -x $ETCDCTL ] || return 0
  health=$(own_member --command-timeout 3s endpoint health 2>&1) ||
    { said="its etcd member: $(printf %s "$health" | tail -n 1 | head -c 300)"; return 1; }
}
# served OPTION...: succeeds if the API server of this host is ready, or if the host has none. The options of curl say how its certificate is verified.
served() {
  [ -n "$api" ] || return 0
  code=$(curl "$@" -m 3 -o /dev/null -w '%{http_code}' "https://$api/readyz" 2>&1) || :
  [ "$code" = 200 ] || { said="the API at $api: /readyz answers $code"; return 1; }
}
