# Prints a snapshot that this host's own etcd member takes of its data; changes nothing. The snapshot comes from etcd's gRPC gateway while etcd takes
# it, so no copy of the database, which contains every Secret of the cluster, is written to the disk of this host.
# Output, compressed with gzip: etcd's answer to a count of all keys, which has the ID of the etcd cluster and the revision just before the snapshot;
# then a line `{"result":{"blob":BASE64}}` for each part of the snapshot; and the line `@done`. The last 32 bytes of a snapshot are the SHA-256 of the
# rest. If etcd fails in the middle, the last line is `{"error":...}`.
export LC_ALL=C
errors=$(mktemp /run/clusterctl.XXXXXX) || exit 1
trap 'rm -f "$errors"' EXIT
trap 'exit 1' HUP INT TERM
# ask PATH BODY WORD...: sends a request to the gateway of this host's member.
ask() {
  path=$1 body=$2
  shift 2
  curl -sSf "$@" --cacert $ETCDCTL_CACERT --cert $ETCDCTL_CERT --key $ETCDCTL_KEY -X POST -d "$body" \
    "https://127.0.0.1:$ETCD_CLIENT_PORT/v3/$path" 2>>"$errors"
}
# The pipe hides the exit status of curl, so curl itself is followed by the line that tells that everything has been printed. The request is given up
# if less than 1 KiB/s arrives for a minute.
{
  # The key AA== is the byte 0; with the same end, the range contains all keys.
  ask kv/range '{"key":"AA==","range_end":"AA==","count_only":true,"serializable":true}' -m $((10 * ${CLUSTERCTL_PATIENCE:-1})) && echo &&
    ask maintenance/snapshot '{}' -N --connect-timeout 5 --speed-limit 1024 --speed-time $((60 * ${CLUSTERCTL_PATIENCE:-1})) && echo && echo @done
} | gzip -1
[ ! -s "$errors" ] || tail -n 3 "$errors" >&2
