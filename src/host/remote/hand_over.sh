# Leadership goes to another member before etcd is told to end: an election would cost the cluster a second of silence. Best effort.
# $1: client URL of the member that goes; this host's own where none is given.
hand_over() {
  goes=${1:-https://127.0.0.1:2379}
  e=/etc/kubernetes/pki/etcd
  export ETCDCTL_API=3 ETCDCTL_CACERT=$e/ca.crt ETCDCTL_CERT=$e/healthcheck-client.crt ETCDCTL_KEY=$e/healthcheck-client.key
  goer() { /usr/local/bin/etcdctl --endpoints "$goes" --command-timeout 5s --dial-timeout 2s "$@" 2>/dev/null; }
  # As JSON: the columns of the plain form differ from version to version.
  now=$(goer endpoint status -w json) || return 0
  self=$(echo "$now" | sed -n 's/.*"member_id":\([0-9]*\).*/\1/p')
  [ "$(echo "$now" | sed -n 's/.*"leader":\([0-9]*\).*/\1/p')" = "$self" ] || return 0
  self=$(printf %x "$self")
  for to in $(goer member list | grep ', started, ' | grep 'false$' | cut -d, -f1 | grep -v "^$self$"); do
    goer move-leader "$to" >/dev/null && return 0
  done
  return 0
}
