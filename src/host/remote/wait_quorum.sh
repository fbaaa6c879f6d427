# Waits until the other etcd members can do without this host's. $1: seconds. A member that is down already has nothing to lose.
limit=$1
e=/etc/kubernetes/pki/etcd
export ETCDCTL_API=3 ETCDCTL_CACERT=$e/ca.crt ETCDCTL_CERT=$e/healthcheck-client.crt ETCDCTL_KEY=$e/healthcheck-client.key
own=https://127.0.0.1:2379
etcd() { /usr/local/bin/etcdctl --command-timeout 2s --dial-timeout 1s "$@" 2>/dev/null; }
end=$(($(date +%s) + limit))
while :; do
  [ -x /usr/local/bin/etcdctl ] && [ -r $e/healthcheck-client.key ] || exit 0
  etcd --endpoints $own endpoint health >/dev/null || exit 0
  # A line per member: id, status, name, peer URL, client URL, learner or not.
  members=$(etcd --endpoints $own member list | grep -c 'false$')
  healthy=$(etcd --endpoints $own endpoint health --cluster -w json | grep -o '"health":true' | grep -c .)
  quorum=$((members / 2 + 1))
  # Of two members none can be spared by the book; with the other one healthy nothing is lost but time.
  need=$quorum
  [ $need -lt "$members" ] || need=$((members - 1))
  [ $((healthy - 1)) -ge $need ] && exit 0
  [ "$(date +%s)" -lt $end ] || break
  sleep 0.5
done
echo "$healthy of $members etcd members are healthy: without this one $((healthy - 1)) would be left, and $need are needed (quorum $quorum)" >&2
exit 1
