# Asks what answers on this host and who is at work on it; changes nothing. Arguments: NAME URL pairs.
# Output: `check NAME CODE` per pair, with the HTTP status or 000 when nobody answers; `lock AGE_SECONDS RUN HOLDER...` while a run holds it.
export LC_ALL=C
if command -v curl >/dev/null; then
  while [ $# -gt 1 ]; do
    (
      code=$(curl -sk -m 3 -o /dev/null -w '%{http_code}' "$2" 2>/dev/null)
      printf 'check %s %s\n' "$1" "${code:-000}"
    ) &
    shift 2
  done
  wait
fi
lock=/var/lib/clusterctl/lock
if [ -r $lock ] && [ -r $lock.flock ] && grep -q "FLOCK.*:$(stat -c %i $lock.flock) " /proc/locks; then
  printf 'lock %s %s\n' $(($(date +%s) - $(stat -c %Y $lock))) "$(cat $lock)"
fi
exit 0
