# Takes a snapshot of etcd from this host's own member and prints it. Output: the snapshot, then its sha256 as 64 digits.
umask 077
state=$STATE_DIR
# A snapshot that a killed script left behind contains every Secret of the cluster, so it is removed.
rm -rf $state/snapshot.*
dir=$(mktemp -d $state/snapshot.XXXXXX)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
# The whole database is written to a disk that etcd may use as well, so the same amount of space and 256 MiB must stay free for etcd.
size=$(number dbSize "$(own_member endpoint status -w json 2>"$dir/said")")
[ -n "$size" ] || { echo "the etcd member of this host does not tell the size of its database: $(tail -n 3 "$dir/said")" >&2; exit 1; }
need=$((size / 1024 * 2 + 262144))
free=$(df -Pk $state | awk 'NR == 2 { print $4 }')
[ "$free" -ge $need ] || { echo "a snapshot of etcd's database ($((size / 1048576)) MiB) needs $((need / 1024)) MiB free below $state, and $((free / 1024)) are; make room, then run the same command again" >&2; exit 1; }
own_member snapshot save "$dir/db" >/dev/null 2>"$dir/said" || { tail -n 3 "$dir/said" >&2; exit 1; }
# The last 32 bytes of a snapshot are the sha256 of the rest; etcd computes it while it writes the snapshot.
want=$(tail -c 32 "$dir/db" | od -An -v -tx1 | tr -d ' \n')
is=$(head -c -32 "$dir/db" | sha256sum | cut -c1-64)
[ "$want" = "$is" ] || { echo "the snapshot does not match the sha256 at its own end; nothing was changed" >&2; exit 1; }
cat "$dir/db"
sha256sum <"$dir/db" | cut -c1-64 | tr -d '\n'
