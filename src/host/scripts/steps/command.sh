# Runs a command of the operator.
# The words are the command with its arguments. The variables that clusterctl's scripts set are not in the environment of the command. The last line on
# standard error has the exit status of the command. The command may stop this host's etcd member, as an upgrade of packages does, so it is run only
# when the other members have the quorum; the script waits up to 60 s for that.
wait_quorum 60 || { echo "it was not started" >&2; exit 1; }
still_ours
unset LC_ALL run holder
status=0
"$@" </dev/null || status=$?
echo "it ended with status $status" >&2
[ $status = 0 ] || exit 1
