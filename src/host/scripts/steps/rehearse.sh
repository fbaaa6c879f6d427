# Restores a snapshot of etcd into a scratch folder, starts an etcd over it that has no connection to the cluster, and prints what it has. The folder
# is removed at the end, and the snapshot with it, whatever happens.
# Arguments: `path` of the snapshot on this host; and `limit` in seconds within which that etcd must answer.
# Output, compressed with gzip: `tool NAME` of the program that restored the snapshot; `status JSON` of that etcd; `mark TEXT`, the ownership mark of
# this host in one line; `info BASE64`, the value of the ConfigMap cluster-info, if the snapshot has it; `key KEY` for each key; and `@done`.
dir=$RESTORE_DIR/scratch
umask 077
my_turn
mkdir -p -m 0700 $RESTORE_DIR
clean() {
  end_scratch
  end_programs "$dir"
  rm -rf --one-file-system "$dir"
  rm -f "$path"
  rmdir $RESTORE_DIR 2>/dev/null || :
}
trap clean EXIT
trap 'exit 1' HUP INT TERM
# A script that was killed may have left its folder and its etcd.
end_programs "$dir"
rm -rf --one-file-system "$dir"
mkdir "$dir"
size=$(stat -Lc %s "$path")
need=$((size / 1024 + 393216))
free=$(df -Pk $RESTORE_DIR | awk 'NR == 2 { print $4 }')
[ "$free" -ge $need ] || fail "a rehearsal of this snapshot needs $((need / 1024)) MiB free below $STATE_DIR, and $((free / 1024)) are"
bring_tools "$dir"
within 900 "$tool" snapshot restore "$path" --data-dir "$dir/data" --name scratch --initial-cluster scratch=unix://peer:1 \
  --initial-advertise-peer-urls unix://peer:1 >"$dir/said" 2>&1 ||
  fail "${tool##*/} does not restore the snapshot: $(tail -n 3 "$dir/said" | cut -c1-400)"
start_scratch "$dir" "$limit"
# The pipe hides the exit status of etcdctl, so the last line tells that everything has been printed.
{
  echo "tool ${tool##*/}"
  status=$(ask_scratch endpoint status -w json 2>/dev/null) && printf 'status %s\n' "$status" &&
    printf 'mark %s\n' "$(tr '\n' ' ' <$OWNERSHIP 2>/dev/null)" &&
    info=$(ask_scratch get /registry/configmaps/kube-public/cluster-info -w json 2>/dev/null) &&
    printf '%s\n' "$info" | sed -n 's/.*"value":"\([^"]*\)".*/info \1/p' &&
    ask_scratch get '' --from-key --keys-only 2>/dev/null | awk 'NF { print "key " $0 }' && echo @done
} | gzip -1
