# Runs a command of the operator.
# Arguments: the command with its arguments. The command sees no variables of the scripts around it. Its exit status is the last line on standard
# error. The command may stop this host's etcd member, as an upgrade of packages does, so the other members must have the quorum at this moment.
wait_quorum 60 || { echo "it was not started" >&2; exit 1; }
still_ours
unset LC_ALL run holder
status=0
"$@" </dev/null || status=$?
echo "it ended with status $status" >&2
[ $status = 0 ] || exit 1
