# Waits until the etcd member of this host serves, for which it needs the quorum of the restored members.
# Arguments, see also restore_mark.sh and aside.sh: `limit` in seconds.
e=$ETCD_PKI_DIR
export ETCDCTL_CACERT=$e/ca.crt ETCDCTL_CERT=$e/healthcheck-client.crt ETCDCTL_KEY=$e/healthcheck-client.key
healthy() {
  said=$($ETCDCTL --endpoints https://127.0.0.1:$ETCD_CLIENT_PORT --command-timeout 3s --dial-timeout 1s endpoint health 2>&1)
}
await "$limit" etcd healthy || {
  echo "the restored etcd member of this host does not serve after $limit s: $(printf %s "$said" | tail -n 1 | cut -c1-300)" >&2
  if [ -n "$service" ]; then
    journalctl -u "$service" -n 8 --no-pager -o cat >&2 2>/dev/null || :
  else
    for folder in $(own_logs etcd); do ls -t "$folder"/*.log; done 2>/dev/null | head -n 1 | xargs -r tail -n 8 >&2
  fi
  exit 1
}
my_turn
mark etcd-serves
