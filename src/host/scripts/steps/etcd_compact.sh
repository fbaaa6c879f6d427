# Compacts the history of etcd, and waits until the members have removed the old revisions from their databases.
# Arguments: `revision`, the oldest revision that stays; and `limit`, the time in seconds that etcd gets for it.
said=$(own_member --command-timeout $((limit * ${CLUSTERCTL_PATIENCE:-1}))s compaction "$revision" --physical 2>&1) || case $said in
  # An API server, or an earlier run, was faster.
  *'has been compacted'*) ;;
  *) echo "etcd did not compact its history up to revision $revision: $(printf '%s\n' "$said" | tail -n 3)" >&2; exit 1 ;;
esac
