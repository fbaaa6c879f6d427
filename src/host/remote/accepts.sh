# Lets programs read their command lines before anybody depends on them; starts none of them. Input: a line per word, groups of
# IMAGE PROGRAM FLAG..., each ended by an empty line. With --help at its end a command line is read whole, and that is all.
fail=$(mktemp /run/clusterctl.XXXXXX)
trap 'rm -f "$fail"' EXIT
reads() {
  image=$1
  shift
  mount=$(mktemp -d /run/clusterctl.XXXXXX)
  if ctr -n k8s.io images mount "$image" "$mount" >/dev/null 2>&1; then
    if ! said=$(timeout 20 chroot "$mount" "$@" --help 2>&1 </dev/null); then
      echo "$1 of $image does not take its flags:" >>"$fail"
      printf '%s\n' "$said" | grep -iE 'unknown|invalid|error|not defined|unrecognized' | head -n 3 | cut -c1-300 >>"$fail"
    fi
    ctr -n k8s.io images unmount --rm "$mount" >/dev/null 2>&1 || :
  else
    echo "image $image is not on this host" >>"$fail"
  fi
  rmdir "$mount" 2>/dev/null || :
}
set --
while IFS= read -r word; do
  if [ -n "$word" ]; then
    set -- "$@" "$word"
  else
    reads "$@"
    set --
  fi
done
[ ! -s "$fail" ] || { cat "$fail" >&2; exit 1; }
