# still_ours: ends the script with status 75 where the lock of this host does not name the run $run any more.
still_ours() {
  holder=
  [ -r /var/lib/clusterctl/lock ] && read -r holder _ </var/lib/clusterctl/lock || :
  [ "$holder" != "$run" ] || return 0
  echo "the lock of this host now belongs to run '$holder'; this run ($run) stops here" >&2
  exit 75
}
