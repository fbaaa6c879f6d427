# Asks this host's own etcd member for its state; changes nothing. Every question goes to this member alone, so that the answers of members can be
# compared, and so that a member without a quorum still answers what it knows by itself.
# Output: a line `KIND JSON` for each question that etcdctl answered. KIND is `status`, `health`, `members` or `alarms`. Also a line `sync COUNT
# SECONDS` for the metric of the syncs of etcd's log since the start of the member, a line `quota BYTES` for the size that the database may have, and
# a line `compacted REVISION` for the last compaction. A line is left out if there is no answer.
export LC_ALL=C
patience=${CLUSTERCTL_PATIENCE:-1}
[ -x $ETCDCTL ] && [ -r $ETCDCTL_KEY ] || exit 0
# ask KIND WORD...: runs etcdctl with the words. `endpoint health` fails for a member that is not healthy, and prints its answer nevertheless.
ask() {
  kind=$1
  shift
  said=$(own_member --command-timeout $((3 * patience))s "$@" -w json 2>/dev/null) || :
  [ -z "$said" ] || printf '%s %s\n' "$kind" "$said"
}
# The questions are asked at the same time, because each waits for its limit if there is no quorum. Every answer is written by one call of printf, so
# the lines do not mix.
ask status endpoint status &
ask health endpoint health &
ask members member list &
ask alarms alarm list &
wait
curl -s -m 3 "http://127.0.0.1:$ETCD_METRICS_PORT/metrics" 2>/dev/null |
  awk '$1 == "etcd_disk_wal_fsync_duration_seconds_sum" { sum = $2 } $1 == "etcd_disk_wal_fsync_duration_seconds_count" { count = $2 }
    $1 == "etcd_server_quota_backend_bytes" { printf "quota %.0f\n", $2 } $1 == "etcd_debugging_mvcc_compact_revision" { printf "compacted %.0f\n", $2 }
    END { if (count > 0) print "sync", count, sum }'
exit 0
