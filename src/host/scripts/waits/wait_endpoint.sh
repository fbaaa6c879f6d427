# Waits for the API at an address. Arguments: `endpoint` (host:port); `server`, which is `balancer` if a load balancer that clusterctl does not manage
# listens there, or `api-server` for the API server of another host; and `limit` in seconds.
end=$(($(date +%s) + limit))
code=
while [ "$(date +%s)" -lt $end ]; do
  code=$(curl -sk -m 3 -o /dev/null -w '%{http_code}' "https://$endpoint/readyz") || :
  [ "$code" = 200 ] && exit 0
  sleep 0.2
done
case $code in
000) said="nothing answers TLS there: $(curl -skS -m 3 -o /dev/null "https://$endpoint/readyz" 2>&1 || :)" ;;
*) said="/readyz answers $code" ;;
esac
echo "the API is not reached at the endpoint $endpoint from this host after $limit s: $said" >&2
[ "$server" = api-server ] || echo "its balancer is yours (loadBalancer.kind: external): it must pass TCP on to port $API_SERVER_PORT of every control plane; \`clusterctl balancer\` prints a configuration" >&2
exit 1
