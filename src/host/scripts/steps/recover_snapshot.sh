# Makes a snapshot of the data of this host's etcd member although etcd has lost its quorum, and prints the snapshot. The member is stopped and stays
# stopped, and its data is not changed: an etcd of its own opens a copy of it as a cluster of one member, with every write that the member knows to be
# committed. If that fails, the member is started again.
# Arguments, see also aside.sh: `from`, the command that goes on; and `limit` in seconds within which the member must end, and that etcd must answer.
# Output: the snapshot. Its last 32 bytes are the SHA-256 of the rest.
snapshot=recover token=- work=$RESTORE_DIR/scratch
pod=etcd
[ -z "$service" ] || pod=
umask 077
my_turn
[ -d $ETCD_MEMBER_DIR/wal ] && [ -s $ETCD_MEMBER_DIR/snap/db ] ||
  fail "this host has no data of an etcd member at $ETCD_MEMBER_DIR; nothing was changed"
done='' stopped=
clean() {
  end_scratch
  end_programs $work
  rm -rf --one-file-system $work
  [ -n "$done" ] || [ -z "$stopped" ] || { put_back $pod; rm -f $RESTORE_MARK; }
  [ -n "$done" ] || rmdir $RESTORE_MANIFESTS_DIR $RESTORE_DIR 2>/dev/null || :
}
trap clean EXIT
trap 'exit 1' HUP INT TERM
mkdir -p -m 0700 $RESTORE_DIR
end_programs $work
rm -rf --one-file-system $work
mkdir -p $work/data
need=$(($(du -sk $ETCD_MEMBER_DIR/ | cut -f1) * 2 + 393216))
free=$(df -Pk $RESTORE_DIR | awk 'NR == 2 { print $4 }')
[ "$free" -ge $need ] ||
  fail "a copy of the member's data and a snapshot of it need $((need / 1024)) MiB below $STATE_DIR, $((free / 1024)) are free; nothing was changed"
bring_tools $work
wait_idle "$limit"
still_ours
stopped=yes
mark begun
move_aside $pod
stop_service
wait_gone "$limit" $pod
cp -a $ETCD_MEMBER_DIR/. $work/data/member
start_scratch $work "$limit" --force-new-cluster
ask_scratch snapshot save db >$work/said 2>&1 || fail "the copy of the member's data gives no snapshot: $(tail -n 3 $work/said | cut -c1-400)"
end_scratch
rm -rf --one-file-system $work/data
cat $work/db
done=yes
