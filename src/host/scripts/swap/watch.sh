# How swap.sh watches a new static pod.
# Watches the process of the component until it is $watch seconds old. The new process has answered. If it ends or stops answering before, the previous
# manifest comes back, and the run stops before the next host. Ends the script.
watch_new() {
  served=yes
  pid=$(own_process "$component")
  # The log files of the replaced pod may still exist, and are not counted.
  known=$(logs | grep -vF "$(folder_of "$component" "$pid")/" || :)
  least=$(($(date +%s) + 2))
  bad=0
  while [ "$(ps -o etimes= -p "${pid:-0}" || echo 0)" -lt "$watch" ] || [ "$(date +%s)" -lt $least ] || [ $bad -gt 0 ]; do
    if [ "$(own_process "$component")" != "$pid" ]; then bad=9; elif serves; then bad=0; else bad=$((bad + 1)); fi
    if [ $bad -ge 9 ]; then
      { echo "$component served at first, and was down again before it was $watch s old"; revert; } >$state/.$component.failed 2>&1
      mv -f $state/.$component.failed "$state/$component.failed.$run"
      exit 0
    fi
    sleep 0.5
  done
  # The previous manifest is kept until all new static pods of the host have been watched: see wait_settled.sh.
  exit 0
}
