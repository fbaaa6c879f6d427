# Stops components of the control plane for a restore of etcd. They stay stopped, also after a reboot, until restore_start.sh; see aside.sh.
# Arguments, see also restore_mark.sh and aside.sh: `stage` that this host then has reached; and `limit` in seconds. The words are the components that
# are static pods.
my_turn
# The host itself finishes the replacement of a static pod that an interrupted run began, and that replacement would place a manifest.
idle() { ! busy 'clusterctl-static-pod-*' 'clusterctl-watch-*' clusterctl-unit-etcd.service; }
comes "$limit" idle || fail "what an earlier run began with static pods of this host is still under way after $limit s; nothing was changed"
still_ours
[ -n "$(reached)" ] || mark begun
move_aside "$@"
stop_service
wait_gone "$limit" "$@"
mark "$stage"
