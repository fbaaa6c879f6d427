# Stops components of the control plane for a restore of etcd. They stay stopped, also after a reboot, until restore_start.sh; see aside.sh.
# Arguments, see also restore_mark.sh and aside.sh: `stage` that this host then has reached; and `limit` in seconds. The words are the components that
# are static pods.
my_turn
wait_idle "$limit"
still_ours
[ -n "$(reached)" ] || mark begun
move_aside "$@"
stop_service
wait_gone "$limit" "$@"
mark "$stage"
