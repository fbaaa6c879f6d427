# What swap.sh prints about a container of a static pod that ended.
# log_of PID: prints the log of the container with this process: the newest log of its pod.
log_of() {
  folder=$(folder_of "$component" "$1")
  [ -z "$folder" ] || echo "$folder/$(ls "$folder" | grep -x '[0-9]*\.log' | sort -n | tail -n 1)"
}
# ended_log: prints the log of the newest container of the present manifest that has ended, or of the running container if none has ended. The log
# of a container that is being created is empty.
ended_log() {
  runs=$(log_of "$(own_process "$component")")
  for log in $(ls -t $(new_logs) /dev/null | grep -vx /dev/null); do
    [ ! -s "$log" ] || [ "$log" = "$runs" ] || { echo "$log"; return 0; }
  done
  [ ! -s "$runs" ] || echo "$runs"
}
# Prints why the newest ended container of this component ended, from the pod's status, the kubelet's log and the container's log.
evidence() {
  log=$(ended_log)
  why=$(journalctl -u kubelet -n 400 --no-pager -o cat 2>/dev/null | grep -E "$component" | grep -E 'ErrImage|ImagePull|CrashLoop|[Ee]rror' | tail -n 1 | cut -c1-400)
  pod=${log%/*/*}
  pod=${pod##*/kube-system_}
  ended=$(timeout 5 $KUBECTL --kubeconfig $ADMIN_CONF -n kube-system get pod "${pod%_*}" -o \
    'jsonpath={range .status.containerStatuses[*].lastState.terminated}{.reason}{" (exit code "}{.exitCode}{")"}{end}' 2>/dev/null || :)
  [ -z "$ended" ] || echo "its container ended: $ended"
  [ -z "$why" ] || echo "the kubelet says: $why"
  [ -z "$log" ] || { echo "last lines of its log:"; tail -n 12 "$log" | cut -c1-400; }
}
