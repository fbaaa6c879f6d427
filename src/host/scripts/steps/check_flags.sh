# Lets programs parse their command lines before any component depends on them.
# Input: one word per line, in groups of IMAGE PROGRAM FLAG..., each of which ends with an empty line. With --help as the last flag a program parses
# its whole command line and does nothing else, so no component is started.
take_input
# The images are mounted at one place, so only one check_flags.sh runs at a time, and each unmounts what a killed one has left there.
exec 8>/run/clusterctl-flags.lock
take_turn 8 60 "the flags of programs"
still_ours
fail=$(mktemp /run/clusterctl.XXXXXX)
mount=/run/clusterctl-flags.mount
trap 'rm -f "$fail"' EXIT
c() { within 60 ctr -n k8s.io "$@"; }
unmounted
# asks IMAGE PROGRAM FLAG...: runs the program of the image with the flags and --help, and sets $said to its output. Fails with the exit status of the
# program, or with 1 if the image cannot be mounted.
asks() {
  image=$1
  shift
  status=0
  if said=$(mounted "$image" 2>&1); then
    said=$(timeout -k 5 20 chroot "$mount" "$@" --help 2>&1 </dev/null) || status=$?
    [ $status != 124 ] || said="error: it does not answer --help within 20 s"
  else
    status=1 said="error: the image cannot be mounted on this host: $(printf '%s' "$said" | tail -n 1)"
  fi
  unmounted
  return $status
}
# damaged STATUS: succeeds if the exit status means that the program could not be executed or died by a signal. Such a program is taken to be damaged
# on the disk, for example by a power failure soon after its image was pulled.
damaged() { case $1 in 126|127|132|134|135|139) true ;; *) false ;; esac; }
pull() { within 200 ctr -n k8s.io images pull --hosts-dir $CONTAINERD_CERTS_DIR "$1" 2>&1; }
reads() {
  status=0
  asks "$@" || status=$?
  if damaged $status; then
    still_ours
    # A pull of an image that is present downloads nothing, but fails if no registry has the image. Without a registry, the image stays: a container
    # of the control plane may run from it, and could not be started again without it.
    if ! pulled=$(pull "$1"); then
      echo "the program $2 of image $1 does not run (status $status), and the image cannot be pulled anew, so it stays on this host: $(printf '%s' "$pulled" | tail -n 1)" >>"$fail"
      return 0
    fi
    still_ours
    forget_image "$1" >/dev/null 2>&1 || :
    if ! pulled=$(pull "$1") || ! sync -f $CONTAINERD_DIR; then
      echo "the program $2 of image $1 does not run (status $status), so the image was removed from this host, and it cannot be pulled anew: $(printf '%s' "$pulled" | tail -n 1)" >>"$fail"
      return 0
    fi
    status=0
    asks "$@" || status=$?
    if damaged $status; then
      echo "the program $2 of image $1 does not run on this host (status $status), although the image was pulled anew" >>"$fail"
      return 0
    fi
  fi
  [ $status != 0 ] || return 0
  echo "$2 of $1 does not accept its flags:" >>"$fail"
  printf '%s\n' "$said" | grep -iE 'unknown|invalid|error|not defined|unrecognized' | head -n 3 | cut -c1-300 >>"$fail" || :
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
