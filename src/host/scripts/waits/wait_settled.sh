# Waits until the host has watched its new static pods for long enough.
# Argument: `limit` in seconds. The host watches the pods by itself; see `watch` in swap.sh.
state=$STATIC_PODS_DIR
end=$(($(date +%s) + limit))
# A transaction that an earlier run began needs the files that are removed below for its rollback, so the script waits for its end as well.
while busy 'clusterctl-watch-*' 'clusterctl-static-pod-*'; do
  [ "$(date +%s)" -lt $end ] || { echo "the watch over new static pods, or a transaction with one, does not end" >&2; exit 1; }
  sleep 0.3
done
still_ours
for script in $state/swap-*.sh; do
  [ -e "$script" ] || continue
  c=${script##*/swap-}
  c=${c%.sh}
  # `unfence` removes the iptables rules that are still recorded, and puts back a manifest that is still set aside.
  /bin/sh "$script" action=unfence "component=$c" >&2 || :
  # This copy of a new manifest was left by a run that was killed before it moved the copy to the kubelet's folder.
  rm -f "$state/$c.new"
done
# The copies of the previous manifests are removed. If a reboot ended a watch, it has no result, and the present manifests stay.
rm -f $state/*.old $state/*.old.sha256 $state/etcd.before
report_rollbacks '*'
