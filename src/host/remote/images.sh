# Pulls the images given as arguments into the runtime, three at a time.
fail=$(mktemp /run/clusterctl.XXXXXX)
trap 'rm -f "$fail" "$fail".*' EXIT
pull() {
  ctr -n k8s.io images pull --hosts-dir /etc/containerd/certs.d "$1" >"$fail.$2" 2>&1 || { echo "$1: $(tail -n 1 "$fail.$2")" >>"$fail"; }
}
n=0
for image; do
  n=$((n + 1))
  pull "$image" $n &
  [ $((n % 3)) = 0 ] && wait
done
wait
[ ! -s "$fail" ] || { cat "$fail" >&2; exit 1; }
