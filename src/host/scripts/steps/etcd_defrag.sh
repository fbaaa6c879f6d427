# Defragments the database of this host's etcd member; see quorum.sh. The member answers no request meanwhile, so all other voting members must be
# healthy.
# Argument: `limit`, the time in seconds that etcd gets for the defragmentation.
status=$(own_member --command-timeout 5s endpoint status -w json 2>/dev/null) || status=
size=$(number dbSize "$status")
[ -n "$size" ] || { echo "the etcd member of this host does not tell the size of its database; nothing was changed" >&2; exit 1; }
in_use=$(number dbSizeInUse "$status")
# etcd writes the part of the database that is in use to a new file beside the old one. Besides, 256 MiB must stay free for etcd's log.
need=$((${in_use:-$size} / 1024 + 262144))
free=$(df -Pk $ETCD_DATA_DIR | awk 'NR == 2 { print $4 }')
[ "${free:-0}" -ge $need ] || { echo "a defragmentation needs $((need / 1024)) MiB free below $ETCD_DATA_DIR, and $((${free:-0} / 1024)) are; nothing was changed" >&2; exit 1; }
wait_quorum 60 all || { echo "it was not defragmented" >&2; exit 1; }
still_ours
said=$(own_member --command-timeout $((limit * ${CLUSTERCTL_PATIENCE:-1}))s defrag 2>&1) || {
  echo "etcd did not report the end of the defragmentation within $((limit * ${CLUSTERCTL_PATIENCE:-1})) s, or refused it; once begun, the member goes on with it by itself:" >&2
  printf '%s\n' "$said" | tail -n 3 >&2
  exit 1
}
serves() { own_member --command-timeout 3s endpoint health >/dev/null 2>&1; }
comes 60 serves || { echo "the etcd member of this host was defragmented, and is not healthy 60 s later" >&2; exit 1; }
