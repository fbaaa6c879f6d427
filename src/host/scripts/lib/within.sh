# Part of the head of every script that changes a host. Every wait has a limit, and a wait that reaches its limit names what was waited for.
# within SECONDS COMMAND...: runs the command. If it does not end within SECONDS, ends it and prints its name; the status is then 124. With a longer
# --wait-timeout, which is meant for slow hosts, SECONDS is multiplied by CLUSTERCTL_PATIENCE.
within() { limit_of_tool=$(($1 * ${CLUSTERCTL_PATIENCE:-1})); shift; within_exactly "$limit_of_tool" "$@"; }
# within_exactly SECONDS COMMAND...: does the same with a limit that is not multiplied. If no second is left, the command is not started: `timeout`
# takes 0 for no limit.
within_exactly() (
  seconds=$1 status=0
  shift
  [ "$seconds" -ge 1 ] || { echo "${1##*/} was not started, because the time for it is over" >&2; exit 124; }
  timeout -k 5 "$seconds" "$@" || status=$?
  # Status 137 means that the command did not end at SIGTERM, and was killed.
  case $status in 124|137) status=124; echo "${1##*/} did not end within $seconds s" >&2 ;; esac
  exit $status
)
# comes SECONDS COMMAND...: repeats the command until it succeeds, and fails after SECONDS. SECONDS is a part of --wait-timeout, so it is not
# multiplied again.
comes() {
  until=$(($(date +%s) + $1))
  shift
  until "$@"; do
    [ "$(date +%s)" -lt $until ] || return 1
    sleep 0.2
  done
}
# busy UNIT...: succeeds if one of these units is at work. If systemd does not answer, the state is unknown, and the script exits with 1.
busy() {
  listed=$(systemctl list-units --plain --no-legend --state=active,activating,deactivating,reloading "$@") || {
    echo "systemd does not say whether $* is at work on this host; nothing was changed" >&2
    exit 1
  }
  [ -n "$listed" ]
}
# take_turn DESCRIPTOR SECONDS WHAT: takes the lock on the file of the descriptor, so that only one script at a time works on WHAT. The script of an
# earlier run that was killed may still hold the lock. Exits with 1 if it does so for SECONDS.
take_turn() {
  set -- "$1" $(($2 * ${CLUSTERCTL_PATIENCE:-1})) "$3"
  flock -w "$2" "$1" || {
    echo "a script of an earlier run is still at work on $3 after $2 s; nothing was changed; run the same command again once that has ended" >&2
    exit 1
  }
}
