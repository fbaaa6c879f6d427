# The mark of a restore of etcd on this host; src/facts/restore.rs reads it. While it names a stage before `finished`, commands such as `apply` are
# refused, so that no API server or etcd from before the restore is started.
# Arguments: `snapshot`, the SHA-256 of the snapshot; `token` of the new etcd cluster; and `from`, the path of the snapshot on the operator's machine.
# mark STAGE: records that this host has reached the stage.
mark() {
  mkdir -p -m 0700 $RESTORE_DIR
  printf 'snapshot: %s\ntoken: %s\nstage: %s\nfrom: %s\n' "$snapshot" "$token" "$1" "$from" >$RESTORE_DIR/.mark.new
  sync $RESTORE_DIR/.mark.new
  mv -f $RESTORE_DIR/.mark.new $RESTORE_MARK
  sync $RESTORE_DIR $STATE_DIR
}
# reached: prints the stage that this host has reached in this restore; prints nothing if the host has no mark, or the mark of another restore.
reached() {
  [ -r $RESTORE_MARK ] || return 0
  if grep -qxF "snapshot: $snapshot" $RESTORE_MARK && grep -qxF "token: $token" $RESTORE_MARK; then sed -n 's/^stage: //p' $RESTORE_MARK; fi
}
# my_turn: waits for the script of a killed run, so that only one script at a time works on a restore.
my_turn() {
  umask 077
  exec 8>/run/clusterctl-restore.lock
  take_turn 8 60 "a restore of etcd"
  still_ours
}
# fail WORD...: prints the reason and ends the script.
fail() { echo "$*" >&2; exit 1; }
