# Moves the leadership of etcd to another member before this member stops. Without this, an election would prevent writes to the cluster for about a
# second. A failure is ignored. Needs etcdctl.sh.
# hand_over [URL]: URL is the client URL of the member that stops; the default is the member of this host.
hand_over() {
  goes=${1:-https://127.0.0.1:$ETCD_CLIENT_PORT}
  goer() { $ETCDCTL --endpoints "$goes" --command-timeout 5s --dial-timeout 2s "$@" 2>/dev/null; }
  # The output is JSON, because the columns of the plain output differ between versions of etcdctl.
  now=$(goer endpoint status -w json) || return 0
  self=$(number member_id "$now")
  [ -n "$self" ] && [ "$(number leader "$now")" = "$self" ] || return 0
  self=$(printf %x "$self")
  for to in $(goer member list | grep ', started, ' | grep 'false$' | cut -d, -f1 | grep -v "^$self$"); do
    goer move-leader "$to" >/dev/null && return 0
  done
  return 0
}
