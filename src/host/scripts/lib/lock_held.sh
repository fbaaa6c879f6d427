# still_ours: ends the script with status 75 if the lock of this host no longer names the run $run.
still_ours() {
  holder=
  [ -r $STATE_DIR/lock ] && read -r holder _ <$STATE_DIR/lock || :
  [ "$holder" != "$run" ] || return 0
  echo "the lock of this host now belongs to run '$holder'; this run ($run) stops here" >&2
  exit 75
}
