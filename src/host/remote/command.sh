# Runs a command of the operator's. Arguments: its argv. It sees nothing of the script around it; its status comes last on standard error.
# The command may take this host's member of etcd away, as an upgrade of packages does: the others must be enough at this moment.
wait_quorum 60 || { echo "it was not started" >&2; exit 1; }
still_ours
unset LC_ALL run holder
status=0
"$@" </dev/null || status=$?
echo "it ended with status $status" >&2
[ $status = 0 ] || exit 1
