# Part of scripts that count how values are stored in etcd. No value leaves the host, and none is kept.
# encodings RESOURCE: prints a line `RESOURCE COUNT BEGINNING` for each way in which values below /registry/RESOURCE/ begin: `plain`, or everything up
# to the colon after the name of the key (`k8s:enc:secretbox:v1:NAME:`). Fails if etcd does not answer.
# A page is read at a time, because etcd and etcdctl keep a whole answer in memory. The next page begins with the last key of this one, so the first
# line of each page but the first is left out.
encodings() {
  end=/registry/${1}0 from=/registry/$1/ skip=1
  while :; do
    own_member --command-timeout $((60 * ${CLUSTERCTL_PATIENCE:-1}))s get "$from" "$end" --limit 200 -w json >"$dir/page" || return 1
    # One line for each key: the key, and the beginning of the value, both in base64. Ninety bytes have the beginning of every encrypted value.
    tr '{' '\n' <"$dir/page" | sed -n 's/^"key":"\([^"]*\)".*"value":"\([^"]\{0,120\}\).*/\1 \2/p' >"$dir/rows"
    grep -q '"count"' "$dir/page" || [ -s "$dir/rows" ] || grep -q '"header"' "$dir/page" || return 1
    tail -n +$skip "$dir/rows" >"$dir/new"
    [ -s "$dir/new" ] || break
    # `azhzOmVuYz` is `k8s:enc` in base64. Lines between the values keep their beginnings at the beginning of a line.
    sed -n 's/^[^ ]* \(azhzOmVuYz[^=]*\).*/\1/p' "$dir/new" | awk '{ print substr($0, 1, int(length($0) / 4) * 4) "CgoK" }' | base64 -d |
      grep -aoE '^k8s:enc:[a-z]+:v[0-9]+:[A-Za-z0-9._-]*:' >>"$dir/encrypted"
    awk '$2 !~ /^azhzOmVuYz/ { n++ } END { print n + 0 }' "$dir/new" >>"$dir/plain"
    from=$(tail -n 1 "$dir/rows" | cut -d ' ' -f 1 | base64 -d)
    skip=2
  done
  awk -v resource="$1" '{ n += $1 } END { if (n > 0) print resource " " n " plain" }' "$dir/plain"
  sort "$dir/encrypted" | uniq -c | awk -v resource="$1" '{ print resource " " $1 " " $2 }'
}
# every_encoding RESOURCE...: does so for each of these resources.
every_encoding() {
  umask 077
  # The folder is in memory, because values may be secret.
  dir=$(mktemp -d /dev/shm/clusterctl.XXXXXX) || return 1
  trap 'rm -rf "$dir"' EXIT
  trap 'exit 1' HUP INT TERM
  for resource; do
    : >"$dir/plain" && : >"$dir/encrypted" && encodings "$resource" || return 1
  done
}
