# Waits for this host's API server. Arguments: `address`; `version` that it must have; and `limit` in seconds.
end=$(($(date +%s) + limit))
said=
while [ "$(date +%s)" -lt $end ]; do
  # If the host has put the previous manifest back, the API server never reaches the version $version, so the script fails at once.
  report_rollbacks "$run" || exit 1
  code=$(curl -sk -m 3 -o /dev/null -w '%{http_code}' "https://$address:$API_SERVER_PORT/readyz") || :
  if [ "$code" = 200 ]; then
    now=$(curl -sk -m 3 "https://$address:$API_SERVER_PORT/version" | grep gitVersion | cut -d'"' -f4)
    [ "$now" = "$version" ] && exit 0
    said="it serves version $now"
  else
    said="/readyz answers $code"
  fi
  sleep 0.2
done
echo "the API server at $address:$API_SERVER_PORT is not ready at $version after $limit s: $said" >&2
for c in etcd kube-apiserver; do
  # The log of a container that is being created is empty, so empty logs are skipped.
  log=$(for folder in $(own_logs $c); do for f in "$folder"/*.log; do [ ! -s "$f" ] || echo "$f"; done; done | xargs -r ls -t | head -n 1)
  [ -n "$log" ] && { echo "last lines of $c:" >&2; tail -n 8 "$log" >&2; }
done
systemctl is-active -q kubelet || echo "the kubelet is not running" >&2
journalctl -u kubelet -n 8 --no-pager -o cat >&2 2>/dev/null || :
exit 1
