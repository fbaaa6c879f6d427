# Moves the leadership of etcd to another member before this member ends, because an election would cost the cluster a second without writes. A failure
# is ignored. $1: client URL of the member that ends; without it, the member of this host.
hand_over() {
  goes=${1:-https://127.0.0.1:2379}
  e=/etc/kubernetes/pki/etcd
  # As variables of this one command: etcdctl refuses a flag whose variable is set as well, and whoever calls this may have set it.
  goer() {
    ETCDCTL_CACERT=$e/ca.crt ETCDCTL_CERT=$e/healthcheck-client.crt ETCDCTL_KEY=$e/healthcheck-client.key \
      /usr/local/bin/etcdctl --endpoints "$goes" --command-timeout 5s --dial-timeout 2s "$@" 2>/dev/null
  }
  # As JSON: the columns of the plain form differ from version to version.
  now=$(goer endpoint status -w json) || return 0
  self=$(echo "$now" | sed -n 's/.*"member_id":\([0-9]*\).*/\1/p')
  [ -n "$self" ] && [ "$(echo "$now" | sed -n 's/.*"leader":\([0-9]*\).*/\1/p')" = "$self" ] || return 0
  self=$(printf %x "$self")
  for to in $(goer member list | grep ', started, ' | grep 'false$' | cut -d, -f1 | grep -v "^$self$"); do
    goer move-leader "$to" >/dev/null && return 0
  done
  return 0
}
