# Waits until the host has watched its new static pods for long enough. $1: seconds.
# The watch itself is the host's own; see static_pod.sh.
state=/var/lib/clusterctl/static-pods
end=$(($(date +%s) + $1))
# A transaction that an earlier run began has its way back in the files that are removed below.
while busy 'clusterctl-watch-*' 'clusterctl-static-pod-*'; do
  [ "$(date +%s)" -lt $end ] || { echo "the watch over new static pods, or a transaction with one, does not end" >&2; exit 1; }
  sleep 0.3
done
still_ours
for script in $state/swap-*.sh; do
  [ -e "$script" ] || continue
  c=${script##*/swap-}
  c=${c%.sh}
  # Rules that are still recorded, and a manifest that is still set aside.
  /bin/sh "$script" unfence "$c" >&2 || :
  # What a run that was killed was about to place.
  rm -f "$state/$c.new"
done
# A watch that ended with a reboot has no result: the manifests that are in place stay.
rm -f $state/*.old $state/*.old.sha256 $state/etcd.before
report_rollbacks '*'
