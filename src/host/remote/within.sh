# Part of the head of every script that changes a host: nothing is waited for without an end, and the end says what was waited for.
# within SECONDS COMMAND...: ends a tool that does not end by itself, and says which one it was; the status is 124 then. With a longer
# --wait-timeout, which is for slow hosts, the tool has CLUSTERCTL_PATIENCE times as long.
within() { limit_of_tool=$(($1 * ${CLUSTERCTL_PATIENCE:-1})); shift; within_exactly "$limit_of_tool" "$@"; }
# within_exactly SECONDS COMMAND...: the same, with this limit on every host.
within_exactly() (
  seconds=$1 status=0
  shift
  timeout -k 5 "$seconds" "$@" || status=$?
  # 137: it did not end when it was asked to, either.
  case $status in 124|137) status=124; echo "${1##*/} did not end within $seconds s" >&2 ;; esac
  exit $status
)
# comes SECONDS COMMAND...: waits until the command succeeds. The seconds are a share of --wait-timeout, so they are not multiplied again.
comes() {
  until=$(($(date +%s) + $1))
  shift
  until "$@"; do
    [ "$(date +%s)" -lt $until ] || return 1
    sleep 0.2
  done
}
# busy UNIT...: whether one of these units is at work. Where systemd does not say so, nobody knows, and the script ends.
busy() {
  listed=$(systemctl list-units --plain --no-legend --state=active,activating,deactivating,reloading "$@") || {
    echo "systemd does not say whether $* is at work on this host; nothing was changed" >&2
    exit 1
  }
  [ -n "$listed" ]
}
# take_turn DESCRIPTOR SECONDS WHAT: a script whose run was killed may still be at work: one at a time, by a lock on the descriptor's file.
take_turn() {
  set -- "$1" $(($2 * ${CLUSTERCTL_PATIENCE:-1})) "$3"
  flock -w "$2" "$1" || {
    echo "a script of an earlier run is still at work on $3 after $2 s; nothing was changed; run the same command again once that has ended" >&2
    exit 1
  }
}
