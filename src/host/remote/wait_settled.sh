# Waits until the host has watched its new static pods for long enough.
# $1: the limit in seconds. The host watches them by itself; see static_pod.sh.
state=/var/lib/clusterctl/static-pods
end=$(($(date +%s) + $1))
# A transaction that an earlier run began needs the files that are removed below for its rollback.
while busy 'clusterctl-watch-*' 'clusterctl-static-pod-*'; do
  [ "$(date +%s)" -lt $end ] || { echo "the watch over new static pods, or a transaction with one, does not end" >&2; exit 1; }
  sleep 0.3
done
still_ours
for script in $state/swap-*.sh; do
  [ -e "$script" ] || continue
  c=${script##*/swap-}
  c=${c%.sh}
  # Removes the packet filter rules that are still recorded, and puts back a manifest that is still set aside.
  /bin/sh "$script" unfence "$c" >&2 || :
  # A run that was killed left this manifest, which it was about to place.
  rm -f "$state/$c.new"
done
# A watch that a reboot ended has no result, so the present manifests stay.
rm -f $state/*.old $state/*.old.sha256 $state/etcd.before
report_rollbacks '*'
