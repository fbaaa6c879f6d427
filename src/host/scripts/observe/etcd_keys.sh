# Lists keys of etcd through this host's own member; changes nothing, and reads no value.
# Argument: `prefix` with which the keys begin.
# Output, compressed with gzip: one key per line, and the line `@done` after the last one.
export LC_ALL=C
errors=$(mktemp /run/clusterctl.XXXXXX) || exit 1
trap 'rm -f "$errors"' EXIT
trap 'exit 1' HUP INT TERM
# The pipe hides the exit status of etcdctl, so etcdctl itself is followed by the line that tells that all keys have been printed.
{
  own_member --command-timeout $((60 * ${CLUSTERCTL_PATIENCE:-1}))s get "$prefix" --prefix --keys-only 2>"$errors" && echo @done
} | awk 'NF' | gzip -1
[ ! -s "$errors" ] || tail -n 3 "$errors" >&2
