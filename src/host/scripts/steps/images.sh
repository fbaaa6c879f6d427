# Pulls the images that are given as words into the runtime, three at a time, and syncs them to the disk. Without the sync, a power failure can
# truncate files of an image that containerd still lists, and then the programs of the image crash at every start.
fail=$(mktemp /run/clusterctl.XXXXXX)
trap 'rm -f "$fail" "$fail".*' EXIT
# ctr has no time limit of its own and waits forever for a registry that has stopped answering, so all pulls together have a limit.
end=$(($(date +%s) + 1700 * ${CLUSTERCTL_PATIENCE:-1}))
pull() {
  within_exactly $((end - $(date +%s))) ctr -n k8s.io images pull --hosts-dir $CONTAINERD_CERTS_DIR "$1" >"$fail.$2" 2>&1 && return
  echo "$1: $(tail -n 1 "$fail.$2")" >>"$fail"
  return 1
}
n=0 pulls='' pulled=yes
# Waits for the pulls in $pulls, and empties $pulled if one failed. The exit status of each pull counts, because a pull that was killed leaves no
# message.
wait_for() { for pull in $pulls; do wait "$pull" || pulled=; done; pulls=; }
for image; do
  n=$((n + 1))
  pull "$image" $n &
  pulls="$pulls $!"
  [ $((n % 3)) != 0 ] || wait_for
done
wait_for
[ -n "$pulled" ] || { cat "$fail" >&2; [ -s "$fail" ] || echo "the images were not all pulled: a pull was killed, or /run is full" >&2; }
sync -f $CONTAINERD_DIR || { echo "the pulled images cannot be written to the disk below $CONTAINERD_DIR" >&2; pulled=; }
[ -n "$pulled" ]
