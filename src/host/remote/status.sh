# Asks what answers on this host and who is at work on it; changes nothing. Arguments: NAME URL pairs.
# Output: `check NAME CODE` per pair, with the HTTP status or 000 when nobody answers; `lock AGE_SECONDS RUN HOLDER...` while a run holds it.
export LC_ALL=C
# answer URL: the HTTP status. Another answer than 200 is asked for again until three seconds have passed: a member of etcd whose disk is slow
# for a moment answers 503 once, and the kubelet, too, counts several failures in a row before it calls a component unhealthy.
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
lock=/var/lib/clusterctl/lock
if [ -r $lock ] && [ -r $lock.flock ] && grep -q "FLOCK.*:$(stat -c %i $lock.flock) " /proc/locks; then
  printf 'lock %s %s\n' $(($(date +%s) - $(stat -c %Y $lock))) "$(cat $lock)"
fi
exit 0
