# Runs a command of the operator's. Arguments: its argv. It sees nothing of the script around it; its status comes last on standard error.
unset LC_ALL run holder
status=0
"$@" </dev/null || status=$?
echo "it ended with status $status" >&2
[ $status = 0 ] || exit 1
