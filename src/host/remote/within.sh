# Part of the head of every script that changes a host. Every wait has a limit, and a wait that reaches its limit names what was waited for.
# within SECONDS COMMAND...: ends a command that does not end by itself, and prints its name; the status is then 124. With a longer --wait-timeout,
# which is meant for slow hosts, the limit is multiplied by CLUSTERCTL_PATIENCE.
within() { limit_of_tool=$(($1 * ${CLUSTERCTL_PATIENCE:-1})); shift; within_exactly "$limit_of_tool" "$@"; }
# within_exactly SECONDS COMMAND...: does the same with a limit that is not multiplied.
within_exactly() (
  seconds=$1 status=0
  shift
  timeout -k 5 "$seconds" "$@" || status=$?
  # Status 137 means that the command did not end at SIGTERM, and was killed.
  case $status in 124|137) status=124; echo "${1##*/} did not end within $seconds s" >&2 ;; esac
  exit $status
)
# comes SECONDS COMMAND...: waits until the command succeeds. The seconds are a part of --wait-timeout, so they are not multiplied again.
comes() {
  until=$(($(date +%s) + $1))
  shift
  until "$@"; do
    [ "$(date +%s)" -lt $until ] || return 1
    sleep 0.2
  done
}
# busy UNIT...: succeeds if one of these units is at work. If systemd does not answer, the state is unknown, and the script ends.
busy() {
  listed=$(systemctl list-units --plain --no-legend --state=active,activating,deactivating,reloading "$@") || {
    echo "systemd does not say whether $* is at work on this host; nothing was changed" >&2
    exit 1
  }
  [ -n "$listed" ]
}
# take_turn DESCRIPTOR SECONDS WHAT: waits for a lock on the file of the descriptor, because the script of a run that was killed may still be at
# work. Only one such script runs at a time.
take_turn() {
  set -- "$1" $(($2 * ${CLUSTERCTL_PATIENCE:-1})) "$3"
  flock -w "$2" "$1" || {
    echo "a script of an earlier run is still at work on $3 after $2 s; nothing was changed; run the same command again once that has ended" >&2
    exit 1
  }
}
