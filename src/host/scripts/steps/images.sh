# Pulls the images that are given as words into the runtime, three at a time, and syncs them to the disk. Without the sync, a power failure can
# truncate files of an image that containerd still lists, and then the programs of the image crash at every start. Therefore the file $pulls has the
# names of the images from before their pulls until after the sync, and an image in this file does not count as present (see observe.sh). The file $same
# is in memory: if it is gone, the host has booted since, the layers of these images may be truncated, and the images are removed before they are pulled
# again.
pulls=$STATE_DIR/pulls same=/run/clusterctl-pulls
fail=$(mktemp /run/clusterctl.XXXXXX)
trap 'rm -f "$fail" "$fail".*' EXIT
# ctr has no time limit of its own and waits forever for a registry that has stopped answering, so all pulls together have a limit. A pull that would
# begin after it is not started; see within_exactly.
end=$(($(date +%s) + 1700 * ${CLUSTERCTL_PATIENCE:-1}))
pull() {
  within_exactly $((end - $(date +%s))) ctr -n k8s.io images pull --hosts-dir $CONTAINERD_CERTS_DIR "$1" >"$fail.$2" 2>&1 && return
  echo "$1: $(tail -n 1 "$fail.$2")" >>"$fail"
  return 1
}
n=0 running='' pulled=yes
# Waits for the pulls in $running, and empties $pulled if one failed. The exit status of each pull counts, because a pull that was killed leaves no
# message.
wait_for() { for pull in $running; do wait "$pull" || pulled=; done; running=; }
if [ -s $pulls ] && [ ! -e $same ]; then
  while read -r image; do
    forget_image "$image" || { echo "$image was pulled before a power failure, so it may be damaged, and it cannot be removed from containerd" >&2; exit 1; }
  done <$pulls
fi
[ -d $STATE_DIR ] || mkdir -m 0700 $STATE_DIR
names() { { [ ! -e $pulls ] || cat $pulls; printf '%s\n' "$@"; } | sort -u; }
if ! { names "$@" >$pulls.new && sync $pulls.new && mv -f $pulls.new $pulls && sync $STATE_DIR && : >$same; }; then
  echo "the names of the images cannot be written to the disk below $STATE_DIR" >&2
  exit 1
fi
for image; do
  n=$((n + 1))
  pull "$image" $n &
  running="$running $!"
  [ $((n % 3)) != 0 ] || wait_for
done
wait_for
[ -n "$pulled" ] || { cat "$fail" >&2; [ -s "$fail" ] || echo "the images were not all pulled: a pull was killed, or /run is full" >&2; }
if sync -f $CONTAINERD_DIR; then
  rm -f $pulls $same
else
  echo "the pulled images cannot be written to the disk below $CONTAINERD_DIR" >&2
  pulled=
fi
[ -n "$pulled" ]
