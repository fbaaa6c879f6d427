# Disarms all alarms of etcd; etcdctl cannot disarm a single one. The alarm NOSPACE is disarmed only if the database of its member is smaller than the
# quota again: etcd would raise it again at the next write.
# Argument: `corrupt` is `allowed` if the alarm CORRUPT may be disarmed as well, and otherwise `refused`.
errors=$(mktemp /run/clusterctl.XXXXXX)
trap 'rm -f "$errors"' EXIT
etcd() { own_member --command-timeout 10s "$@" 2>"$errors"; }
refuse() { echo "$1; no alarm was disarmed" >&2; exit 1; }
alarms=$(etcd alarm list) || refuse "etcd does not list its alarms: $(tail -n 3 "$errors")"
case $corrupt:$alarms in
  refused:*CORRUPT*) refuse "a member has the alarm CORRUPT: its data differs from that of the others" ;;
esac
full=$(printf '%s\n' "$alarms" | sed -n 's/.*memberID:\([0-9]*\) *alarm:NOSPACE.*/\1/p')
if [ -n "$full" ]; then
  quota=$(curl -s -m 5 "http://127.0.0.1:$ETCD_METRICS_PORT/metrics" | awk '$1 == "etcd_server_quota_backend_bytes" { printf "%.0f", $2 }')
  [ -n "$quota" ] || refuse "the etcd member of this host does not tell the quota of its database"
  urls=$(etcd member list | grep ', started, ' | cut -d, -f5 | tr -d ' ' | paste -sd, -)
  # If a member does not answer, etcdctl fails and still prints the status of the others.
  sizes=$($ETCDCTL --endpoints "$urls" --dial-timeout 2s --command-timeout 10s endpoint status -w json 2>/dev/null |
    grep -oE '"(member_id|dbSize)":[0-9]+' | tr -d '"' | awk -F: '$1 == "member_id" { id = $2 } $1 == "dbSize" { print id, $2 }')
  for id in $full; do
    size=$(printf '%s\n' "$sizes" | sed -n "s/^$id //p")
    [ -n "$size" ] || refuse "etcd member $(printf %x "$id") has the alarm NOSPACE and does not tell the size of its database"
    [ "$size" -lt "$quota" ] ||
      refuse "the database of etcd member $(printf %x "$id") has $((size / 1048576)) MiB, and its quota is $((quota / 1048576)) MiB: compact and defragment first"
  done
fi
[ -n "$alarms" ] || exit 0
still_ours
etcd alarm disarm >/dev/null || refuse "etcd refused: $(tail -n 3 "$errors")"
