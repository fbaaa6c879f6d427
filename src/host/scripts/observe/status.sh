# Checks which components answer on this host and which run holds its lock; changes nothing.
# The words are pairs of NAME and URL.
# Output: a line `check NAME CODE` per pair, with the HTTP status of the URL, or 000 if nothing answers; and a line `lock AGE_SECONDS RUN HOLDER...`
# if a run holds the lock, with the time since its last tick.
export LC_ALL=C
# answer URL: prints the HTTP status. If it is not 200, the request is repeated for three seconds: an etcd member whose disk is slow for a moment
# answers 503 once, and the kubelet also counts several failures in a row before it calls a component unhealthy.
answer() {
  until=$(($(date +%s) + 3))
  while :; do
    code=$(curl -sk -m 3 -o /dev/null -w '%{http_code}' "$1" 2>/dev/null)
    [ "$code" != 200 ] && [ "$(date +%s)" -lt $until ] || break
    sleep 0.3
  done
  echo "${code:-000}"
}
if command -v curl >/dev/null; then
  while [ $# -gt 1 ]; do
    (printf 'check %s %s\n' "$1" "$(answer "$2")") &
    shift 2
  done
  wait
fi
lock=$STATE_DIR/lock
if [ -r $lock ] && [ -r $lock.flock ] && grep -q "FLOCK.*:$(stat -c %i $lock.flock) " /proc/locks; then
  printf 'lock %s %s\n' $(($(date +%s) - $(stat -c %Y $lock))) "$(cat $lock)"
fi
exit 0
